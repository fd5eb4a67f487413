"""A chat upstream's answer, read for translation: whole completions, and streams chunk by chunk."""

from collections.abc import Iterator
from typing import Any

import msgspec

from obscura.errors import UpstreamError
from obscura.wire.sse import LineSplitter


class FunctionCall(msgspec.Struct):
    """A tool call's name and its arguments as JSON text; in a stream, a piece of them."""

    name: str | None = None
    arguments: str | None = None


class ToolCall(msgspec.Struct):
    """One tool call; in a stream, ``index`` tells which one a piece belongs to."""

    index: int | None = None
    id: str | None = None
    function: FunctionCall | None = None


class Said(msgspec.Struct):
    """A message, or a delta of one; reasoning comes as ``reasoning_content`` (DeepSeek, vLLM) or ``reasoning``."""

    role: str | None = None
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[ToolCall] | None = None


class Choice(msgspec.Struct):
    """One choice: ``message`` in a completion, ``delta`` in a chunk.

    Where a stop sequence was met, some servers tell which: ``stop_reason`` (vLLM) or ``matched_stop`` (SGLang).
    """

    index: int = 0
    message: Said | None = None
    delta: Said | None = None
    finish_reason: str | None = None
    stop_reason: Any = None
    matched_stop: Any = None


class PromptDetails(msgspec.Struct):
    """Where a prompt's tokens came from."""

    cached_tokens: int | None = None


class CompletionDetails(msgspec.Struct):
    """What a completion's tokens went into."""

    reasoning_tokens: int | None = None


class Usage(msgspec.Struct):
    """Tokens, as the upstream counted them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None


class ChatAnswer(msgspec.Struct):
    """A completion, or a chunk of one."""

    id: str = ""
    model: str = ""
    created: int = 0
    choices: list[Choice] = []
    usage: Usage | None = None
    error: msgspec.Raw | None = None


_answers = msgspec.json.Decoder(ChatAnswer)


def read_completion(body: bytes) -> ChatAnswer:
    """Read a whole completion; raises UpstreamError when it is none."""
    answer = _read(body)
    if not answer.choices or answer.choices[0].message is None:
        raise UpstreamError("The upstream's answer has no message in it. Try again.")
    return answer


class ChunkReader:
    """Cuts a chat stream into its chunks; ``done`` once the upstream said that it is complete."""

    def __init__(self) -> None:
        """Start before the first byte."""
        self._lines = LineSplitter()
        self.done = False

    def feed(self, piece: bytes) -> Iterator[ChatAnswer]:
        """Give the chunks that are whole once ``piece`` has come in; raises UpstreamError on one that is an error."""
        for line in self._lines.feed(piece).splitlines():
            if not line.startswith(b"data:"):
                continue
            data = line.removeprefix(b"data:").strip()
            if data == b"[DONE]":
                self.done = True
            elif data:
                yield _read(data)


def _read(data: bytes) -> ChatAnswer:
    try:
        answer = _answers.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UpstreamError("The upstream answered with something other than chat completions. Try again.") from None
    if answer.error is not None and bytes(answer.error) != b"null":
        raise UpstreamError("The upstream failed in the middle of its answer. Try again.")
    return answer
