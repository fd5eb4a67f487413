"""An upstream that answers at once, and the image host: all that a gateway adds is the gateway's.

Run as ``python -m benchmarks.gateway_load.fake_upstream PORT IMAGE…``. It is as light as Python allows: the body is
received into one buffer that all connections share, counted, and never looked at beyond its first 64 KiB (where it
looks for ``"stream": true``). Each event of a stream is written on its own, as a model's tokens arrive.

``GET /seen`` says what it has been sent since the last time it was asked: the proof of the work that a gateway did.
"""

import asyncio
import json
import re
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import httptools
import uvloop

from benchmarks.gateway_load.spoken import plain_body, sse_events

_BUFFER = bytearray(1 << 20)
_LOOKED_AT_BYTES = 64 << 10
_WANTS_STREAM = re.compile(rb'"stream"\s*:\s*true')


@dataclass(slots=True)
class Seen:
    """What has arrived since the last look: completions asked for, their bytes on the wire, images fetched."""

    completions: int = 0
    received_bytes: int = 0
    images_fetched: int = 0


class Connection(asyncio.BufferedProtocol):
    """One keep-alive connection; requests follow each other on it, none overlap."""

    def __init__(self, answers: dict[bytes, bytes], seen: Seen) -> None:
        self._answers = answers
        self._seen = seen
        self._view = memoryview(_BUFFER)
        self._parser = httptools.HttpRequestParser(self)
        self._begin()

    def _begin(self) -> None:
        self._path = b""
        self._start = bytearray()
        self._received_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are not, by inheritance

    def get_buffer(self, sizehint: int) -> bytearray:
        return _BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        arrived = self._view[:nbytes]
        self._received_bytes += nbytes
        if len(self._start) < _LOOKED_AT_BYTES:
            self._start += arrived[: _LOOKED_AT_BYTES - len(self._start)]
        self._parser.feed_data(arrived)

    def on_url(self, url: bytes) -> None:
        self._path += url

    def on_message_complete(self) -> None:
        if self._path.endswith(b"/chat/completions"):
            self._seen.completions += 1
            self._seen.received_bytes += self._received_bytes
            if _WANTS_STREAM.search(self._start):
                self._write_next(_STREAM)
            else:
                self._transport.write(_PLAIN)
        elif self._path == b"/seen":
            self._transport.write(_response(b"application/json", json.dumps(asdict(self._seen)).encode()))
            self._seen.completions = self._seen.received_bytes = self._seen.images_fetched = 0
        else:
            self._seen.images_fetched += self._path.endswith(b".jpg")
            self._transport.write(self._answers.get(self._path, _NOT_FOUND))
        self._begin()

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


_NOT_FOUND = _response(b"text/plain", b"not here", b"404 Not Found")
_PLAIN = _response(b"application/json", plain_body())
_STREAM = _streamed(sse_events())


async def serve(port: int, images: list[Path]) -> None:
    """Serve until cancelled; each image is at ``/<its file name>``."""
    models = {"object": "list", "data": [{"id": "bench", "object": "model", "owned_by": "nobody"}]}
    answers = {b"/v1/models": _response(b"application/json", json.dumps(models).encode())}
    for image in images:
        answers[b"/" + image.name.encode()] = _response(b"image/jpeg", await asyncio.to_thread(image.read_bytes))
    seen = Seen()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(answers, seen), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), [Path(name) for name in sys.argv[2:]]))
