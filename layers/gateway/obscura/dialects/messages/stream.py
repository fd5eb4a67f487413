"""A chat stream on its way to a caller of Messages: each chunk is told as it comes in."""

from collections.abc import Sequence
from dataclasses import dataclass

from obscura.dialects.base import StreamTranslator
from obscura.dialects.chat.response import ChatCompletion, ChatMessage, ChunkParser, Usage
from obscura.dialects.messages import events
from obscura.dialects.messages.response import (
    Message,
    matched_sequence,
    message_id,
    stop_reason,
    to_message,
    usage_from_chat,
)
from obscura.dialects.messages.stream_blocks import BlockSequencer
from obscura.errors import ObscuraError, UpstreamError


class MessagesStream:
    """Tells chunks as events; the message ends with the stream, since chat's usage comes after its last words."""

    def __init__(
        self, model: str, stop_sequences: Sequence[str], thinking_shown: bool, image_tokens: Sequence[int]
    ) -> None:
        """``model`` is the one that was asked for."""
        self._model = model
        self._stop_sequences = stop_sequences
        self._thinking_shown = thinking_shown
        self._image_tokens = image_tokens
        self._chunks = ChunkParser()
        self._blocks = BlockSequencer()
        self._begun = self._ended = self._refused = False
        self._finish_reason: str | None = None
        self._sequence: str | None = None
        self._usage: Usage | None = None
        self._failure: UpstreamError | None = None

    @property
    def ended(self) -> bool:
        """Whether the message has ended."""
        return self._ended

    def feed(self, chunk: bytes) -> bytes:
        """Return the events that are ready; an error is raised only after what came before it has been given."""
        if self._failure is not None:
            raise self._failure
        told: list[bytes] = []
        try:
            told.extend(map(self._tell, self._chunks.feed(chunk)))
            if self._chunks.done:
                told.append(self._end())
        except UpstreamError as failure:
            if not any(told):
                raise
            self._failure = failure
        return b"".join(told)

    def finish(self) -> bytes:
        """End the message; raises UpstreamError when the upstream broke off before it said that it was done."""
        rest = self.feed(b"\n")
        if not self._ended and self._finish_reason is None:
            raise UpstreamError("The upstream's answer broke off before its end. Try again.")
        return rest + self._end()

    def fail(self, error: ObscuraError, request_id: str) -> bytes:
        """Return the event that ends a stream which cannot go on; nothing once the message has ended."""
        return b"" if self._ended else events.error_event(error, request_id)

    def _tell(self, answer: ChatCompletion) -> bytes:
        told = [self._begin(answer.id)]
        self._usage = answer.usage or self._usage
        choice = answer.first
        if choice is not None:
            told.append(self._say(choice.delta or choice.message or ChatMessage()))
            self._finish_reason = choice.finish_reason or self._finish_reason
            self._sequence = matched_sequence(choice, self._stop_sequences) or self._sequence
        return b"".join(told)

    def _begin(self, chat_id: str | None) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        usage = usage_from_chat(None, self._image_tokens)
        message = Message(id=message_id(chat_id), model=self._model, content=(), usage=usage)
        return events.encode_event(events.MessageStart(message)) + events.encode_event(events.Ping())

    def _say(self, said: ChatMessage) -> bytes:
        told: list[bytes] = []
        thought = said.reasoning_content or said.reasoning
        if thought and self._thinking_shown:
            told.append(self._blocks.speak(thought, thinking=True))
        if said.content:
            told.append(self._blocks.speak(said.content, thinking=False))
        if said.refusal:
            self._refused = True
            told.append(self._blocks.speak(said.refusal, thinking=False))
        told += [self._blocks.call(call) for call in said.tool_calls or ()]
        return b"".join(told)

    def _end(self) -> bytes:
        if self._ended:
            return b""
        told = self._begin(None) + self._blocks.end()
        self._ended = True
        stop = stop_reason(self._finish_reason, self._blocks.called, self._refused, self._sequence)
        delta = events.StopDelta(stop.reason, stop.sequence)
        usage = usage_from_chat(self._usage, self._image_tokens)
        return told + events.encode_event(events.MessageDelta(delta, usage)) + events.encode_event(events.MessageStop())


@dataclass(frozen=True, slots=True)
class MessagesTranslator:
    """What the way back knows of the request; ``model`` is named as it was asked for."""

    model: str
    stop_sequences: tuple[str, ...]
    thinking_shown: bool

    def answer(self, upstream_body: bytes, image_tokens: Sequence[int]) -> bytes:
        """Write the completion as a message."""
        return to_message(upstream_body, self.model, self.stop_sequences, self.thinking_shown, image_tokens)

    def stream(self, image_tokens: Sequence[int]) -> StreamTranslator:
        """Open the way for a stream of chunks, which becomes one of events."""
        return MessagesStream(self.model, self.stop_sequences, self.thinking_shown, image_tokens)
