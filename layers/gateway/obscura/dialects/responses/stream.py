"""A chat stream as the events of a response, each sent as soon as its chunk has arrived."""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass

from obscura.dialects.base import StreamTranslator
from obscura.dialects.chat.response import ChatCompletion, ChatUsage, ChunkParser
from obscura.dialects.responses.called_tools import CalledTools
from obscura.dialects.responses.events import (
    STREAM_END,
    Completed,
    Created,
    EventWriter,
    Failed,
    Incomplete,
    InProgress,
    error_event,
)
from obscura.dialects.responses.objects import (
    ResponseError,
    ResponseHead,
    encode_response,
    incomplete_details,
    usage_from_chat,
)
from obscura.dialects.responses.response import to_response
from obscura.dialects.responses.stream_items import OutputBuilder
from obscura.errors import ObscuraError, UpstreamError


@dataclass(frozen=True, slots=True)
class ResponsesTranslator:
    """Translates chat answers to responses.

    ``echo`` has the fields of a response that repeat the request, ``called`` its tools by their names in chat.
    """

    model: str
    echo: bytes
    called: CalledTools

    def translate(self, upstream_body: bytes, image_tokens: Sequence[int]) -> bytes:
        """Write a completion as a response; raises UpstreamError if the body is no completion."""
        return to_response(upstream_body, self.model, self.echo, self.called, image_tokens)

    def stream(self, image_tokens: Sequence[int]) -> StreamTranslator:
        """Return the translator of one stream."""
        return ResponsesStream(self, image_tokens)


class ResponsesStream:
    """Translates one chat stream.

    The response starts with the first chunk. It ends, with ``response.completed`` or ``.incomplete``, only when the
    upstream has ended its stream, because the usage is in the last chunk.
    """

    def __init__(self, translator: ResponsesTranslator, image_tokens: Sequence[int]) -> None:
        """Begin the response of one request."""
        self._echo = translator.echo
        self._image_tokens = image_tokens
        self._chunks = ChunkParser()
        self._writer = EventWriter()
        unique_id = secrets.token_hex(24)
        self._output = OutputBuilder(unique_id, self._writer, translator.called)
        self._head = ResponseHead(f"resp_{unique_id}", int(time.time()), translator.model, "in_progress", [])
        self._usage: ChatUsage | None = None
        self._finish_reason: str | None = None
        self._ended = False

    @property
    def complete(self) -> bool:
        """Whether the response has ended."""
        return self._ended

    def feed(self, chunk: bytes) -> bytes:
        """Return the events of the chat chunks that ``chunk`` completes.

        Raises UpstreamError if the upstream reports an error; ``fail`` then returns the events before it, too.
        """
        self._translate(chunk)
        return self._writer.drain()

    def finish(self) -> bytes:
        """End the response; raises UpstreamError if the upstream closed its stream without a finish reason."""
        self._translate(b"\n")
        if not self._ended and self._finish_reason is None:
            raise UpstreamError("The upstream's answer broke off before its end. Try again.")
        self._finish()
        return self._writer.drain()

    def fail(self, error: ObscuraError, request_id: str) -> bytes:
        """Return the end of a failed stream: the open items ended, the failed response, the error event."""
        if self._ended:
            return self._writer.drain()
        self._start()
        self._output.close("incomplete", others="incomplete")
        self._ended = True
        self._head.status = "failed"
        self._head.usage = None
        self._head.output = self._output.items
        rate_limited = error.code == "rate_limit_exceeded"
        self._head.error = ResponseError("rate_limit_exceeded" if rate_limited else "server_error", error.message)
        self._writer.write(Failed(encode_response(self._head, self._echo)))
        return self._writer.drain() + error_event(error, self._writer.next_number) + STREAM_END

    def _translate(self, data: bytes) -> None:
        if self._ended:
            return
        for chunk in self._chunks.feed(data):
            self._on_chunk(chunk)
        if self._chunks.done:
            self._finish()

    def _on_chunk(self, chunk: ChatCompletion) -> None:
        self._start(chunk)
        self._usage = chunk.usage or self._usage
        choice = chunk.first
        if choice is not None:
            if choice.delta is not None:
                self._output.append(choice.delta, choice.logprobs)
            self._finish_reason = choice.finish_reason or self._finish_reason

    def _start(self, chunk: ChatCompletion | None = None) -> None:
        """Start the response, once, with the model and the time of the first chunk."""
        if self._writer.next_number:
            return
        if chunk is not None:
            self._head.model = chunk.model or self._head.model
            self._head.created_at = chunk.created_at or self._head.created_at
        response = encode_response(self._head, self._echo)
        self._writer.write(Created(response), InProgress(response))

    def _finish(self) -> None:
        if self._ended:
            return
        self._start()
        incomplete = incomplete_details(self._finish_reason)
        self._output.close("incomplete" if incomplete else "completed")
        self._ended = True
        head = self._head
        head.output = self._output.items
        head.usage = usage_from_chat(self._usage, self._image_tokens)
        head.status = "incomplete" if incomplete else "completed"
        head.incomplete_details = incomplete
        head.completed_at = None if incomplete else int(time.time())
        response = encode_response(head, self._echo)
        self._writer.write(Incomplete(response) if incomplete else Completed(response))
        self._writer.end()
