"""The body of an answer: counted while it arrives, as it is on the wire and as it is once decompressed."""

import asyncio
import zlib
from collections.abc import AsyncIterable, Iterator

from obscura.adapters.http_images.refusal import Refused
from obscura.errors import ImageFetchFailed, ImageTooLarge

_PIECE = 256 * 1024
_SMALL = 1024


async def read_body(chunks: AsyncIterable[bytes], declared_bytes: int, encoding: str, limit_bytes: int) -> bytes:
    """Join ``chunks``, decompressed by ``encoding``; raises Refused past the limit, when empty, or when undecodable.

    ``declared_bytes`` is the Content-Length, 0 when there is none; ``encoding`` the Content-Encoding, "" likewise.
    """
    if declared_bytes > limit_bytes:
        raise _too_large(limit_bytes)
    decoder = _decoder(encoding)
    body = bytearray()
    wire_bytes = 0
    async for chunk in chunks:
        wire_bytes += len(chunk)
        for piece in decoder.pieces(chunk):
            body += piece
            if len(body) > limit_bytes:
                raise _too_large(limit_bytes)
            if len(piece) < _SMALL or len(piece) == _PIECE:
                await asyncio.sleep(0)  # crumbs and bombs both come many to one read of the socket: let others go on
        if wire_bytes > limit_bytes:
            raise _too_large(limit_bytes)
    if not decoder.is_complete():
        raise Refused(ImageFetchFailed, "gave a compressed body that breaks off")
    if not body:
        raise Refused(ImageFetchFailed, "gave an empty body")
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
                raise Refused(
                    ImageFetchFailed, "gave a body that is not the gzip or deflate it is said to be"
                ) from None
            if self._zlib.unused_data:
                raise Refused(ImageFetchFailed, "gave a compressed body with something behind its end")
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
    raise Refused(ImageFetchFailed, "gave a body in a Content-Encoding other than gzip and deflate")


def _too_large(limit_bytes: int) -> Refused:
    size = f"{limit_bytes / 2**20:g} MiB" if limit_bytes >= 2**20 else f"{limit_bytes} bytes"
    return Refused(ImageTooLarge, f"gave a picture of more than {size}, the limit", "send a smaller picture")
