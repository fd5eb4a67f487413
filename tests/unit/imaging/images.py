"""Builders of images for tests: each returns the bytes of a file."""

import io
import struct
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from obscura.imaging import formats

FORMATS = tuple(name for name in formats.FORMATS if name != "HEIC")
"""Those that Pillow writes; ``heic_files`` has the other."""
HEIC_FILES = Path(__file__).parent / "heic"
ORIENTATION = 0x0112
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def photograph_pixels(width: int, height: int, seed: int = 7) -> Image.Image:
    """Soft shapes with grain: thousands of colours, as a camera sees them."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (max(2, height // 40), max(2, width // 40), 3), dtype=np.uint8)
    soft = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)).astype(np.int16)
    grain = random.integers(-6, 7, soft.shape, dtype=np.int16)
    return Image.fromarray(np.clip(soft + grain, 0, 255).astype(np.uint8))


def saved(image: Image.Image, image_format: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()


def a_photograph(width: int, height: int, image_format: str, *, mode: str = "RGB", **options: object) -> bytes:
    return saved(photograph_pixels(width, height).convert(mode), image_format, **options)


def a_plain(
    width: int, height: int, image_format: str, colour: float | tuple[int, ...] | str = RED, mode: str = "RGB"
) -> bytes:
    return saved(Image.new(mode, (width, height), colour), image_format)


def four_corners(width: int, height: int) -> Image.Image:
    """Red, green / blue, white quarters."""
    image = Image.new("RGB", (width, height), WHITE)
    image.paste(RED, (0, 0, width // 2, height // 2))
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    return image


def exif(orientation: int) -> Image.Exif:
    block = Image.Exif()
    block[ORIENTATION] = orientation
    return block


def corners(data: bytes) -> list[str]:
    """The names of an image's four corner colours, in reading order."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    right, bottom = image.width - 3, image.height - 3
    return [_nearest(image.getpixel(at)) for at in ((2, 2), (right, 2), (2, bottom), (right, bottom))]


def _nearest(colour: object) -> str:
    assert isinstance(colour, tuple)
    named = {"red": RED, "green": GREEN, "blue": BLUE, "white": WHITE}
    return min(named, key=lambda name: sum(abs(a - b) for a, b in zip(named[name], colour, strict=True)))


def jpeg_data_span(jpeg: bytes, scan: int = 0) -> tuple[int, int]:
    """Where the entropy-coded data of a scan begins and ends."""
    at = -1
    for _ in range(scan + 1):
        at = jpeg.index(b"\xff\xda", at + 1)
    start = at + 2 + int.from_bytes(jpeg[at + 2 : at + 4])
    end = start
    while jpeg[end] != 0xFF or jpeg[end + 1] in {0, *range(0xD0, 0xD8)}:
        end += 1
    return start, end


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def png_chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def png_header(width: int, height: int, depth: int = 8, colour_type: int = 2) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + png_chunk(
        b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    )


def a_raw_png(
    width: int, height: int, depth: int, colour_type: int, rows: Iterable[bytes], *extra: tuple[bytes, bytes]
) -> bytes:
    """A PNG written by hand: ``rows`` are packed samples, ``extra`` chunks stand before the pixels."""
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows), 1)
    middle = b"".join(png_chunk(kind, payload) for kind, payload in extra)
    header = png_header(width, height, depth, colour_type)
    return header + middle + png_chunk(b"IDAT", pixels) + png_chunk(b"IEND", b"")


def with_png_chunk(png: bytes, kind: bytes, payload: bytes) -> bytes:
    """The PNG with one more chunk after its header."""
    return png[:33] + png_chunk(kind, payload) + png[33:]


def with_png_pixels(png: bytes, stream: bytes) -> bytes:
    """The PNG with another stream in its IDAT chunk."""
    return png[: png.index(b"IDAT") - 4] + png_chunk(b"IDAT", stream) + png_chunk(b"IEND", b"")


def png_pixels(png: bytes) -> bytes:
    """A PNG's rows, inflated, each after its filter byte."""
    at = png.index(b"IDAT")
    return zlib.decompress(png[at + 4 : at + 4 + int.from_bytes(png[at - 4 : at])])


def with_jpeg_segment(jpeg: bytes, marker: int, payload: bytes) -> bytes:
    """The JPEG with one more segment after its first bytes."""
    return jpeg[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(payload) + 2) + payload + jpeg[2:]


def an_animation(width: int, height: int, image_format: str) -> bytes:
    """A red frame, then a blue one, then a green one."""
    frames = [Image.new("RGB", (width, height), colour) for colour in (RED, BLUE, GREEN)]
    return saved(frames[0], image_format, save_all=True, append_images=frames[1:], duration=100)


def one_of_each() -> dict[str, bytes]:
    """Small files of every kind that is accepted."""
    image = photograph_pixels(90, 60)
    alpha = image.copy()
    alpha.putalpha(Image.linear_gradient("L").resize(image.size))
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "who", zip=True)
    kinds: dict[str, Callable[[], bytes]] = {
        "jpeg": lambda: saved(image, "JPEG"),
        "progressive jpeg": lambda: saved(image, "JPEG", progressive=True),
        "jpeg with exif": lambda: saved(image, "JPEG", exif=exif(6)),
        "cmyk jpeg": lambda: saved(image.convert("CMYK"), "JPEG"),
        "grey jpeg": lambda: saved(image.convert("L"), "JPEG"),
        "png": lambda: saved(image, "PNG"),
        "png with text": lambda: saved(image, "PNG", pnginfo=text, exif=exif(8)),
        "rgba png": lambda: saved(alpha, "PNG"),
        "palette png": lambda: saved(image.quantize(32), "PNG", transparency=3),
        "animated png": lambda: an_animation(40, 30, "PNG"),
        "gif": lambda: saved(image, "GIF"),
        "animated gif": lambda: an_animation(40, 30, "GIF"),
        "webp": lambda: saved(image, "WEBP"),
        "lossless webp": lambda: saved(alpha, "WEBP", lossless=True),
        "webp with exif": lambda: saved(image, "WEBP", exif=exif(3)),
        "animated webp": lambda: an_animation(40, 30, "WEBP"),
        "avif": lambda: saved(image, "AVIF"),
        "rgba avif": lambda: saved(alpha, "AVIF"),
        "grey avif, rotated": lambda: saved(image.convert("L"), "AVIF", exif=exif(6)),
        "animated avif": lambda: an_animation(40, 30, "AVIF"),
        "heic": (HEIC_FILES / "quarters.heic").read_bytes,
        "grey heic of 10 bits": (HEIC_FILES / "grey_10_bit.heic").read_bytes,
        "tiff": lambda: saved(image, "TIFF", compression="tiff_lzw"),
        "grey tiff": lambda: saved(image.convert("L"), "TIFF"),
        "rgba tiff": lambda: saved(alpha, "TIFF", compression="tiff_adobe_deflate"),
        "palette tiff, turned": lambda: saved(image.quantize(32), "TIFF", tiffinfo={ORIENTATION: 6}),
        "bmp": lambda: saved(image, "BMP"),
        "palette bmp": lambda: saved(image.quantize(200), "BMP"),
    }
    return {name: build() for name, build in kinds.items()}
