"""Converse's answers as chat completions: whole ones, and streams event by event (docs/bedrock.md has the table)."""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from obscura.errors import UpstreamError
from obscura.upstreams.bedrock.errors import error_named, error_of_event
from obscura.upstreams.bedrock.event_stream import EventMessage, EventStreamParser, decoded

_FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}
_MALFORMED_OUTPUT = frozenset({"malformed_model_output", "malformed_tool_use"})


class _ReasoningText(msgspec.Struct):
    text: str = ""
    signature: str | None = None


class _Reasoning(msgspec.Struct, rename="camel"):
    """Of a whole answer ``reasoning_text``, of a stream pieces of the others."""

    reasoning_text: _ReasoningText | None = None
    redacted_content: str | None = None
    text: str | None = None
    signature: str | None = None


class _ToolUse(msgspec.Struct, rename="camel"):
    tool_use_id: str = ""
    name: str = ""
    input: msgspec.Raw = msgspec.Raw(b"{}")


class _CitedText(msgspec.Struct):
    text: str = ""


class _Citations(msgspec.Struct):
    content: list[_CitedText] | None = None


class _Block(msgspec.Struct, rename="camel"):
    text: str | None = None
    tool_use: _ToolUse | None = None
    reasoning_content: _Reasoning | None = None
    citations_content: _Citations | None = None
    citation: msgspec.Raw | None = None


class _Message(msgspec.Struct):
    content: list[_Block]


class _Output(msgspec.Struct):
    message: _Message


class _Usage(msgspec.Struct, rename="camel"):
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None


class _Answer(msgspec.Struct, rename="camel"):
    output: _Output
    stop_reason: str
    usage: _Usage = msgspec.field(default_factory=_Usage)


class _Event(msgspec.Struct, rename="camel"):
    """Any event of a stream."""

    content_block_index: int = 0
    start: _Block | None = None
    delta: _Block | None = None
    stop_reason: str = ""
    usage: _Usage | None = None


_answer_decoder = msgspec.json.Decoder(_Answer)
_event_decoder = msgspec.json.Decoder(_Event)


@dataclass(frozen=True, slots=True)
class ConverseReader:
    """Reads the answer to one request; ``model`` is the one that it named."""

    model: str
    includes_usage: bool

    def decode(self, body: bytes) -> bytes:
        """Return a completion; raises UpstreamError if the answer is malformed or cannot be carried."""
        try:
            answer = _answer_decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise UpstreamError("The upstream answered with something other than Converse's JSON. Try again.") from None
        choice = {
            "index": 0,
            "message": _message(answer.output.message.content),
            "logprobs": None,
            "finish_reason": _finish_reason(answer.stop_reason),
        }
        head = _head("chat.completion", self.model)
        return msgspec.json.encode(head | {"choices": [choice], "usage": _chat_usage(answer.usage)})

    def stream_decoder(self) -> "ConverseStream":
        """Return the decoder of a streamed answer."""
        return ConverseStream(self.model, includes_usage=self.includes_usage)


def _head(kind: str, model: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{secrets.token_hex(12)}", "object": kind, "created": int(time.time()), "model": model}


def _finish_reason(stop_reason: str) -> str:
    if stop_reason in _MALFORMED_OUTPUT:
        raise UpstreamError(f"The model's output was malformed ({stop_reason}). Try again.")
    return _FINISH_REASONS.get(stop_reason, "stop")


def _chat_usage(usage: _Usage) -> dict[str, Any]:
    """Return chat's usage, whose prompt counts what was cached as well."""
    read, written = usage.cache_read_input_tokens or 0, usage.cache_write_input_tokens or 0
    prompt = usage.input_tokens + read + written
    details = {"cached_tokens": read, "cache_write_tokens": written}
    return {
        "prompt_tokens": prompt,
        "completion_tokens": usage.output_tokens,
        "total_tokens": prompt + usage.output_tokens,
        "prompt_tokens_details": details,
    }


def _message(blocks: list[_Block]) -> dict[str, Any]:
    texts: list[str] = []
    reasoning: list[str] = []
    thinking: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    for block in blocks:
        if block.text is not None:
            texts.append(block.text)
        elif block.tool_use is not None:
            called = {"name": block.tool_use.name, "arguments": bytes(block.tool_use.input).decode()}
            calls.append({"id": block.tool_use.tool_use_id, "type": "function", "function": called})
        elif block.reasoning_content is not None:
            part = block.reasoning_content
            if part.redacted_content is not None:
                thinking.append({"type": "redacted_thinking", "data": part.redacted_content})
            elif part.reasoning_text is not None:
                reasoning.append(part.reasoning_text.text)
                thinking.append(_thinking(part.reasoning_text.text, part.reasoning_text.signature))
        elif block.citations_content is not None:
            texts += [cited.text for cited in block.citations_content.content or ()]
        else:
            raise _cannot_carry()
    message: dict[str, Any] = {"role": "assistant", "content": "".join(texts) if texts or not calls else None}
    if reasoning:
        message["reasoning_content"] = "".join(reasoning)
    if thinking:
        message["thinking_blocks"] = thinking
    return message | ({"tool_calls": calls} if calls else {})


def _thinking(text: str, signature: str | None) -> dict[str, Any]:
    return {"type": "thinking", "thinking": text} | ({"signature": signature} if signature is not None else {})


def _cannot_carry() -> UpstreamError:
    return UpstreamError("The model answered with content that chat completions cannot carry.")


class ConverseStream:
    """Decodes one stream to the chunks of a chat completion."""

    def __init__(self, model: str, *, includes_usage: bool) -> None:
        self._parser = EventStreamParser()
        self._includes_usage = includes_usage
        head = msgspec.json.encode(_head("chat.completion.chunk", model))[:-1]
        self._before_delta = b'data: %b,"choices":[{"index":0,"delta":' % head
        self._usage_chunk = b'data: %b,"choices":[],"usage":' % head
        self._calls: dict[int, int] = {}
        self._called_without_input: set[int] = set()
        self._handlers: Mapping[str, Callable[[_Event], bytes]] = {
            "messageStart": self._on_message_start,
            "contentBlockStart": self._on_start,
            "contentBlockDelta": self._on_delta,
            "contentBlockStop": self._on_stop,
            "messageStop": self._on_message_stop,
            "metadata": self._on_metadata,
        }

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the chunks that are ready; see ``StreamDecoder``."""
        return decoded(self._parser.feed(chunk), self._on_message)

    def _on_message(self, message: EventMessage) -> bytes:
        event = event_of(message)
        try:
            parsed = _event_decoder.decode(message.payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise UpstreamError("The upstream sent an event that cannot be read. Try again.") from None
        handler = self._handlers.get(event)  # events of a newer version stand beside the answer
        return b"" if handler is None else handler(parsed)

    def _on_message_start(self, event: _Event) -> bytes:
        return self._chunk({"role": "assistant", "content": ""})

    def _on_message_stop(self, event: _Event) -> bytes:
        return self._chunk({}, _finish_reason(event.stop_reason))

    def _on_start(self, event: _Event) -> bytes:
        called = event.start.tool_use if event.start is not None else None
        if called is None:
            if event.start is not None and event.start.text is None:
                raise _cannot_carry()
            return b""
        index = self._calls[event.content_block_index] = len(self._calls)
        self._called_without_input.add(event.content_block_index)
        function = {"name": called.name, "arguments": ""}
        call = {"index": index, "id": called.tool_use_id, "type": "function", "function": function}
        return self._chunk({"tool_calls": [call]})

    def _on_delta(self, event: _Event) -> bytes:
        delta = event.delta
        if delta is None:
            return b""
        if delta.text is not None:
            return self._chunk({"content": delta.text})
        if delta.tool_use is not None:
            return self._arguments(event.content_block_index, _piece(delta.tool_use.input))
        if delta.reasoning_content is not None:
            return self._on_reasoning(delta.reasoning_content)
        if delta.citation is not None:
            return b""
        raise _cannot_carry()

    def _on_reasoning(self, piece: _Reasoning) -> bytes:
        if piece.text is not None:
            return self._chunk({"reasoning_content": piece.text})
        if piece.signature is not None:
            return self._chunk({"thinking_blocks": [_thinking("", piece.signature)]})
        if piece.redacted_content is not None:
            return self._chunk({"thinking_blocks": [{"type": "redacted_thinking", "data": piece.redacted_content}]})
        return b""

    def _arguments(self, block: int, piece: str) -> bytes:
        index = self._calls.get(block)
        if index is None:
            raise UpstreamError("The upstream called a tool without naming it. Try again.")
        if not piece:
            return b""
        self._called_without_input.discard(block)
        return self._chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})

    def _on_stop(self, event: _Event) -> bytes:
        block = event.content_block_index
        return self._arguments(block, "{}") if block in self._called_without_input else b""

    def _on_metadata(self, event: _Event) -> bytes:
        usage = event.usage or _Usage()
        counted = b"%b%b}\n\n" % (self._usage_chunk, msgspec.json.encode(_chat_usage(usage)))
        return (counted if self._includes_usage else b"") + b"data: [DONE]\n\n"

    def _chunk(self, delta: Mapping[str, Any], finish_reason: str | None = None) -> bytes:
        written = msgspec.json.encode(finish_reason)
        return b'%b%b,"finish_reason":%b}]}\n\n' % (self._before_delta, msgspec.json.encode(delta), written)


def _piece(raw: msgspec.Raw) -> str:
    try:
        return msgspec.json.decode(raw, type=str)
    except msgspec.DecodeError:
        raise UpstreamError("The upstream sent an event that cannot be read. Try again.") from None


def event_of(message: EventMessage) -> str:
    """Return a message's event; raises the error of a message that is an exception."""
    headers = message.headers
    match headers.get(":message-type"):
        case "event":
            return headers.get(":event-type", "")
        case "exception":
            raise error_of_event(headers.get(":exception-type", ""), message.payload)
        case _:
            raise error_named(headers.get(":error-code", ""), headers.get(":error-message", ""))
