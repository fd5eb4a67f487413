"""What a document may have."""

from dataclasses import dataclass

from obscura.errors import DocumentTooLarge, InvalidDocument

MEDIA_TYPE = "application/pdf"
MAX_CHILD_BYTES = 512 * 1024 * 1024
_HEADER_WINDOW_BYTES = 1024


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
    memory_bytes: int = MAX_CHILD_BYTES


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
