"""HTTP/1.1 byte by byte: requests that no well-behaved client sends, and the responses to them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.support.gateway import chat_request

CHAT = json.dumps(chat_request("hi")).encode()
CHUNKED = b"Transfer-Encoding: chunked\r\n"
FREE = b"X-Free-Tier: true\r\n"
TIMEOUT_S = 10


@dataclass(frozen=True)
class RawResponse:
    status: int
    head: bytes
    body: bytes


@dataclass(frozen=True)
class RawClient:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, *pieces: bytes) -> None:
        """Send each piece in a packet of its own: on loopback, the server reads before the next one comes."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0.02 if len(pieces) > 1 else 0)

    async def response(self) -> RawResponse:
        """Read the next response, which has a length."""
        async with asyncio.timeout(TIMEOUT_S):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split()[0])
            return RawResponse(int(head.split()[1]), head, await self.reader.readexactly(length))

    async def rest(self) -> bytes:
        """Read all that comes until the server closes the connection."""
        async with asyncio.timeout(TIMEOUT_S):
            return await self.reader.read()


@asynccontextmanager
async def raw_client(url: str) -> AsyncIterator[RawClient]:
    reader, writer = await asyncio.open_connection(urlsplit(url).hostname, urlsplit(url).port)
    try:
        yield RawClient(reader, writer)
    finally:
        writer.close()


def head(
    *lines: bytes,
    method: bytes = b"POST",
    target: bytes = b"/v1/chat/completions",
    version: bytes = b"1.1",
    host: bytes = b"Host: x\r\n",
) -> bytes:
    """Return the head of a request; each of ``lines`` ends in CRLF."""
    return b"%b %b HTTP/%b\r\n%b%b\r\n" % (method, target, version, host, b"".join(lines))


def length(body: bytes = CHAT) -> bytes:
    return b"Content-Length: %d\r\n" % len(body)


def chunked(body: bytes = CHAT, trailers: bytes = b"", extension: bytes = b"") -> bytes:
    """Return a body as one chunk; ``trailers`` end in CRLF."""
    return b"%x%b\r\n%b\r\n0\r\n%b\r\n" % (len(body), extension, body, trailers)


HEALTH = head(method=b"GET", target=b"/healthz")
