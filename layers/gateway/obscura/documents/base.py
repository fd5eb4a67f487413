"""What a document may have, and what its pages become."""

import struct
import zlib
from dataclasses import dataclass

from obscura.errors import DocumentTooLarge, InvalidDocument

MEDIA_TYPE = "application/pdf"
_HEADER_WINDOW_BYTES = 1024
_GREY, _TRUECOLOUR = 0, 2


@dataclass(frozen=True, slots=True)
class DocumentLimits:
    """The limits of one document.

    raw_bytes       of one that a request carries or names by URL
    stored_bytes    of one that is stored, and named by its file id
    pages           of the document
    pixels          of all its pages together, as rendered
    page_chars      of the text layer of one page
    seconds         of the child process that renders it
    memory_bytes    of that process
    """

    raw_bytes: int = 15 * 1024 * 1024
    stored_bytes: int = 32 * 1024 * 1024
    pages: int = 50
    pixels: int = 64_000_000
    page_chars: int = 200_000
    seconds: float = 10.0
    memory_bytes: int = 512 * 1024 * 1024


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


def is_pdf(data: bytes | bytearray | memoryview) -> bool:
    """Whether bytes are a PDF: its header may follow up to 1,024 other bytes (ISO 32000-1, annex H, note 13)."""
    return b"%PDF-" in bytes(data[:_HEADER_WINDOW_BYTES])


def require_pdf(data: bytes | bytearray, max_bytes: int) -> None:
    """Raise InvalidDocument for bytes that are no PDF, DocumentTooLarge for more than ``max_bytes``."""
    if len(data) > max_bytes:
        raise DocumentTooLarge(
            f"The document has {len(data):,} bytes; {max_bytes:,} are allowed here. Send fewer pages, or compress it."
        )
    if not is_pdf(data):
        raise InvalidDocument("The document is not a PDF. Save it as one; send images as images and text as text.")
