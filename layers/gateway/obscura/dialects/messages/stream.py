"""A chat stream as the events of a Messages stream, each as soon as its chunk arrives."""

from collections.abc import Sequence
from dataclasses import dataclass

from obscura.dialects.base import StreamTranslator
from obscura.dialects.chat.response import ChatCompletion, ChatMessage, ChatUsage, ChunkParser
from obscura.dialects.messages import events
from obscura.dialects.messages.response import (
    DeltaUsage,
    Message,
    Usage,
    matched_sequence,
    message_id,
    stop_reason,
    to_message,
    usage_from_chat,
)
from obscura.dialects.messages.stream_blocks import BlockSequencer
from obscura.errors import ObscuraError, UpstreamError


class MessagesStream:
    """Translates chunks to events; the message ends with the stream, since chat's usage comes in the last chunk."""

    def __init__(
        self, model: str, stop_sequences: Sequence[str], thinking_shown: bool, image_tokens: Sequence[int]
    ) -> None:
        """``model`` is the requested one."""
        self._model = model
        self._stop_sequences = stop_sequences
        self._thinking_shown = thinking_shown
        self._image_tokens = image_tokens
        self._chunks = ChunkParser()
        self._blocks = BlockSequencer()
        self._started = self._has_refusal = False
        self._finish_reason: str | None = None
        self._sequence: str | None = None
        self._usage: ChatUsage | None = None
        self._error: UpstreamError | None = None
        self.complete = False

    def feed(self, chunk: bytes) -> bytes:
        """Return the events that are ready; an error is raised only after the events before it were returned."""
        if self._error is not None:
            raise self._error
        ready: list[bytes] = []
        try:
            ready.extend(map(self._on_chunk, self._chunks.feed(chunk)))
            if self._chunks.done:
                ready.append(self._finish())
        except UpstreamError as error:
            if not any(ready):
                raise
            self._error = error
        return b"".join(ready)

    def finish(self) -> bytes:
        """End the message; raises UpstreamError if the upstream broke off before it gave a finish reason."""
        rest = self.feed(b"\n")
        if not self.complete and self._finish_reason is None:
            raise UpstreamError("The upstream's answer broke off before its end. Try again.")
        return rest + self._finish()

    def fail(self, error: ObscuraError, request_id: str) -> bytes:
        """Return the event that ends a stream which cannot go on; nothing once the message is complete."""
        return b"" if self.complete else events.error_event(error, request_id)

    def _on_chunk(self, chunk: ChatCompletion) -> bytes:
        ready = self._start(chunk.id)
        self._usage = chunk.usage or self._usage
        choice = chunk.first
        if choice is not None:
            ready += self._on_delta(choice.delta or choice.message or ChatMessage())
            self._finish_reason = choice.finish_reason or self._finish_reason
            self._sequence = matched_sequence(choice, self._stop_sequences) or self._sequence
        return ready

    def _on_delta(self, delta: ChatMessage) -> bytes:
        ready = b""
        if delta.reasoning_text and self._thinking_shown:
            ready += self._blocks.add_text(delta.reasoning_text, thinking=True)
        if delta.content:
            ready += self._blocks.add_text(delta.content, thinking=False)
        if delta.refusal:
            self._has_refusal = True
            ready += self._blocks.add_text(delta.refusal, thinking=False)
        for call in delta.tool_calls or ():
            ready += self._blocks.add_tool_call(call)
        return ready

    def _start(self, chat_id: str | None) -> bytes:
        if self._started:
            return b""
        self._started = True
        usage = usage_from_chat(Usage, None, self._image_tokens)
        message = Message(id=message_id(chat_id), model=self._model, content=(), usage=usage)
        return events.encode_event(events.MessageStart(message)) + events.encode_event(events.Ping())

    def _finish(self) -> bytes:
        if self.complete:
            return b""
        ready = self._start(None) + self._blocks.close()
        self.complete = True
        stop = stop_reason(self._finish_reason, self._blocks.has_tool_calls, self._has_refusal, self._sequence)
        delta = events.StopDelta(stop.reason, stop.sequence)
        usage = usage_from_chat(DeltaUsage, self._usage, self._image_tokens)
        return (
            ready + events.encode_event(events.MessageDelta(delta, usage)) + events.encode_event(events.MessageStop())
        )


@dataclass(frozen=True, slots=True)
class MessagesTranslator:
    """Translates the response to one request; ``model`` is the requested one, whatever the upstream calls it."""

    model: str
    stop_sequences: tuple[str, ...]
    thinking_shown: bool

    def translate(self, upstream_body: bytes, image_tokens: Sequence[int]) -> bytes:
        """Translate a whole completion; raises UpstreamError if it is none."""
        return to_message(upstream_body, self.model, self.stop_sequences, self.thinking_shown, image_tokens)

    def stream(self, image_tokens: Sequence[int]) -> StreamTranslator:
        """Return the translator of a stream of chunks."""
        return MessagesStream(self.model, self.stop_sequences, self.thinking_shown, image_tokens)
