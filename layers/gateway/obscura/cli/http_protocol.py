"""uvicorn's HTTP/1.1 for untrusted clients: request heads are bounded, and an offered upgrade is ignored."""

import re

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 1024 * 1024
_UPGRADE = re.compile(rb"\r\nupgrade:[^\r]*(?=\r\n)", re.IGNORECASE)


class HttpProtocol(HttpToolsProtocol):
    """One client's connection.

    httptools buffers a header until it is complete, however long it is, and the trailers after a chunked body too. It
    also drops the body of a request that offers another protocol, as Java's HTTP client does with h2c; a server may
    ignore the offer (RFC 9110 §7.8).
    """

    _between_requests = True
    _progressed = False
    _buffered_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Parse received bytes; close the connection if a head is too long."""
        self._progressed = False
        super().data_received(_without_upgrade(data) if self._between_requests else data)
        self._buffered_bytes = 0 if self._progressed else self._buffered_bytes + len(data)
        if self._buffered_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response(f"The request's head is over {MAX_HEAD_BYTES} bytes.")

    def on_message_begin(self) -> None:
        """Note that a request has begun."""
        self._between_requests = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note that the head is complete."""
        self._progressed = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Note that a piece of the body was parsed."""
        self._progressed = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the next request may begin."""
        self._progressed = self._between_requests = True
        super().on_message_complete()


def _without_upgrade(data: bytes) -> bytes:
    """Remove the ``Upgrade`` headers of a complete head."""
    head = data[: data.find(b"\r\n\r\n") + 2]
    if b"upgrade:" not in head.lower():
        return data
    return _UPGRADE.sub(b"", head) + data[len(head) :]
