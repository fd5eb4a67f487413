"""One HTTP answer as it comes in, whoever reads the socket."""

import httptools

from benchmarks.gateway_load.spoken import is_the_answer


class Refused(Exception):
    """A subject did not give the answer that the upstream gave it."""


class AnswerReader:
    """Fed with what a socket gives; knows the status, whether body bytes have begun, and when all of it is there."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._pieces: list[bytes] = []
        self.complete = False

    @property
    def begun(self) -> bool:
        """Whether a byte of the body has arrived."""
        return bool(self._pieces)

    @property
    def status(self) -> int:
        return self._parser.get_status_code()

    @property
    def body(self) -> bytes:
        return b"".join(self._pieces)

    def feed(self, data: bytes) -> None:
        if not data:
            raise Refused("the connection closed before the answer was complete")
        self._parser.feed_data(data)

    def on_body(self, piece: bytes) -> None:
        self._pieces.append(piece)

    def on_message_complete(self) -> None:
        self.complete = True


def check(reader: AnswerReader, *, streamed: bool) -> None:
    """Raise Refused unless the answer is a 200 with all that the upstream said."""
    if reader.status != 200:
        raise Refused(f"status {reader.status}: {reader.body[:300].decode(errors='replace')}")
    if not is_the_answer(reader.body, streamed=streamed):
        raise Refused(f"not the upstream's answer: {reader.body[:300].decode(errors='replace')}")
