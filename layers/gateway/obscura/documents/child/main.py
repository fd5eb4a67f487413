"""Read one request from stdin, render its PDF, write frames to stdout, and end."""

import math
import os
import sys
from collections.abc import Iterator
from ctypes import CDLL, byref, c_char, c_double, c_uint, create_string_buffer

from . import pdfium, sandbox
from .protocol import FRAME, MAX_ASPECT_RATIO, MAX_PAGE_SIDE_UNITS, REQUEST, Frame, Refusal, rendered_size

_STDIN, _STDOUT = 0, 1
_MAX_READ_BYTES = 1 << 20


class _Refused(Exception):
    """The document is refused: why, the page, and the number that is over its limit."""

    def __init__(self, reason: Refusal, page: int = 0, number: float = 0) -> None:
        super().__init__(reason)
        self.frame = FRAME.pack(Frame.REFUSED, reason, page, min(int(number), 0xFFFF_FFFF), 0)


def main() -> None:
    """Render the document; the arguments are PDFium's path, the memory in bytes and the CPU time in seconds."""
    library = pdfium.load(sys.argv[1])
    sandbox.enter(int(sys.argv[2]), int(sys.argv[3]))
    document_bytes, longest_side_px, pages, pixels, text_chars = REQUEST.unpack(_read(REQUEST.size))
    document = _read(document_bytes)
    try:
        for frame in _frames(library, document, longest_side_px, pages, pixels, text_chars):
            _write(frame)
        _write(FRAME.pack(Frame.END, 0, 0, 0, 0))
    except _Refused as refused:
        _write(refused.frame)
    except MemoryError:
        _write(FRAME.pack(Frame.REFUSED, Refusal.OUT_OF_MEMORY, 0, 0, 0))
    # PDFium's own tear-down would only cost time.
    os._exit(0)


def _frames(  # noqa: PLR0913, PLR0917 one limit each
    library: CDLL, document: bytearray, longest_side_px: int, max_pages: int, max_pixels: int, max_chars: int
) -> Iterator[bytes]:
    content = (c_char * len(document)).from_buffer(document)
    handle = library.FPDF_LoadMemDocument64(content, len(document), None)
    if not handle:
        locked = library.FPDF_GetLastError() in {pdfium.ERROR_PASSWORD, pdfium.ERROR_SECURITY}
        raise _Refused(Refusal.ENCRYPTED if locked else Refusal.BROKEN)
    if library.FPDF_GetFormType(handle) == pdfium.FORM_XFA_FULL:
        raise _Refused(Refusal.XFA)
    pages = library.FPDF_GetPageCount(handle)
    if pages < 1:
        raise _Refused(Refusal.NO_PAGES)
    if pages > max_pages:
        raise _Refused(Refusal.TOO_MANY_PAGES, number=pages)
    _check_sizes(library, handle, pages, longest_side_px, max_pixels)
    yield FRAME.pack(Frame.DOCUMENT, pages, 0, 0, 0)
    if longest_side_px:
        for index in range(pages):
            yield from _page_frames(library, handle, index, longest_side_px, max_chars)


def _check_sizes(library: CDLL, handle: int, pages: int, longest_side_px: int, max_pixels: int) -> None:
    """Check the size of every page, and the pixels of all, before the content of any is parsed."""
    total = 0
    for index in range(pages):
        width, height = c_double(), c_double()
        if not library.FPDF_GetPageSizeByIndex(handle, index, byref(width), byref(height)):
            raise _Refused(Refusal.PAGE_BROKEN, index + 1)
        _check_size(index, width.value, height.value)
        across, down = rendered_size(width.value, height.value, longest_side_px or 1)
        total += across * down
    if total > max_pixels:
        raise _Refused(Refusal.TOO_MANY_PIXELS, number=total)


def _check_size(index: int, width: float, height: float) -> None:
    longest, shortest = max(width, height), min(width, height)
    if (
        not math.isfinite(width * height)
        or shortest <= 0
        or longest > MAX_PAGE_SIDE_UNITS
        or longest > MAX_ASPECT_RATIO * shortest
    ):
        raise _Refused(Refusal.PAGE_SIZE, index + 1)


def _page_frames(library: CDLL, handle: int, index: int, longest_side_px: int, max_chars: int) -> Iterator[bytes]:
    page = library.FPDF_LoadPage(handle, index)
    if not page:
        raise _Refused(Refusal.PAGE_BROKEN, index + 1)
    width, height = library.FPDF_GetPageWidthF(page), library.FPDF_GetPageHeightF(page)
    _check_size(index, width, height)
    size = rendered_size(width, height, longest_side_px)
    text = _text(library, page, index, max_chars)
    pixels = _pixels(library, page, *size)
    library.FPDF_ClosePage(page)
    yield FRAME.pack(Frame.PAGE, *size, len(pixels) // (size[0] * size[1]), len(text) // 4)
    yield text
    yield pixels


def _text(library: CDLL, page: int, index: int, max_chars: int) -> bytes:
    """Return the text layer in PDFium's order, text that the page does not show included.

    As UTF-32 in this machine's byte order; surrogates may stand in it.
    """
    text_page = library.FPDFText_LoadPage(page)
    if not text_page:
        return b""
    count = library.FPDFText_CountChars(text_page)
    if count > max_chars:
        raise _Refused(Refusal.TOO_MUCH_TEXT, index + 1, count)
    # FPDFText_GetText cuts the end off where a character takes two UTF-16 units.
    codes = [library.FPDFText_GetUnicode(text_page, at) for at in range(count)]
    library.FPDFText_ClosePage(text_page)
    # No codec can be imported here any more: the gateway decodes.
    return bytes((c_uint * count)(*codes))


def _pixels(library: CDLL, page: int, width_px: int, height_px: int) -> bytes:
    """Return the page on white, its annotations and the fields of its forms included: as RGB, or as grey if it is."""
    stride = (3 * width_px + 3) & ~3
    buffer = create_string_buffer(stride * height_px)
    bitmap = library.FPDFBitmap_CreateEx(width_px, height_px, pdfium.FORMAT_BGR, buffer, stride)
    if not bitmap:
        raise MemoryError
    library.FPDFBitmap_FillRect(bitmap, 0, 0, width_px, height_px, pdfium.WHITE)
    library.FPDF_RenderPageBitmap(bitmap, page, 0, 0, width_px, height_px, 0, pdfium.FLAGS)
    library.FPDFBitmap_Destroy(bitmap)
    rows = memoryview(buffer).cast("B")
    pixels = b"".join(rows[start : start + 3 * width_px] for start in range(0, len(rows), stride))
    red = pixels[0::3]
    return red if red == pixels[1::3] and red == pixels[2::3] else pixels


def _read(count: int) -> bytearray:
    data = bytearray(count)
    view, at = memoryview(data), 0
    while at < count:
        read = os.readv(_STDIN, [view[at : at + _MAX_READ_BYTES]])
        if not read:
            os._exit(1)
        at += read
    return data


def _write(frame: bytes) -> None:
    left = memoryview(frame)
    while left:
        left = left[os.write(_STDOUT, left) :]
