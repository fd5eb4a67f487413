"""A Runtime API on a plain socket, so light that what is timed is the runtime: one event out, one response in."""

import json
import socket
from dataclasses import dataclass
from time import monotonic

_NULS = bytes(8)


@dataclass(frozen=True, slots=True)
class Timed:
    """One invocation: milliseconds until its response was whole, and instants on the machine's monotonic clock."""

    whole_ms: float
    first_byte_s: float
    response: bytes


class StandIn:
    """Serves the one connection that a runtime opens."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._line: socket.socket | None = None

    def invoke(self, event: dict[str, object]) -> Timed:
        """Answer the runtime's GET with an event and time its response, from the first byte out to the last in."""
        body = json.dumps(event).encode()
        head = (
            f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nLambda-Runtime-Aws-Request-Id: 1\r\n"
            "Lambda-Runtime-Deadline-Ms: 99999999999999\r\n\r\n"
        )
        line = self._next_asked()
        began_s = monotonic()
        line.sendall(head.encode() + body)
        response, first_byte_s = bytearray(), 0.0
        while not response.endswith(b"\r\n0\r\n\r\n"):
            response += line.recv(1 << 18)
            if not first_byte_s and len(response) > response.find(_NULS) + len(_NULS) + 2 > 10:
                first_byte_s = monotonic()
        whole_ms = (monotonic() - began_s) * 1000
        line.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
        return Timed(whole_ms, first_byte_s, bytes(response))

    def close(self) -> None:
        """Hang up, which ends the runtime."""
        if self._line is not None:
            self._line.close()
        self._listener.close()

    def _next_asked(self) -> socket.socket:
        """Wait for ``GET …/invocation/next``."""
        if self._line is None:
            self._line, _ = self._listener.accept()
        asked = b""
        while not asked.endswith(b"\r\n\r\n"):
            asked += self._line.recv(4096)
        return self._line
