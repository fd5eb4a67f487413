"""How the body of an image is limited and decompressed."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator

import pytest

from obscura.errors import ImageFetchFailed, ImageTooLarge, ObscuraError
from obscura.fetch.errors import FetchRejected
from obscura.fetch.response import read_body

IMAGE = bytes(range(256)) * 8192  # 2 MiB


async def in_pieces(body: bytes, size: int = 1 << 16) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


async def rejection_of(body: bytes, encoding: str, limit_bytes: int, declared_bytes: int = 0) -> type[ObscuraError]:
    with pytest.raises(FetchRejected) as rejected:
        await read_body(in_pieces(body), declared_bytes, encoding, limit_bytes)
    return rejected.value.error


@pytest.mark.parametrize(
    ("encoding", "wire"),
    [
        ("", IMAGE),
        ("identity", IMAGE),
        ("gzip", gzip.compress(IMAGE)),
        ("x-gzip", gzip.compress(IMAGE)),
        ("GZIP ", gzip.compress(IMAGE)),
        ("deflate", zlib.compress(IMAGE)),
    ],
)
async def test_a_body_is_joined_and_decompressed(encoding: str, wire: bytes) -> None:
    assert await read_body(in_pieces(wire), 0, encoding, len(IMAGE)) == IMAGE


@pytest.mark.parametrize("size", [1, 7, 100])
async def test_a_compressed_body_may_arrive_in_tiny_pieces(size: int) -> None:
    wire = gzip.compress(IMAGE[:10_000])

    assert await read_body(in_pieces(wire, size), 0, "gzip", 10_000) == IMAGE[:10_000]


async def test_a_body_of_exactly_the_limit_is_accepted_and_one_byte_more_is_not() -> None:
    assert await read_body(in_pieces(IMAGE), len(IMAGE), "", len(IMAGE)) == IMAGE
    assert await rejection_of(IMAGE, "", len(IMAGE) - 1) is ImageTooLarge


async def test_a_declared_length_over_the_limit_is_rejected_unread() -> None:
    assert await rejection_of(b"", "", 1000, declared_bytes=1001) is ImageTooLarge


async def test_a_decompression_bomb_is_cut_off_at_the_limit() -> None:
    bomb = gzip.compress(bytes(200 * 1024 * 1024), 1)

    assert await rejection_of(bomb, "gzip", 15 * 1024 * 1024) is ImageTooLarge


@pytest.mark.parametrize(
    ("encoding", "wire", "size"),
    [("gzip", gzip.compress(bytes(15 << 20)), 1 << 16), ("", bytes(1000), 1)],
    ids=["a bomb in one piece", "tiny pieces"],
)
async def test_bombs_and_tiny_pieces_let_other_tasks_run(encoding: str, wire: bytes, size: int) -> None:
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    others = asyncio.create_task(count_turns())

    await read_body(in_pieces(wire, size), 0, encoding, 15 << 20)

    others.cancel()
    assert turns > 50


async def test_compressed_bytes_that_expand_to_nothing_count_on_the_wire() -> None:
    packer = zlib.compressobj()
    nothing = packer.compress(b"x") + b"".join(packer.flush(zlib.Z_FULL_FLUSH) or b"\0\0\0\xff\xff" for _ in range(500))

    assert await rejection_of(nothing + b"\0\0\0\xff\xff" * 500, "deflate", 1000) is ImageTooLarge


@pytest.mark.parametrize(
    ("encoding", "wire"),
    [
        ("", b""),
        ("gzip", b""),
        ("gzip", gzip.compress(b"", mtime=0)),
        ("gzip", gzip.compress(IMAGE)[:-1]),
        ("gzip", gzip.compress(IMAGE) + b"more"),
        ("gzip", IMAGE),
        ("deflate", b"\x89PNG"),
        ("br", IMAGE),
        ("zstd", IMAGE),
        ("gzip, gzip", IMAGE),
        ("gzip,identity", IMAGE),
    ],
)
async def test_an_empty_corrupt_or_unsupported_body_is_rejected(encoding: str, wire: bytes) -> None:
    assert await rejection_of(wire, encoding, len(IMAGE)) is ImageFetchFailed
