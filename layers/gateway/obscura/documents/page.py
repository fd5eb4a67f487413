"""A page of a document, as rendered."""

import struct
import zlib
from dataclasses import dataclass

_GREY, _TRUECOLOUR = 0, 2


@dataclass(frozen=True, slots=True)
class RenderedPage:
    """A page of a document: its pixels row by row, on white, as RGB or in one channel of grey, and its text layer.

    ``number`` counts from 1. The text has every character of the layer, also what the page does not show.
    """

    number: int
    width_px: int
    height_px: int
    pixels: bytes | bytearray
    text: str

    def png(self) -> bytes:
        """Return the page as a PNG for ``obscura.imaging.prepare``, uncompressed, since that encodes it again.

        The text chunk says so: a PNG without one would keep its bytes (PNG, third edition, §11.3.3.2 "tEXt").
        """
        stride = len(self.pixels) // self.height_px
        colour_type = _GREY if stride == self.width_px else _TRUECOLOUR
        rows = b"".join(
            part
            for start in range(0, len(self.pixels), stride)
            for part in (b"\0", self.pixels[start : start + stride])
        )
        header = struct.pack("!IIBBBBB", self.width_px, self.height_px, 8, colour_type, 0, 0, 0)
        chunks = ((b"IHDR", header), (b"tEXt", b"Source\0PDF"), (b"IDAT", zlib.compress(rows, 0)), (b"IEND", b""))
        return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, payload) for kind, payload in chunks)


def _chunk(kind: bytes, payload: bytes) -> bytes:
    return b"".join(
        (len(payload).to_bytes(4), kind, payload, zlib.crc32(payload, zlib.crc32(kind)).to_bytes(4)),
    )
