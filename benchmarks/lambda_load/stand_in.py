"""A Runtime API on a plain socket, light enough to time the runtime alone: one event out, one response in."""

import json
import socket
from dataclasses import dataclass
from time import monotonic

_NULS = bytes(8)


@dataclass(frozen=True, slots=True)
class TimedResponse:
    """One invocation: milliseconds until its response was whole, and instants on the machine's monotonic clock."""

    whole_ms: float
    first_byte_s: float
    response: bytes


class StandIn:
    """Serves one runtime, one connection after the other."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._connection: socket.socket | None = None

    def invoke(self, event: dict[str, object]) -> TimedResponse:
        """Send an event as the response to the runtime's GET and time its response, from first byte out to last in."""
        body = json.dumps(event).encode()
        head = (
            f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nLambda-Runtime-Aws-Request-Id: 1\r\n"
            "Lambda-Runtime-Deadline-Ms: 99999999999999\r\n\r\n"
        )
        connection = self._await_next()
        began_s = monotonic()
        connection.sendall(head.encode() + body)
        response, first_byte_s = bytearray(), 0.0
        while not response.endswith(b"\r\n0\r\n\r\n"):
            response += connection.recv(1 << 18)
            if not first_byte_s and len(response) > response.find(_NULS) + len(_NULS) + 2 > 10:
                first_byte_s = monotonic()
        whole_ms = (monotonic() - began_s) * 1000
        connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
        return TimedResponse(whole_ms, first_byte_s, bytes(response))

    def close(self) -> None:
        """Close the connection, which ends the runtime."""
        if self._connection is not None:
            self._connection.close()
        self._listener.close()

    def _await_next(self) -> socket.socket:
        """Wait for ``GET …/invocation/next``; a runtime may close its connection after each response."""
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            if self._connection is None:
                self._connection, _ = self._listener.accept()
            received = self._connection.recv(4096)
            request += received
            if not received:
                self._connection.close()
                self._connection, request = None, b""
        assert self._connection is not None  # the one whose request has ended
        return self._connection
