"""Builders of AVIF files that are small to send and would cost a decoder much memory or time."""

import struct

from PIL import Image

from tests.unit.imaging.avif_files import (
    Item,
    an_avif,
    av1_of,
    box,
    coded,
    exif_item,
    frame_header,
    full_box,
    grid,
    ispe,
    sequence_header,
)
from tests.unit.imaging.images import an_animation, saved

CELL = Image.new("RGB", (64, 64), (90, 100, 110))


def a_grid_of_decoders(rows: int = 16, columns: int = 32) -> bytes:
    """A grid whose cells each name another operating point than the one before, so that each gets its own decoder."""
    stream, config = av1_of(CELL)
    cells = [
        Item(2 + each, b"av01", stream, [ispe(64, 64), config, *([box(b"a1op", b"\1")] if each % 2 else [])])
        for each in range(rows * columns)
    ]
    size = (64 * columns, 64 * rows)
    return an_avif(grid(1, rows, columns, size, [cell.id for cell in cells]), *cells)


def an_exif_of_overlapping_entries(size_bytes: int = 8_000_000) -> bytes:
    """EXIF whose 65,535 entries each claim the same eight megabytes."""
    entries = b"".join(struct.pack(">HHII", 0x8000 + each % 0x7FFF, 7, size_bytes, 8) for each in range(65_535))
    tiff = b"MM\0*\0\0\0\x08" + struct.pack(">H", 65_535) + entries + bytes(size_bytes)
    return an_avif(coded(1, CELL), exif_item(2, 1, tiff))


def references_to_as_many_items(size_bytes: int) -> bytes:
    """References to items that occur nowhere else: a decoder makes each, after a search through all others."""
    count = size_bytes // 4
    boxes = b"".join(
        box(b"dimg", struct.pack(">IH", 1, min(60_000, count - start)), struct.pack(
            f">{min(60_000, count - start)}I", *range(start + 2, start + 2 + min(60_000, count - start))
        ))
        for start in range(0, count, 60_000)
    )  # fmt: skip
    return an_avif(coded(1, CELL), more=full_box(b"iref", boxes, version=1))


def properties_copied_to_each_item(size_bytes: int, items: int) -> bytes:
    """A property of an unknown kind, which a decoder copies to each item that has it."""
    filler = box(b"xxxx", bytes(size_bytes))
    stream, config = av1_of(CELL)
    return an_avif(*(Item(1 + each, b"av01", stream, [ispe(64, 64), config, filler]) for each in range(items)))


def a_sequence_of_a_million_samples() -> bytes:
    """A sequence of three frames whose one chunk claims a million of them, of one size."""
    file = bytearray(an_animation(40, 30, "AVIF"))
    chunk = file.index(b"stsc") + 16
    file[chunk : chunk + 4] = struct.pack(">I", 1_000_000)
    sizes = file.index(b"stsz") + 8
    file[sizes : sizes + 4] = struct.pack(">I", 1)
    return bytes(file)


def more_pixels_than_declared() -> dict[str, bytes]:
    """Files of 64 x 64 px whose bitstreams would make a decoder hold some 268 megapixels."""
    full, free = sequence_header(64, 64, reduced=True), sequence_header(64, 64, reduced=False)
    config = av1_of(CELL)[1]
    streams = {
        "large sequence": sequence_header(16_384, 16_384) + frame_header(),
        "frame with a size of its own": free + frame_header(own_size=True),
        "many frames": sequence_header(4096, 4096, reduced=False) + frame_header() * 16,
        "second sequence": full + frame_header() + sequence_header(16_384, 16_384) + frame_header(),
    }
    files = {name: an_avif(Item(1, b"av01", stream, [ispe(64, 64), config])) for name, stream in streams.items()}
    scaled = [coded(2 + each, CELL, size=(4096, 4096)) for each in range(16)]
    cells = [cell.id for cell in scaled]
    return files | {"cells scaled up": an_avif(grid(1, 4, 4, (256, 256), cells), *scaled)}


def an_avif_at_the_cap() -> bytes:
    """14 megapixels with full chroma, an alpha channel and synthetic film grain."""
    image = Image.effect_noise((4000, 3500), 20).convert("RGB")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return saved(image, "AVIF", quality=50, speed=10, subsampling="4:4:4", advanced={"film-grain-test": "2"})
