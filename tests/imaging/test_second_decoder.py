"""A PNG that keeps its bytes shows the same pixels in a decoder that shares no code with Pillow's."""

import zlib
from pathlib import Path

import numpy as np
import pytest
import skimage
from PIL import Image

from obscura.imaging import prepare
from tests.unit.imaging.images import a_photograph, a_raw_png, four_corners, opened, photograph_pixels, saved

type Samples = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]


def decoded_by_the_standard(png: bytes) -> Samples:
    """Decode 8-bit grey or truecolour that is not interlaced, row by row (PNG, third edition, §9.2)."""
    position, header, stream = 8, b"", b""
    while position < len(png):
        kind, size = png[position + 4 : position + 8], int.from_bytes(png[position : position + 4])
        payload = png[position + 8 : position + 8 + size]
        header, stream = (payload, stream) if kind == b"IHDR" else (header, stream + payload * (kind == b"IDAT"))
        position += 12 + size
    width, height = int.from_bytes(header[:4]), int.from_bytes(header[4:8])
    step = {0: 1, 2: 3}[header[9]]
    rows = np.frombuffer(zlib.decompress(stream), np.uint8).reshape(height, 1 + width * step)
    done = np.zeros((height + 1, (width + 1) * step), np.int32)
    for y in range(height):
        kind, row, above, into = rows[y, 0], rows[y, 1:].astype(np.int32), done[y], done[y + 1]
        if kind in {0, 2}:
            into[step:] = (row + above[step:] * (kind == 2)) & 255
            continue
        for x in range(step, len(into)):
            left, up, corner = int(into[x - step]), int(above[x]), int(above[x - step])
            nearest = min((left, up, corner), key=lambda each: abs(left + up - corner - each))
            predicted = {1: left, 3: (left + up) // 2, 4: nearest}[int(kind)]
            into[x] = (int(row[x - step]) + predicted) & 255
    return done[1:, step:].astype(np.uint8).reshape((height, width, 3) if step == 3 else (height, width))


def with_filter(kind: int) -> bytes:
    """A PNG of noise in which each row has one type of filter."""
    noise = np.random.default_rng(kind).integers(0, 256, (40, 60 * 3), dtype=np.uint8)
    filtered = a_raw_png(60, 40, 8, 2, [bytes(row) for row in noise])
    at = filtered.index(b"IDAT")
    stream = b"".join(bytes([kind]) + bytes(row) for row in noise)
    packed = zlib.compress(stream)
    chunk = b"IDAT" + packed
    crc = zlib.crc32(chunk).to_bytes(4)
    end = b"\0\0\0\0IEND" + zlib.crc32(b"IEND").to_bytes(4)
    return filtered[: at - 4] + len(packed).to_bytes(4) + chunk + crc + end


def pixels_of(name: str) -> Image.Image:
    return Image.open(Path(skimage.__file__).parent / "data" / name).convert("RGB").resize((200, 150))


FILES = {
    "photograph": a_photograph(300, 200, "PNG"),
    "grey": a_photograph(300, 200, "PNG", mode="L"),
    "drawing": saved(four_corners(120, 80), "PNG"),
    "optimized": saved(photograph_pixels(120, 80), "PNG", optimize=True),
    **{f"filter {kind}": with_filter(kind) for kind in range(5)},
    **{
        name: saved(Image.fromarray(np.asarray(pixels_of(name))), "PNG")
        for name in ("chelsea.png", "coffee.png", "page.png", "rocket.jpg")
    },
}


@pytest.mark.parametrize("name", FILES)
def test_a_second_decoder_shows_the_pixels_of_a_png_that_keeps_its_bytes(name: str) -> None:
    prepared = prepare(FILES[name])

    assert prepared.unchanged
    assert np.array_equal(decoded_by_the_standard(prepared.data), np.asarray(opened(prepared.data)))
