"""The framing of AWS event streams: what botocore's own buffer reads, and what damage becomes."""

import zlib
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer

from obscura.errors import UpstreamError
from obscura.upstreams.bedrock.event_stream import MAX_MESSAGE_BYTES, EventStreamParser
from tests.support.bedrock import event, exception, frame, text_events

STREAM = b"".join([*text_events("A ", "cä", "t." * 500), exception("throttlingException")])


def read(data: bytes, size: int) -> list[tuple[dict[str, str], bytes]]:
    parser = EventStreamParser()
    messages = []
    for start in range(0, len(data), size):
        messages += [(dict(each.headers), each.payload) for each in parser.feed(data[start : start + size])]
    assert parser.is_between_messages
    return messages


@pytest.mark.parametrize("size", [1, 3, 17, 1024, len(STREAM)])
def test_messages_are_those_that_botocore_reads_however_they_arrive(size: int) -> None:
    reference: Any = EventStreamBuffer()
    reference.add_data(STREAM)

    assert read(STREAM, size) == [(each.headers, each.payload) for each in reference]


def test_headers_of_every_type_are_passed_over() -> None:
    headers = b"".join(
        b"\x01%b%b%b" % (name, bytes([kind]), value)
        for name, kind, value in (
            (b"a", 0, b""), (b"b", 1, b""), (b"c", 2, b"1"), (b"d", 3, b"12"),
            (b"e", 4, b"1234"), (b"f", 5, b"12345678"),
            (b"g", 6, b"\x00\x03xyz"), (b"h", 7, b"\x00\x02ok"), (b"i", 8, b"12345678"), (b"j", 9, b"1234567812345678"),
        )
    )  # fmt: skip
    prelude = (16 + len(headers) + 2).to_bytes(4) + len(headers).to_bytes(4)
    before = prelude + zlib.crc32(prelude).to_bytes(4) + headers + b"{}"

    assert read(before + zlib.crc32(before).to_bytes(4), 1000) == [({"h": "ok"}, b"{}")]


@pytest.mark.parametrize("position", range(len(event("messageStart", {}))))
def test_a_changed_byte_anywhere_is_found(position: int) -> None:
    damaged = bytearray(event("messageStart", {}))
    damaged[position] ^= 0x20

    with pytest.raises(UpstreamError, match="damaged"):
        list(EventStreamParser().feed(bytes(damaged)))


@pytest.mark.parametrize(
    ("total", "headers"), [(MAX_MESSAGE_BYTES + 1, 0), (15, 0), (16, 1), (1000, 985), (0, 0), (2**32 - 1, 2**32 - 1)]
)
def test_lengths_out_of_bounds_are_refused_before_anything_is_held(total: int, headers: int) -> None:
    prelude = total.to_bytes(4) + headers.to_bytes(4)

    with pytest.raises(UpstreamError, match="length"):
        list(EventStreamParser().feed(prelude + zlib.crc32(prelude).to_bytes(4)))


def test_messages_before_a_damaged_one_are_read() -> None:
    messages = EventStreamParser().feed(event("messageStart", {}) + frame(b"{}")[:-1] + b"\x00")

    assert next(messages).headers[":event-type"] == "messageStart"
    with pytest.raises(UpstreamError):
        next(messages)
