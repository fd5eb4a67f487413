"""Small requests of as many pixels as are allowed, with which an audit ended functions of little memory."""

import base64
import zlib
from functools import cache

from PIL import Image

from tests.support.gateway import chat_request, image_part
from tests.unit.imaging.images import saved

SIDE_PX = 8000
"""64 megapixels."""
PARTS = 8


@cache
def bombs() -> dict[str, dict]:
    """Requests by name: one PNG, four of them, and two progressive JPEGs in 4:4:4 in a body of 2 MB."""
    image = Image.new("RGB", (SIDE_PX, SIDE_PX), (9, 90, 200))
    png = _url("png", _plain_png())
    jpeg = _url("jpeg", saved(image, "JPEG", progressive=True, subsampling=0))
    sent = {"one PNG": [png], "four PNG": [png] * 4, "two JPEG": [jpeg] * 2}
    return {name: chat_request(*map(image_part, urls)) for name, urls in sent.items()}


def _plain_png() -> bytes:
    """Return a black PNG, whose rows are compressed once and repeated: Pillow takes a second for as many."""
    rows = bytes(SIDE_PX // PARTS * (1 + 3 * SIDE_PX))
    packer = zlib.compressobj(1)
    head = packer.compress(rows) + packer.flush(zlib.Z_FULL_FLUSH)
    part = packer.compress(rows) + packer.flush(zlib.Z_FULL_FLUSH)
    packer = zlib.compressobj(1, wbits=-zlib.MAX_WBITS)
    checksum = zlib.adler32(rows)
    for _ in range(PARTS - 1):
        checksum = zlib.adler32(rows, checksum)
    data = head + part * (PARTS - 1) + packer.flush() + checksum.to_bytes(4, "big")
    header = SIDE_PX.to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def _url(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
