"""The body of an answer: counted while it arrives, as it is on the wire and as it is once decompressed."""

import asyncio
import ssl
import zlib
from collections.abc import AsyncIterable, Iterator
from dataclasses import dataclass

import httpcore

from obscura.errors import ImageFetchFailed, ImageTooLarge
from obscura.fetch.errors import FetchRejected, describe_failure
from obscura.fetch.network import GuardedNetwork
from obscura.fetch.policy import ImageUrl

_PIECE = 256 * 1024
_SMALL = 1024


async def read_body(chunks: AsyncIterable[bytes], declared_bytes: int, encoding: str, limit_bytes: int) -> bytes:
    """Join ``chunks``, decompressed by ``encoding``; raises Refused past the limit, when empty, or when undecodable.

    ``declared_bytes`` is the Content-Length, 0 when there is none; ``encoding`` the Content-Encoding, "" likewise.
    """
    if declared_bytes > limit_bytes:
        raise _image_too_large(limit_bytes)
    decoder = _decoder(encoding)
    body = bytearray()
    wire_bytes = 0
    async for chunk in chunks:
        wire_bytes += len(chunk)
        for piece in decoder.pieces(chunk):
            body += piece
            if len(body) > limit_bytes:
                raise _image_too_large(limit_bytes)
            if len(piece) < _SMALL or len(piece) == _PIECE:
                await asyncio.sleep(0)  # crumbs and bombs both come many to one read of the socket: let others go on
        if wire_bytes > limit_bytes:
            raise _image_too_large(limit_bytes)
    if not decoder.is_complete():
        raise FetchRejected(ImageFetchFailed, "gave a compressed body that breaks off")
    if not body:
        raise FetchRejected(ImageFetchFailed, "gave an empty body")
    return bytes(body)


class _Identity:
    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        yield chunk

    def is_complete(self) -> bool:
        return True


class _Inflater:
    """gzip (RFC 1952) and deflate (zlib, RFC 1950), told apart by their first bytes."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        rest = chunk
        while rest:
            try:
                piece = self._zlib.decompress(rest, _PIECE)
            except zlib.error:
                raise FetchRejected(
                    ImageFetchFailed, "gave a body that is not the gzip or deflate it is said to be"
                ) from None
            if self._zlib.unused_data:
                raise FetchRejected(ImageFetchFailed, "gave a compressed body with something behind its end")
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
    raise FetchRejected(ImageFetchFailed, "gave a body in a Content-Encoding other than gzip and deflate")


def _image_too_large(limit_bytes: int) -> FetchRejected:
    size = f"{limit_bytes / 2**20:g} MiB" if limit_bytes >= 2**20 else f"{limit_bytes} bytes"
    return FetchRejected(ImageTooLarge, f"gave an image of more than {size}, the limit", "send a smaller image")


_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Redirect:
    """An answer that sends elsewhere; ``location`` is its Location header as it came."""

    location: bytes


async def exchange(
    url: ImageUrl, network: GuardedNetwork, ssl_context: ssl.SSLContext | None, limit_bytes: int
) -> bytes | Redirect:
    """Ask for ``url`` and give its body or where it redirects to; raises Refused and nothing else.

    The connection serves this exchange alone and is closed on every way out, a cancelled task included: there is no
    pool that could hand a connection to another origin, keep one that a server has poisoned, or lose one.
    """
    connection = httpcore.AsyncHTTPConnection(origin=_url(url).origin, ssl_context=ssl_context, network_backend=network)
    try:
        response = await connection.handle_async_request(_request(url))
        return await _read(response, limit_bytes)
    except FetchRejected:
        raise
    except Exception as failure:  # whatever a hostile server can make a library raise is a failed fetch
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
        ("Accept", "image/png, image/jpeg, image/webp, image/gif, */*;q=0.1"),
        ("Accept-Encoding", "identity"),
        ("Connection", "close"),
    )
    return httpcore.Request("GET", _url(url), headers=headers)


async def _read(response: httpcore.Response, limit_bytes: int) -> bytes | Redirect:
    if response.status in _REDIRECTS:
        locations = _header(response, b"location")
        if len(locations) != 1:
            raise FetchRejected(
                ImageFetchFailed, f"answered with status {response.status} and no one Location to go to"
            )
        return Redirect(locations[0])
    if response.status != 200:
        raise FetchRejected(ImageFetchFailed, f"answered with status {response.status}, not 200")
    declared = _header(response, b"content-length")
    encoding = b",".join(_header(response, b"content-encoding")).decode("latin-1")
    return await read_body(response.aiter_stream(), int(declared[0]) if declared else 0, encoding, limit_bytes)


def _header(response: httpcore.Response, name: bytes) -> list[bytes]:
    return [value for key, value in response.headers if key.lower() == name]
