"""A chat stream told as the events of a response, each as soon as its chunk is there."""

import secrets
import time
from collections.abc import Sequence

from obscura.dialects.chat.response import ChatCompletion, ChunkParser, Usage
from obscura.dialects.responses.from_chat.events import (
    Completed,
    Created,
    EventWriter,
    Failed,
    Incomplete,
    InProgress,
    error_event,
)
from obscura.dialects.responses.from_chat.objects import (
    ResponseError,
    ResponseHead,
    incomplete_details,
    response,
    response_usage,
)
from obscura.dialects.responses.from_chat.output import OutputBuilder
from obscura.errors import ObscuraError, UpstreamError


class ResponsesStream:
    """The way of one streamed answer.

    It begins with the first chunk and ends with ``response.completed`` or ``.incomplete`` once the upstream has said
    that it is done, because the usage comes after everything else.
    """

    def __init__(self, model: str, echo: bytes, image_tokens: Sequence[int]) -> None:
        """``model`` as asked for; ``echo`` are the members of the response that repeat the request."""
        self._echo = echo
        self._image_tokens = image_tokens
        self._reader = ChunkParser()
        self._writer = EventWriter()
        number = secrets.token_hex(24)
        self._output = OutputBuilder(number, self._writer)
        self._head = ResponseHead(f"resp_{number}", int(time.time()), model, "in_progress", [])
        self._usage: Usage | None = None
        self._finish_reason: str | None = None
        self._ended = False

    @property
    def ended(self) -> bool:
        """Whether the response has ended."""
        return self._ended

    def feed(self, chunk: bytes) -> bytes:
        """Return the events of the chunks that are whole now.

        Raises UpstreamError when the upstream has failed; ``fail`` then gives the events that came before, too.
        """
        self._read(chunk)
        return self._writer.taken()

    def finish(self) -> bytes:
        """End the response; raises UpstreamError when the upstream broke off before it said why it stopped."""
        self._read(b"\n")
        if not self._ended and self._finish_reason is None:
            raise UpstreamError("The upstream ended its stream before its answer was whole. Try again.")
        self._end()
        return self._writer.taken()

    def fail(self, error: ObscuraError, request_id: str) -> bytes:
        """Return the last events of a stream that cannot go on: everything done so far, the failure, the error."""
        if self._ended:
            return self._writer.taken()
        self._begin()
        self._output.end("incomplete", others="incomplete")
        self._ended = True
        self._head.status = "failed"
        self._head.output = self._output.items
        limited = error.code == "rate_limit_exceeded"
        self._head.error = ResponseError("rate_limit_exceeded" if limited else "server_error", error.message)
        self._writer.write(Failed(response(self._head, self._echo)))
        return self._writer.taken() + error_event(error, self._writer.next_number)

    def _read(self, chunk: bytes) -> None:
        if self._ended:
            return
        for answer in self._reader.feed(chunk):
            self._take(answer)
        if self._reader.done:
            self._end()

    def _take(self, answer: ChatCompletion) -> None:
        self._begin(answer)
        self._usage = answer.usage or self._usage
        choice = answer.first
        if choice is not None:
            if choice.delta is not None:
                self._output.take(choice.delta)
            self._finish_reason = choice.finish_reason or self._finish_reason

    def _begin(self, answer: ChatCompletion | None = None) -> None:
        """Tell once that the response begins, under the model and the time that the upstream tells first."""
        if self._writer.next_number:
            return
        if answer is not None:
            self._head.model = answer.model or self._head.model
            self._head.created_at = answer.created_at or self._head.created_at
        begun = response(self._head, self._echo)
        self._writer.write(Created(begun), InProgress(begun))

    def _end(self) -> None:
        if self._ended:
            return
        self._begin()
        incomplete = incomplete_details(self._finish_reason)
        self._output.end("incomplete" if incomplete else "completed")
        self._ended = True
        head = self._head
        head.output = self._output.items
        head.usage = response_usage(self._usage, self._image_tokens)
        head.status = "incomplete" if incomplete else "completed"
        head.incomplete_details = incomplete
        head.completed_at = None if incomplete else int(time.time())
        whole = response(head, self._echo)
        self._writer.write(Incomplete(whole) if incomplete else Completed(whole))
