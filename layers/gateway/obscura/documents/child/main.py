"""Read one request from stdin, render its PDF, write frames to stdout, and end."""

import math
import os
import sys
from ctypes import CDLL, byref, c_char, c_double, c_uint, c_ushort, create_string_buffer

from . import pdfium, sandbox
from .protocol import FRAME, MAX_ASPECT_RATIO, MAX_PAGE_SIDE_UNITS, REQUEST, Frame, Refusal, rendered_size

_STDIN, _STDOUT = 0, 1
_MAX_READ_BYTES = 1 << 20


class _Refused(Exception):
    """The document is refused: why, the page, and the number that is over its limit."""

    def __init__(self, reason: int, page: int = 0, number: float = 0) -> None:
        super().__init__(reason)
        self.frame = FRAME.pack(Frame.REFUSED, reason, page, min(int(number), 0xFFFF_FFFF), 0)


def main() -> None:
    """Render the document; the arguments are PDFium's path, the memory in bytes and the CPU time in seconds."""
    library = pdfium.load(sys.argv[1])
    sandbox.enter(int(sys.argv[2]), int(sys.argv[3]))
    document_bytes, longest_side_px, pages, pixels, text_chars, rendered = REQUEST.unpack(_read(REQUEST.size))
    content = _read(document_bytes)
    try:
        document = _Document(library, content)
        sizes = document.check(longest_side_px, pages, pixels)
        _write(FRAME.pack(Frame.DOCUMENT, len(sizes), 0, 0, 0))
        for index, (across, down) in enumerate(sizes if longest_side_px else ()):
            if rendered:
                for frame in document.page_frames(index, longest_side_px, text_chars):
                    _write(frame)
            else:
                _write(FRAME.pack(Frame.PAGE, across, down, 0, 0))
        _write(FRAME.pack(Frame.END, 0, 0, 0, 0))
    except _Refused as refused:
        _write(refused.frame)
    except MemoryError:
        _write(FRAME.pack(Frame.REFUSED, Refusal.OUT_OF_MEMORY, 0, 0, 0))
    # PDFium's own tear-down would only cost time.
    os._exit(0)


class _Document:
    """A document that PDFium has opened, and its form, if it could be read."""

    def __init__(self, library: CDLL, content: bytearray) -> None:
        self._library = library
        self._content = (c_char * len(content)).from_buffer(content)
        self._handle = library.FPDF_LoadMemDocument64(self._content, len(content), None)
        if not self._handle:
            locked = library.FPDF_GetLastError() in {pdfium.ERROR_PASSWORD, pdfium.ERROR_SECURITY}
            raise _Refused(Refusal.ENCRYPTED if locked else Refusal.BROKEN)
        if library.FPDF_GetFormType(self._handle) == pdfium.FORM_XFA_FULL:
            raise _Refused(Refusal.XFA)
        self._config = pdfium.FormConfig(1)
        self._form = library.FPDFDOC_InitFormFillEnvironment(self._handle, byref(self._config))

    def check(self, longest_side_px: int, max_pages: int, max_pixels: int) -> list[tuple[int, int]]:
        """Return each page's size in px; check their number, sizes and pixels before any content is parsed."""
        pages: int = self._library.FPDF_GetPageCount(self._handle)
        if pages < 1:
            raise _Refused(Refusal.NO_PAGES)
        if pages > max_pages:
            raise _Refused(Refusal.TOO_MANY_PAGES, number=pages)
        sizes = []
        for index in range(pages):
            width, height = c_double(), c_double()
            if not self._library.FPDF_GetPageSizeByIndex(self._handle, index, byref(width), byref(height)):
                raise _Refused(Refusal.PAGE_BROKEN, index + 1)
            _check_size(index, width.value, height.value)
            sizes.append(rendered_size(width.value, height.value, longest_side_px or 1))
        total = sum(across * down for across, down in sizes)
        if total > max_pixels:
            raise _Refused(Refusal.TOO_MANY_PIXELS, number=total)
        return sizes

    def page_frames(self, index: int, longest_side_px: int, max_chars: int) -> tuple[bytes, bytes, bytes]:
        """Return a page's frame, its text and its pixels."""
        library = self._library
        page = library.FPDF_LoadPage(self._handle, index)
        if not page:
            raise _Refused(Refusal.PAGE_BROKEN, index + 1)
        width, height = library.FPDF_GetPageWidthF(page), library.FPDF_GetPageHeightF(page)
        _check_size(index, width, height)
        across, down = rendered_size(width, height, longest_side_px)
        text = self._text(page, index, max_chars)
        pixels = self._pixels(page, across, down)
        library.FPDF_ClosePage(page)
        frame = FRAME.pack(Frame.PAGE, across, down, len(pixels) // (across * down), len(text) // 4)
        return frame, text, pixels

    def _text(self, page: int, index: int, max_chars: int) -> bytes:
        """Return the text layer in PDFium's order, text that the page does not show included.

        As UTF-32 in this machine's byte order; surrogates may stand in it.
        """
        library = self._library
        text_page = library.FPDFText_LoadPage(page)
        if not text_page:
            return b""
        count = library.FPDFText_CountChars(text_page)
        if count > max_chars:
            raise _Refused(Refusal.TOO_MUCH_TEXT, index + 1, count)
        units = (c_ushort * (count + 1))()
        written = library.FPDFText_GetText(text_page, 0, count, units)
        codes = units[: max(0, written - 1)]
        if any(_is_surrogate(code) for code in codes):
            # FPDFText_GetText cuts the end off where characters take two UTF-16 units; one by one is slower, and whole.
            codes = [library.FPDFText_GetUnicode(text_page, at) for at in range(count)]
        library.FPDFText_ClosePage(text_page)
        # No codec can be imported here any more: the gateway decodes.
        return bytes((c_uint * len(codes))(*codes))

    def _pixels(self, page: int, width_px: int, height_px: int) -> bytes:
        """Return the page on white, with its annotations and the fields of its form: as RGB, or as grey if it is."""
        library = self._library
        stride = (3 * width_px + 3) & ~3
        buffer = create_string_buffer(stride * height_px)
        bitmap = library.FPDFBitmap_CreateEx(width_px, height_px, pdfium.FORMAT_BGR, buffer, stride)
        if not bitmap:
            raise MemoryError
        library.FPDFBitmap_FillRect(bitmap, 0, 0, width_px, height_px, pdfium.WHITE)
        library.FPDF_RenderPageBitmap(bitmap, page, 0, 0, width_px, height_px, 0, pdfium.FLAGS)
        if self._form:
            # Actions of the document or of the page would take calls of their own, which are not made.
            library.FORM_OnAfterLoadPage(page, self._form)
            library.FPDF_FFLDraw(self._form, bitmap, page, 0, 0, width_px, height_px, 0, pdfium.FLAGS)
            library.FORM_OnBeforeClosePage(page, self._form)
        library.FPDFBitmap_Destroy(bitmap)
        rows = memoryview(buffer).cast("B")
        pixels = b"".join(rows[start : start + 3 * width_px] for start in range(0, len(rows), stride))
        red = pixels[0::3]
        return red if red == pixels[1::3] and red == pixels[2::3] else pixels


def _is_surrogate(code: int) -> bool:
    return 0xD800 <= code <= 0xDFFF


def _check_size(index: int, width: float, height: float) -> None:
    longest, shortest = max(width, height), min(width, height)
    if (
        not math.isfinite(width * height)
        or shortest <= 0
        or longest > MAX_PAGE_SIDE_UNITS
        or longest > MAX_ASPECT_RATIO * shortest
    ):
        raise _Refused(Refusal.PAGE_SIZE, index + 1)


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
