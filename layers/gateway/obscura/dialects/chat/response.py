"""A chat upstream's answer, read for translation: whole completions, and streams chunk by chunk.

Servers differ in what they leave null, in numbers that are floats, in content that is a list: all of that is read.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from obscura.dialects.sse import LineSplitter
from obscura.errors import UpstreamError

type Count = int | float | None


class FunctionCall(msgspec.Struct):
    """A tool call's name and its arguments as JSON text; in a stream, a piece of them."""

    name: str | None = None
    told: str | dict[str, msgspec.Raw] | None = msgspec.field(name="arguments", default=None)

    @property
    def arguments(self) -> str:
        """The arguments as JSON text, also where a server tells them as an object."""
        return msgspec.json.encode(self.told).decode() if isinstance(self.told, dict) else self.told or ""


class ToolCall(msgspec.Struct):
    """One tool call; in a stream, ``index`` tells which one a piece belongs to."""

    index: int | None = None
    id: str | None = None
    function: FunctionCall | None = None


class ContentPart(msgspec.Struct):
    """A part of content that comes as a list (Mistral); one without text tells nothing that can be carried."""

    text: str | None = None


class ChatMessage(msgspec.Struct):
    """A message, or a delta of one; reasoning comes as ``reasoning_content`` (DeepSeek, vLLM) or ``reasoning``."""

    role: str | None = None
    told: str | list[ContentPart] | None = msgspec.field(name="content", default=None)
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[ToolCall] | None = None

    @property
    def content(self) -> str:
        """The text; empty where there is none."""
        return "".join(part.text or "" for part in self.told) if isinstance(self.told, list) else self.told or ""


class Choice(msgspec.Struct):
    """One choice: ``message`` in a completion, ``delta`` in a chunk.

    Where a stop sequence was met, some servers tell which: ``stop_reason`` (vLLM) or ``matched_stop`` (SGLang).
    """

    index: int | None = None
    message: ChatMessage | None = None
    delta: ChatMessage | None = None
    finish_reason: str | None = None
    stop_reason: Any = None
    matched_stop: Any = None


class PromptDetails(msgspec.Struct):
    """Where a prompt's tokens came from."""

    cached_tokens: Count = None


class CompletionDetails(msgspec.Struct):
    """What a completion's tokens went into."""

    reasoning_tokens: Count = None


class Usage(msgspec.Struct):
    """Tokens, as the upstream counted them."""

    prompt_tokens: Count = None
    completion_tokens: Count = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None

    @property
    def input_tokens(self) -> int:
        """What the prompt had."""
        return int(self.prompt_tokens or 0)

    @property
    def cached_tokens(self) -> int:
        """What of the prompt was in a cache."""
        return int((self.prompt_tokens_details and self.prompt_tokens_details.cached_tokens) or 0)

    @property
    def output_tokens(self) -> int:
        """What the completion had."""
        return int(self.completion_tokens or 0)

    @property
    def reasoning_told(self) -> bool:
        """Whether the upstream counts reasoning at all."""
        details = self.completion_tokens_details
        return details is not None and details.reasoning_tokens is not None

    @property
    def reasoning_tokens(self) -> int:
        """What of the completion was reasoning."""
        return int((self.completion_tokens_details and self.completion_tokens_details.reasoning_tokens) or 0)


class ChatCompletion(msgspec.Struct):
    """A completion, or a chunk of one."""

    id: str | None = None
    model: str | None = None
    created: Count = None
    told: list[Choice] | None = msgspec.field(name="choices", default=None)
    usage: Usage | None = None
    error: msgspec.Raw | None = None

    @property
    def choices(self) -> list[Choice]:
        """The choices; a chunk that has but a usage has none."""
        return self.told or []

    @property
    def first(self) -> Choice | None:
        """The choice that is told where one answer is asked for."""
        return next((choice for choice in self.choices if not choice.index), None)

    @property
    def created_at(self) -> int:
        """When the answer began, in seconds since 1970; 0 where that is not told."""
        return int(self.created or 0)


_completions = msgspec.json.Decoder(ChatCompletion)


def read_completion(body: bytes) -> tuple[ChatCompletion, Choice, ChatMessage]:
    """Read a whole completion, its first choice and the message in that; raises UpstreamError when it is none."""
    answer = _read(body)
    choice = answer.first
    if choice is None or choice.message is None:
        raise UpstreamError("The upstream's answer has no message in it. Try again.")
    return answer, choice, choice.message


class ChunkParser:
    """Cuts a chat stream into its chunks; ``done`` once the upstream said that it is complete."""

    def __init__(self) -> None:
        """Start before the first byte."""
        self._lines = LineSplitter()
        self.done = False

    def feed(self, piece: bytes) -> Iterator[ChatCompletion]:
        """Yield the chunks that are whole once ``piece`` has come in, up to the one that says it is the last.

        Raises UpstreamError on one that is an error.
        """
        for line in self._lines.feed(piece).splitlines():
            if self.done:
                return
            if not line.startswith(b"data:"):
                continue
            data = line.removeprefix(b"data:").strip()
            if data == b"[DONE]":
                self.done = True
            elif data:
                yield _read(data)


def _read(data: bytes) -> ChatCompletion:
    try:
        answer = _completions.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UpstreamError("The upstream answered with something other than chat completions. Try again.") from None
    if answer.error is not None and bytes(answer.error) != b"null":
        raise UpstreamError("The upstream failed in the middle of its answer. Try again.")
    return answer
