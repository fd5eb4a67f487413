"""A chat upstream's response, parsed for translation: whole completions, and streams chunk by chunk.

Servers differ in what they leave null, in counts that are floats, in content that is a list: all of that is accepted.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from obscura.dialects.json.raw import NULL
from obscura.dialects.reported_errors import read_reported_fields
from obscura.dialects.sse import LineSplitter
from obscura.errors import UpstreamError

type Count = int | float | None


class FunctionCall(msgspec.Struct):
    """A tool call's name and its arguments as JSON text; in a stream, a piece of them."""

    name: str | None = None
    raw_arguments: str | dict[str, msgspec.Raw] | None = msgspec.field(name="arguments", default=None)

    @property
    def arguments(self) -> str:
        """The arguments as JSON text, even if the server sends an object."""
        raw = self.raw_arguments
        return msgspec.json.encode(raw).decode() if isinstance(raw, dict) else raw or ""


class CustomCall(msgspec.Struct):
    """A custom tool's name and its input; in a stream, a piece of it."""

    name: str | None = None
    input: str | None = None


class ToolCall(msgspec.Struct):
    """One tool call; in a stream, ``index`` is that of the call that a piece belongs to."""

    index: int | None = None
    id: str | None = None
    function: FunctionCall | None = None
    custom: CustomCall | None = None

    @property
    def name(self) -> str:
        """The name of the tool, maybe empty."""
        called = self.function or self.custom
        return (called.name if called is not None else None) or ""

    @property
    def arguments(self) -> str:
        """The arguments of a function, or the input of a custom tool."""
        if self.function is not None:
            return self.function.arguments
        return (self.custom.input if self.custom is not None else None) or ""


class ContentPart(msgspec.Struct):
    """A part of content that comes as a list (Mistral); only its text can be translated."""

    text: str | None = None


class ChatMessage(msgspec.Struct):
    """A message, or a delta of one; reasoning comes as ``reasoning_content`` (DeepSeek, vLLM) or ``reasoning``."""

    role: str | None = None
    raw_content: str | list[ContentPart] | None = msgspec.field(name="content", default=None)
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[ToolCall] | None = None

    @property
    def content(self) -> str:
        """The text, maybe empty."""
        raw = self.raw_content
        return "".join(part.text or "" for part in raw) if isinstance(raw, list) else raw or ""

    @property
    def reasoning_text(self) -> str:
        """The reasoning, maybe empty."""
        return self.reasoning_content or self.reasoning or ""


class TopLogprob(msgspec.Struct):
    """A token that was likely at a position of the text, and its log probability."""

    token: str
    logprob: float
    bytes: list[int] | None = None


class TokenLogprob(TopLogprob):
    """A token of the text, with the likeliest ones in its place."""

    top_logprobs: list[TopLogprob] | None = None


class _Logprobs(msgspec.Struct):
    content: list[TokenLogprob] | None = None


_logprobs_decoder = msgspec.json.Decoder(_Logprobs | None)


class Choice(msgspec.Struct):
    """One choice: ``message`` in a completion, ``delta`` in a chunk.

    Some servers name the stop sequence that was met: ``stop_reason`` (vLLM) or ``matched_stop`` (SGLang).
    """

    index: int | None = None
    message: ChatMessage | None = None
    delta: ChatMessage | None = None
    finish_reason: str | None = None
    stop_reason: Any = None
    matched_stop: Any = None
    raw_logprobs: msgspec.Raw = msgspec.field(name="logprobs", default=NULL)

    @property
    def logprobs(self) -> Sequence[TokenLogprob]:
        """The log probabilities of the text's tokens; none if the server sends none, or something else."""
        if self.raw_logprobs is NULL or self.raw_logprobs == NULL:
            return ()
        try:
            decoded = _logprobs_decoder.decode(self.raw_logprobs)
        except msgspec.DecodeError:
            return ()
        return (decoded.content if decoded is not None else None) or ()


class PromptDetails(msgspec.Struct):
    """The prompt's tokens by their source."""

    cached_tokens: Count = None
    cache_write_tokens: Count = None


class CompletionDetails(msgspec.Struct):
    """The completion's tokens by their use."""

    reasoning_tokens: Count = None


class ChatUsage(msgspec.Struct):
    """Tokens as the upstream counted them."""

    prompt_tokens: Count = None
    completion_tokens: Count = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None

    @property
    def input_tokens(self) -> int:
        """The prompt's tokens."""
        return int(self.prompt_tokens or 0)

    @property
    def cached_tokens(self) -> int:
        """Those of the prompt that were cached."""
        return int((self.prompt_tokens_details and self.prompt_tokens_details.cached_tokens) or 0)

    @property
    def cache_write_tokens(self) -> int:
        """Those of the prompt that were written to a cache."""
        return int((self.prompt_tokens_details and self.prompt_tokens_details.cache_write_tokens) or 0)

    @property
    def output_tokens(self) -> int:
        """The completion's tokens."""
        return int(self.completion_tokens or 0)

    @property
    def counts_reasoning(self) -> bool:
        """Whether the upstream counts reasoning apart."""
        details = self.completion_tokens_details
        return details is not None and details.reasoning_tokens is not None

    @property
    def reasoning_tokens(self) -> int:
        """Those of the completion that were reasoning."""
        return int((self.completion_tokens_details and self.completion_tokens_details.reasoning_tokens) or 0)


class ChatCompletion(msgspec.Struct):
    """A completion, or a chunk of one."""

    id: str | None = None
    model: str | None = None
    created: Count = None
    raw_choices: list[Choice] | None = msgspec.field(name="choices", default=None)
    usage: ChatUsage | None = None
    error: msgspec.Raw = NULL

    @property
    def first(self) -> Choice | None:
        """The first choice, the only one that is translated; None in a chunk that has only a usage."""
        for choice in self.raw_choices or ():  # for every chunk: a generator takes longer
            if not choice.index:
                return choice
        return None

    @property
    def created_at(self) -> int:
        """The time of the completion in seconds since 1970, 0 if unknown."""
        return int(self.created or 0)


_completion_decoder = msgspec.json.Decoder(ChatCompletion)


def parse_completion(body: bytes) -> tuple[ChatCompletion, Choice, ChatMessage]:
    """Parse a whole completion; return it, its first choice and that one's message; raises UpstreamError."""
    completion = _parse(body)
    choice = completion.first
    if choice is None or choice.message is None:
        raise UpstreamError("The upstream's answer has no message in it. Try again.")
    return completion, choice, choice.message


class ChunkParser:
    """Splits a chat stream into its chunks; ``done`` once the upstream said that it is complete."""

    def __init__(self) -> None:
        self._lines = LineSplitter()
        self.done = False

    def feed(self, data: bytes) -> Iterator[ChatCompletion]:
        """Yield the chunks that are whole after ``data``, up to the end of the completion.

        Raises UpstreamError on a chunk that is an error.
        """
        for line in self._lines.feed(data).splitlines():
            if self.done:
                return
            if not line.startswith(b"data:"):
                continue
            payload = line.removeprefix(b"data:").strip()
            if payload == b"[DONE]":
                self.done = True
            elif payload:
                yield _parse(payload)


def _parse(data: bytes) -> ChatCompletion:
    try:
        completion = _completion_decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UpstreamError("The upstream answered with something other than chat completions. Try again.") from None
    if completion.error is not NULL and completion.error != NULL:
        reported = read_reported_fields(bytes(completion.error))
        raise reported.add_to(UpstreamError("The upstream failed in the middle of its answer. Try again."))
    return completion
