"""The framing of AWS event streams, with both checksums of every message.

AWS's "Event stream encoding" (Amazon Transcribe developer guide, and botocore's ``eventstream``): a prelude of the
total length, the length of the headers and its CRC-32, the headers, the payload, the CRC-32 of all before it. Read here
since botocore's buffer takes four times as long for a message of a token or two (ADR 162).
"""

import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from obscura.errors import ObscuraError, UpstreamError

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
MAX_HEADERS_BYTES = 128 * 1024
_PRELUDE = struct.Struct(">III")
_CRC = struct.Struct(">I")
_FIXED_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""The bytes of a header's value by its type: true, false, byte, short, integer, long, timestamp, UUID."""
_BYTES, _STRING = 6, 7
_OVERHEAD_BYTES = _PRELUDE.size + _CRC.size


class EventMessage(NamedTuple):
    """One message: its headers that are strings, and its payload."""

    headers: Mapping[str, str]
    payload: bytes


class EventStreamParser:
    """Splits the bytes of one stream into messages."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, chunk: bytes) -> Iterator[EventMessage]:
        """Yield the messages that are complete after ``chunk``; raises UpstreamError on a malformed one."""
        held = self._held
        held += chunk
        start = 0
        try:
            while len(held) - start >= _PRELUDE.size:
                total, headers_size, prelude_crc = _PRELUDE.unpack_from(held, start)
                if zlib.crc32(held[start : start + 8]) != prelude_crc:
                    raise _malformed("a checksum does not match")
                if not _OVERHEAD_BYTES <= total <= MAX_MESSAGE_BYTES or headers_size > min(
                    MAX_HEADERS_BYTES, total - _OVERHEAD_BYTES
                ):
                    raise _malformed("a length is out of bounds")
                if len(held) - start < total:
                    return
                message = bytes(held[start : start + total])
                start += total
                yield _message(message, headers_size)
        finally:
            del held[:start]

    @property
    def is_between_messages(self) -> bool:
        """Whether the last message was whole."""
        return not self._held


def _message(message: bytes, headers_size: int) -> EventMessage:
    body = message[: -_CRC.size]
    if zlib.crc32(body) != _CRC.unpack_from(message, len(body))[0]:
        raise _malformed("a checksum does not match")
    payload_start = _PRELUDE.size + headers_size
    return EventMessage(_headers(body[_PRELUDE.size : payload_start]), body[payload_start:])


@lru_cache(maxsize=64)  # a stream repeats a few of them
def _headers(data: bytes) -> Mapping[str, str]:
    headers: dict[str, str] = {}
    position = 0
    try:
        while position < len(data):
            name_end = position + 1 + data[position]
            name, kind = data[position + 1 : name_end].decode(), data[name_end]
            position = name_end + 1
            if kind in _FIXED_SIZES:
                position += _FIXED_SIZES[kind]
                continue
            if kind not in {_BYTES, _STRING}:
                raise _malformed("a header is of an unknown type")
            start = position + 2
            position = start + int.from_bytes(data[position:start])
            if name in headers or position > len(data):
                raise _malformed("its headers are malformed")
            if kind == _STRING:
                headers[name] = data[start:position].decode()
    except (IndexError, UnicodeDecodeError):
        raise _malformed("its headers are malformed") from None
    return headers


def _malformed(reason: str) -> UpstreamError:
    return UpstreamError(f"The upstream's event stream is damaged: {reason}. Try again.")


def decoded(messages: Iterator[EventMessage], decode: Callable[[EventMessage], bytes]) -> Iterator[bytes]:
    """Yield together what messages decode to, those before one that cannot be read too; then raise its error."""
    ready: list[bytes] = []
    failure: ObscuraError | None = None
    try:
        ready.extend(map(decode, messages))
    except ObscuraError as error:
        failure = error
    if any(ready):
        yield b"".join(ready)
    if failure is not None:
        raise failure
