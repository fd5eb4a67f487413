"""An upstream that answers at once, and the image host: what a gateway adds is the gateway's own.

Run as ``python -m benchmarks.gateway_load.fake_upstream PORT IMAGE…``. It is as light as Python allows: the body is
received into one buffer that all connections share, counted, and searched for ``"stream": true`` in its first 64 KiB
only. Each event of a stream is written on its own, as a model's tokens arrive.

Two paths are the benchmark's own. ``GET /received`` returns the counters since its last call. ``GET /link/MBIT`` makes
request bodies arrive at that rate from then on, as over a link of so many Mbit/s; 0 removes the limit.
"""

import asyncio
import json
import re
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import httptools
import uvloop

from benchmarks.gateway_load.completion import plain_body, sse_events

_BUFFER = bytearray(1 << 20)
_SEARCHED_BYTES = 64 << 10
_PACED_READ_BYTES = 64 << 10
_PAUSE_S = 0.002
"""Shorter pauses than the event loop's timers can keep are saved up."""
_WANTS_STREAM = re.compile(rb'"stream"\s*:\s*true')


@dataclass(slots=True)
class Received:
    """Counters since they were last read; ``complete_at_s`` is ``time.monotonic`` of the last whole request."""

    completions: int = 0
    received_bytes: int = 0
    images_fetched: int = 0
    complete_at_s: float = 0.0


@dataclass(slots=True)
class Link:
    """The link that all request bodies share; without a rate it takes no time."""

    bytes_per_s: float = 0.0
    free_at_s: float = 0.0

    def delay_s(self, nbytes: int) -> float:
        """Send bytes over the link; return the seconds until the last of them has arrived."""
        if not self.bytes_per_s:
            return 0.0
        now_s = time.monotonic()
        self.free_at_s = max(now_s, self.free_at_s) + nbytes / self.bytes_per_s
        return self.free_at_s - now_s


class Connection(asyncio.BufferedProtocol):
    """One keep-alive connection; its requests follow each other and never overlap."""

    def __init__(self, responses: dict[bytes, bytes], received: Received, link: Link) -> None:
        self._responses = responses
        self._received = received
        self._link = link
        self._view = memoryview(_BUFFER)
        self._parser = httptools.HttpRequestParser(self)
        self._begin()

    def _begin(self) -> None:
        self._path = b""
        self._start = bytearray()
        self._received_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are not, by inheritance

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._view[:_PACED_READ_BYTES] if self._link.bytes_per_s else self._view

    def buffer_updated(self, nbytes: int) -> None:
        piece = self._view[:nbytes]
        self._received_bytes += nbytes
        if len(self._start) < _SEARCHED_BYTES:
            self._start += piece[: _SEARCHED_BYTES - len(self._start)]
        self._delay_s = self._link.delay_s(nbytes)
        self._parser.feed_data(piece)
        if self._delay_s > _PAUSE_S:
            self._transport.pause_reading()
            asyncio.get_running_loop().call_later(self._delay_s, self._resume)

    def _resume(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def on_url(self, url: bytes) -> None:
        self._path += url

    def on_message_complete(self) -> None:
        path = self._path
        if path.endswith(b"/chat/completions"):
            self._complete()
        elif path == b"/received":
            self._transport.write(_response(b"application/json", json.dumps(asdict(self._received)).encode()))
            self._received.completions = self._received.received_bytes = self._received.images_fetched = 0
        elif path.startswith(b"/link/"):
            self._link.bytes_per_s = int(path.removeprefix(b"/link/")) * 1e6 / 8
            self._transport.write(_response(b"text/plain", b"set"))
        else:
            self._received.images_fetched += path.endswith(b".jpg")
            self._transport.write(self._responses.get(path, _NOT_FOUND))
        self._begin()

    def _complete(self) -> None:
        self._received.completions += 1
        self._received.received_bytes += self._received_bytes
        self._received.complete_at_s = time.monotonic() + self._delay_s
        frames = _STREAM if _WANTS_STREAM.search(self._start) else [_PLAIN]
        if self._delay_s > _PAUSE_S:
            asyncio.get_running_loop().call_later(self._delay_s, self._write_next, frames)
        else:
            self._write_next(frames)

    def _write_next(self, frames: list[bytes]) -> None:
        if not self._transport.is_closing():
            self._transport.write(frames[0])
            if len(frames) > 1:
                asyncio.get_running_loop().call_soon(self._write_next, frames[1:])


def _response(content_type: bytes, body: bytes, status: bytes = b"200 OK") -> bytes:
    length = str(len(body)).encode()
    return b"HTTP/1.1 %b\r\ncontent-type: %b\r\ncontent-length: %b\r\n\r\n%b" % (status, content_type, length, body)


def _streamed(events: list[bytes]) -> list[bytes]:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    chunks = [b"%x\r\n%b\r\n" % (len(event), event) for event in events]
    return [head + chunks[0], *chunks[1:-1], chunks[-1] + b"0\r\n\r\n"]


_NOT_FOUND = _response(b"text/plain", b"not found", b"404 Not Found")
_PLAIN = _response(b"application/json", plain_body())
_STREAM = _streamed(sse_events())


async def serve(port: int, images: list[Path]) -> None:
    """Serve until cancelled; each image is at ``/<its file name>``."""
    models = {"object": "list", "data": [{"id": "benchmark", "object": "model", "owned_by": "benchmark"}]}
    responses = {b"/v1/models": _response(b"application/json", json.dumps(models).encode())}
    for image in images:
        responses[b"/" + image.name.encode()] = _response(b"image/jpeg", await asyncio.to_thread(image.read_bytes))
    received, link = Received(), Link()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(responses, received, link), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), [Path(name) for name in sys.argv[2:]]))
