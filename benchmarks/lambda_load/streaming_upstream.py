"""An upstream on a plain socket that records when it sent the first event of its last stream."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from time import monotonic, sleep

from benchmarks.gateway_load.completion import sse_events

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
BETWEEN_EVENTS_S = 0.02


@dataclass(slots=True)
class StreamingUpstream:
    """``first_event_s`` is an instant of the machine's monotonic clock."""

    base_url: str
    first_event_s: float = 0.0

    def serve(self, listener: socket.socket) -> None:
        """Serve one connection after the other, until the listener is closed."""
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    self._respond(connection)

    def _respond(self, connection: socket.socket) -> None:
        first, *rest = [b"%x\r\n%b\r\n" % (len(event), event) for event in sse_events()]
        while _receive(connection):
            self.first_event_s = monotonic()
            connection.sendall(_HEAD + first)
            sleep(BETWEEN_EVENTS_S)
            connection.sendall(b"".join(rest) + b"0\r\n\r\n")


def _receive(connection: socket.socket) -> bool:
    """Read one whole request; return False if the connection was closed."""
    request = b""
    while b"\r\n\r\n" not in request or len(request) < _length(request):
        piece = connection.recv(65536)
        if not piece:
            return False
        request += piece
    return True


def _length(request: bytes) -> int:
    head, _, _ = request.partition(b"\r\n\r\n")
    lengths = [line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return len(head) + 4 + int(lengths[0])


@contextmanager
def streaming_upstream() -> Iterator[StreamingUpstream]:
    """Serve streams while the block runs."""
    listener = socket.create_server(("127.0.0.1", 0))
    upstream = StreamingUpstream(f"http://127.0.0.1:{listener.getsockname()[1]}/v1")
    threading.Thread(target=upstream.serve, args=(listener,), daemon=True).start()
    try:
        yield upstream
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
