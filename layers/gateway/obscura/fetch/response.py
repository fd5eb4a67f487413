"""One GET of an image: its status or redirect, and its body, limited both on the wire and decompressed."""

import asyncio
import ssl
import zlib
from collections.abc import AsyncIterable, Iterator
from dataclasses import dataclass

import httpcore

from obscura.errors import ImageFetchFailed, ImageTooLarge, Overloaded, RequestTooLarge
from obscura.fetch.base import FetchAllowance
from obscura.fetch.errors import FetchRejected, describe_failure
from obscura.fetch.network import GuardedNetwork
from obscura.fetch.policy import ImageUrl
from obscura.imaging.formats import FORMATS
from obscura.memory_budget import GrowingBytes, request_memory

_MAX_PIECE_BYTES = 256 * 1024
_SMALL_PIECE_BYTES = 1024
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_COMMON = [image.media_type for image in FORMATS.values() if image.is_common]  # a rare one takes longer to decode
_ACCEPT = ", ".join([*_COMMON, "*/*;q=0.1"])


@dataclass(frozen=True, slots=True)
class Redirect:
    """A redirect; ``location`` is its Location header as it came."""

    location: bytes


async def get(
    url: ImageUrl,
    network: GuardedNetwork,
    ssl_context: ssl.SSLContext | None,
    limit_bytes: int,
    allowance: FetchAllowance | None = None,
) -> bytes | Redirect:
    """Request ``url`` and return its body or its redirect.

    Raises FetchRejected; Overloaded or RequestTooLarge where there is no memory for the image; and nothing else.

    The connection serves this request alone and is closed at its end, however it ends, cancelled tasks included: there
    is no pool that could use a connection for another origin, keep one that a server has poisoned, or lose one (ADR 2).
    """
    connection = httpcore.AsyncHTTPConnection(origin=_url(url).origin, ssl_context=ssl_context, network_backend=network)
    try:
        response = await connection.handle_async_request(_request(url))
        return await _read(response, limit_bytes, allowance)
    except (FetchRejected, Overloaded, RequestTooLarge):
        raise
    except Exception as failure:  # anything that a hostile server can make a library raise is a failed fetch
        raise FetchRejected(ImageFetchFailed, describe_failure(failure)) from None
    finally:
        await network.aclose()


def _url(url: ImageUrl) -> httpcore.URL:
    origin = url.origin
    return httpcore.URL(scheme=origin.scheme, host=origin.host, port=origin.port, target=url.target)


def _request(url: ImageUrl) -> httpcore.Request:
    headers = (
        ("Host", url.origin.authority),
        ("User-Agent", "obscura"),
        ("Accept", _ACCEPT),
        ("Accept-Encoding", "identity"),
        ("Connection", "close"),
    )
    return httpcore.Request("GET", _url(url), headers=headers)


async def _read(response: httpcore.Response, limit_bytes: int, allowance: FetchAllowance | None) -> bytes | Redirect:
    if response.status in _REDIRECTS:
        locations = _header(response, b"location")
        if len(locations) != 1:
            raise FetchRejected(
                ImageFetchFailed, f"redirected with status {response.status} and not exactly one Location"
            )
        return Redirect(locations[0])
    if response.status != 200:
        raise FetchRejected(ImageFetchFailed, f"returned status {response.status}, not 200")
    declared = _header(response, b"content-length")
    encoding = b",".join(_header(response, b"content-encoding")).decode("latin-1")
    declared_bytes = int(declared[0]) if declared else 0
    return await read_body(response.aiter_stream(), declared_bytes, encoding, limit_bytes, allowance)


def _header(response: httpcore.Response, name: bytes) -> list[bytes]:
    return [value for key, value in response.headers if key.lower() == name]


async def read_body(
    chunks: AsyncIterable[bytes],
    declared_bytes: int,
    encoding: str,
    limit_bytes: int,
    allowance: FetchAllowance | None = None,
) -> bytes:
    """Join ``chunks``, decompressed by ``encoding``; raises FetchRejected past a limit, if empty, or if undecodable.

    Each piece is taken from the request's memory first, which raises Overloaded and RequestTooLarge.
    ``declared_bytes`` is the Content-Length, or 0; ``encoding`` is the Content-Encoding, or "".
    """
    if declared_bytes > limit_bytes:
        raise _image_too_large(limit_bytes)
    decoder = _decoder(encoding)
    body = bytearray()
    memory = GrowingBytes(request_memory())
    wire_bytes = 0
    async for chunk in chunks:
        wire_bytes += len(chunk)
        for piece in decoder.pieces(chunk):
            if allowance is not None:
                allowance.take_bytes(len(piece))
            size_bytes = len(body) + len(piece)
            if size_bytes > limit_bytes:
                raise _image_too_large(limit_bytes)
            if not memory.covers(size_bytes):
                await memory.reach(size_bytes, declared_bytes)
            body += piece
            if len(piece) < _SMALL_PIECE_BYTES or len(piece) == _MAX_PIECE_BYTES:
                await asyncio.sleep(0)  # many such pieces can come from one read of the socket: let other tasks run
        if wire_bytes > limit_bytes:
            raise _image_too_large(limit_bytes)
    if not decoder.is_complete():
        raise FetchRejected(ImageFetchFailed, "returned a compressed body that breaks off")
    if not body:
        raise FetchRejected(ImageFetchFailed, "returned an empty body")
    return bytes(body)


class _Identity:
    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        yield chunk

    def is_complete(self) -> bool:
        return True


class _Inflater:
    """gzip (RFC 1952) and deflate (zlib, RFC 1950), recognized by their first bytes."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        rest = chunk
        while rest:
            try:
                piece = self._zlib.decompress(rest, _MAX_PIECE_BYTES)
            except zlib.error:
                raise FetchRejected(
                    ImageFetchFailed, "returned a body that is not gzip or deflate, though its Content-Encoding says so"
                ) from None
            if self._zlib.unused_data:
                raise FetchRejected(ImageFetchFailed, "returned a compressed body with more bytes after its end")
            rest = self._zlib.unconsumed_tail
            yield piece

    def is_complete(self) -> bool:
        return self._zlib.eof


def _decoder(encoding: str) -> _Identity | _Inflater:
    match encoding.strip().lower():
        case "" | "identity":
            return _Identity()
        case "gzip" | "x-gzip" | "deflate":
            return _Inflater()
    raise FetchRejected(ImageFetchFailed, "returned a body in a Content-Encoding other than gzip and deflate")


def _image_too_large(limit_bytes: int) -> FetchRejected:
    size = f"{limit_bytes / 2**20:g} MiB" if limit_bytes >= 2**20 else f"{limit_bytes} bytes"
    return FetchRejected(ImageTooLarge, f"returned an image of more than {size}, the limit", "send a smaller image")
