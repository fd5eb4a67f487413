"""Builders of files that are small to send and would be large to decode."""

import struct
import zlib

from PIL import Image

from tests.unit.imaging.images import a_photograph, a_plain, png_chunk, png_header, saved

RAW_LIMIT = 15 * 1024 * 1024


def a_png_of_169_megapixels() -> bytes:
    """What Pillow by itself lets through: 13,000 x 13,000 white pixels in well under a megabyte."""
    deflater = zlib.compressobj(9)
    row = b"\0" + b"\xff" * (13_000 * 3)
    pixels = b"".join(deflater.compress(row) for _ in range(13_000)) + deflater.flush()
    return png_header(13_000, 13_000) + png_chunk(b"IDAT", pixels) + png_chunk(b"IEND", b"")


def headers_of_200_megapixels() -> dict[str, bytes]:
    side = 14_143
    jpeg = a_plain(16, 16, "JPEG")
    at = jpeg.index(b"\xff\xc0") + 5
    gif = bytearray(a_plain(16, 16, "GIF"))
    descriptor = gif.index(b",", 13)
    gif[6:10] = gif[descriptor + 5 : descriptor + 9] = struct.pack("<HH", side, side)
    webp = bytearray(a_plain(16, 16, "WEBP"))
    webp[26:30] = struct.pack("<HH", side, side)
    extended = bytearray(saved(Image.new("RGB", (16, 16)), "WEBP", exif=b"Exif\0\0x"))
    extended[24:30] = (side - 1).to_bytes(3, "little") * 2
    avif = bytearray(a_plain(16, 16, "AVIF"))
    extent = avif.index(b"ispe") + 8
    avif[extent : extent + 8] = struct.pack(">II", side, side)
    return {
        "AVIF": bytes(avif),
        "JPEG": jpeg[:at] + struct.pack(">HH", side, side) + jpeg[at + 4 :],
        "PNG": png_header(side, side) + png_chunk(b"IDAT", zlib.compress(bytes(1000))) + png_chunk(b"IEND", b""),
        "GIF": bytes(gif),
        "GIF that hides it in the frame": _gif_with_large_frame(side),
        "WEBP": bytes(webp),
        "extended WEBP": bytes(extended),
    }


def _gif_with_large_frame(side: int) -> bytes:
    gif = bytearray(a_plain(16, 16, "GIF"))
    descriptor = gif.index(b",", 13)
    gif[descriptor + 5 : descriptor + 9] = struct.pack("<HH", side, side)
    return bytes(gif)


def a_gif_of_frames(count: int) -> bytes:
    """A valid animation of ``count`` frames of 1,000 x 1,000 pixels each; the frames repeat."""
    gif = a_plain(1000, 1000, "GIF", 0, "P")
    frame_at = gif.index(b"\x2c", 13 + 3 * 2)
    frame = gif[frame_at:-1]
    return gif[:frame_at] + frame * min(count, (RAW_LIMIT - 1000) // len(frame)) + b";"


def a_jpeg_of_scans(count: int, width: int = 2000, height: int = 2000) -> bytes:
    """A progressive JPEG whose last scan is repeated ``count`` times."""
    jpeg = saved(Image.new("RGB", (width, height), (90, 100, 110)), "JPEG", progressive=True)
    last = jpeg.rindex(b"\xff\xda")
    return jpeg[:-2] + jpeg[last:-2] * count + b"\xff\xd9"


def a_png_of_inflating_metadata(kind: bytes) -> bytes:
    """A PNG with 60 chunks that would inflate to a gigabyte in all."""
    squeezed = zlib.compress(bytes(16 * 1024 * 1024), 9)
    payload = {b"zTXt": b"k\0\0", b"iCCP": b"k\0\0", b"iTXt": b"k\0\1\0\0\0"}[kind] + squeezed
    png = a_photograph(200, 100, "PNG")
    return png[:33] + png_chunk(kind, payload) * (1 if kind == b"iCCP" else 60) + png[33:]


def a_png_of_tiny_chunks() -> bytes:
    """Pixels in chunks of no byte at all, a million of them."""
    png = a_photograph(200, 100, "PNG")
    at = png.index(b"IDAT") - 4
    return png[:at] + png_chunk(b"IDAT", b"") * 1_000_000 + png[at:]


def a_gif_of_tiny_blocks() -> bytes:
    """A comment in blocks of one byte, seven million of them, before the frame."""
    gif = a_plain(16, 16, "GIF")
    at = gif.index(b"\x2c", 13)
    return gif[:at] + b"\x21\xfe" + b"\x01x" * 7_000_000 + b"\0" + gif[at:]


def a_jpeg_of_tiny_segments() -> bytes:
    """Three million empty comments."""
    jpeg = a_plain(16, 16, "JPEG")
    return jpeg[:2] + b"\xff\xfe\0\x02" * 3_000_000 + jpeg[2:]


def a_jpeg_of_fill_bytes() -> bytes:
    """Fourteen megabytes of 0xFF between two markers, which the standard allows."""
    jpeg = a_plain(16, 16, "JPEG")
    return jpeg[:2] + b"\xff" * 14_000_000 + jpeg[2:]


def a_webp_of_tiny_chunks() -> bytes:
    webp = saved(Image.new("RGB", (16, 16)), "WEBP", exif=b"Exif\0\0x")
    webp += b"junk\0\0\0\0" * 1_500_000
    return webp[:4] + struct.pack("<I", len(webp) - 8) + webp[8:]
