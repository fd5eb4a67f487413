"""A chat stream told as the events of a response, each as soon as its chunk is there."""

import secrets
import time
from collections.abc import Iterable, Sequence

from obscura.errors import ObscuraError, UpstreamError
from obscura.wire.chat_answer import ChatAnswer, ChunkReader, Usage
from obscura.wire.responses.error_event import error_event
from obscura.wire.responses.events import (
    Completed,
    Created,
    EventWriter,
    Failed,
    Incomplete,
    InProgress,
)
from obscura.wire.responses.growing_output import GrowingOutput
from obscura.wire.responses.objects import ResponseError, ResponseHead, response
from obscura.wire.responses.outcome import incomplete_details, response_usage


class ResponsePassage:
    """The way of one streamed answer.

    It begins with the first chunk and ends with ``response.completed`` or ``.incomplete`` once the upstream has said
    that it is done, because the usage comes after everything else.
    """

    def __init__(self, model: str, echo: bytes, image_tokens: Sequence[int]) -> None:
        """``model`` as asked for; ``echo`` are the members of the response that repeat the request."""
        self._echo = echo
        self._image_tokens = image_tokens
        self._reader = ChunkReader()
        self._writer = EventWriter()
        number = secrets.token_hex(24)
        self._output = GrowingOutput(number, self._writer)
        self._head = ResponseHead(f"resp_{number}", int(time.time()), model, "in_progress", [])
        self._usage: Usage | None = None
        self._finish_reason: str | None = None
        self._failure: UpstreamError | None = None
        self._ended = False

    def feed(self, chunk: bytes) -> bytes:
        """Give the events of the chunks that are whole now; raises UpstreamError once the upstream has failed."""
        self._raise_failure()
        written: list[bytes] = []
        try:
            for answer in self._reader.feed(chunk):
                written += self._take(answer)
        except UpstreamError as failure:
            if not written:
                raise
            self._failure = failure
        if self._reader.done and self._failure is None:
            written += self._end()
        return b"".join(written)

    def finish(self) -> bytes:
        """End the response; raises UpstreamError when the upstream broke off before it said why it stopped."""
        rest = self.feed(b"\n")
        self._raise_failure()
        if not self._reader.done and self._finish_reason is None:
            raise UpstreamError("The upstream ended its stream before its answer was whole. Try again.")
        return rest + b"".join(self._end())

    def fail(self, error: ObscuraError, request_id: str) -> bytes:
        """Give the last events of a stream that cannot go on: everything done so far, the failure, the error."""
        if self._ended:
            return b""
        written = [*self._begin(), *self._output.end("incomplete")]
        self._ended = True
        self._head.status = "failed"
        self._head.output = self._output.items
        limited = error.code == "rate_limit_exceeded"
        self._head.error = ResponseError("rate_limit_exceeded" if limited else "server_error", error.message)
        written.append(self._writer.write(Failed(response(self._head, self._echo))))
        return b"".join([*written, error_event(error, self._writer.next_number)])

    def _take(self, answer: ChatAnswer) -> Iterable[bytes]:
        if self._ended:
            return
        yield from self._begin(answer)
        self._usage = answer.usage or self._usage
        for choice in answer.choices:
            if choice.index == 0:
                if choice.delta is not None:
                    yield from self._output.take(choice.delta)
                self._finish_reason = choice.finish_reason or self._finish_reason

    def _begin(self, answer: ChatAnswer | None = None) -> Iterable[bytes]:
        """Tell once that the response begins, under the model and the time that the upstream tells first."""
        if self._writer.next_number:
            return
        if answer is not None:
            self._head.model = answer.model or self._head.model
            self._head.created_at = answer.created or self._head.created_at
        begun = response(self._head, self._echo)
        yield self._writer.write(Created(begun), InProgress(begun))

    def _end(self) -> Iterable[bytes]:
        if self._ended:
            return
        yield from self._begin()
        incomplete = incomplete_details(self._finish_reason)
        yield from self._output.end("incomplete" if incomplete else "completed")
        self._ended = True
        head = self._head
        head.output = self._output.items
        head.usage = response_usage(self._usage, self._image_tokens)
        head.status = "incomplete" if incomplete else "completed"
        head.incomplete_details = incomplete
        head.completed_at = None if incomplete else int(time.time())
        whole = response(head, self._echo)
        yield self._writer.write(Incomplete(whole) if incomplete else Completed(whole))

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
