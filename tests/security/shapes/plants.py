"""What the request shapes carry: the planted images, words and addresses that the inspector looks for."""

import base64
import io
import random
from functools import cache

from PIL import Image

PHRASE = "forbidden zebrawort phrase"
"""A text that is no simple token."""
WORD = "zebrawort"
IMAGE_URL = "https://203.0.113.9/planted/cat.png"
"""In TEST-NET-3 (RFC 5737): the guard refuses it at once, without a connection."""
FILE_ID = "file-Plant3dFile1dOfAProv1der"


@cache
def image(format_name: str, side_px: int = 16) -> bytes:
    """Return noise as an image, the same in each process."""
    noise = Image.frombytes("RGB", (side_px, side_px), random.Random(format_name).randbytes(side_px * side_px * 3))  # noqa: S311
    written = io.BytesIO()
    noise.save(written, format_name, **({"lossless": True} if format_name == "WEBP" else {}))
    return written.getvalue()


@cache
def pdf() -> bytes:
    """Return a document of one page with one image."""
    written = io.BytesIO()
    Image.new("RGB", (40, 40), "teal").save(written, "PDF")
    return written.getvalue()


def wave() -> bytes:
    """Return a tenth of a second of silence (RIFF, 8 kHz, 8 bit)."""
    samples = bytes([128]) * 800
    head = b"RIFF" + (36 + len(samples)).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little")
    parameters = b"\1\0\1\0" + (8000).to_bytes(4, "little") * 2 + b"\1\0\x08\0"
    return head + parameters + b"data" + len(samples).to_bytes(4, "little") + samples


def video() -> bytes:
    """Return the first box of an MP4, which is all that is looked at (ISO/IEC 14496-12 §4.3)."""
    return b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + b"\0\0\0\x08mdat"


def planted_bytes() -> tuple[bytes, ...]:
    """Return a piece from the middle of each planted image: where it turns up, pixels of that image are."""
    images = [image(name) for name in ("PNG", "JPEG", "GIF", "WEBP")] + [image("PNG", 40)]
    return tuple(data[len(data) // 2 : len(data) // 2 + 15] for data in images)


def encoded(data: bytes) -> str:
    """Return bytes as base64."""
    return base64.b64encode(data).decode()


def data_url(data: bytes, media_type: str) -> str:
    """Return bytes as a data URL."""
    return f"data:{media_type};base64,{encoded(data)}"
