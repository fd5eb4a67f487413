"""The few functions of PDFium that the child calls, by ctypes (public/fpdfview.h, fpdf_formfill.h, fpdf_text.h).

``pypdfium2_raw`` declares all 450 of them, which takes 50 ms at each start; these take one.
"""

import ctypes
from ctypes import POINTER, c_char_p, c_double, c_float, c_int, c_size_t, c_uint, c_ulong, c_ushort, c_void_p

FORMAT_BGR = 2
FLAGS = 0x01 | 0x10 | 0x200
"""FPDF_ANNOT, FPDF_REVERSE_BYTE_ORDER (so BGR is RGB), FPDF_RENDER_LIMITEDIMAGECACHE."""
WHITE = 0xFFFF_FFFF
ERROR_PASSWORD, ERROR_SECURITY = 4, 5
FORM_XFA_FULL = 2

_SIGNATURES: dict[str, tuple[object, tuple[object, ...]]] = {
    "FPDF_InitLibraryWithConfig": (None, (c_void_p,)),
    "FPDF_LoadMemDocument64": (c_void_p, (c_void_p, c_size_t, c_char_p)),
    "FPDF_GetLastError": (c_ulong, ()),
    "FPDF_GetFormType": (c_int, (c_void_p,)),
    "FPDF_GetPageCount": (c_int, (c_void_p,)),
    "FPDF_GetPageSizeByIndex": (c_int, (c_void_p, c_int, POINTER(c_double), POINTER(c_double))),
    "FPDF_LoadPage": (c_void_p, (c_void_p, c_int)),
    "FPDF_ClosePage": (None, (c_void_p,)),
    "FPDF_GetPageWidthF": (c_float, (c_void_p,)),
    "FPDF_GetPageHeightF": (c_float, (c_void_p,)),
    "FPDFBitmap_CreateEx": (c_void_p, (c_int, c_int, c_int, c_void_p, c_int)),
    "FPDFBitmap_FillRect": (c_int, (c_void_p, c_int, c_int, c_int, c_int, c_ulong)),
    "FPDFBitmap_Destroy": (None, (c_void_p,)),
    "FPDF_RenderPageBitmap": (None, (c_void_p, c_void_p, c_int, c_int, c_int, c_int, c_int, c_int)),
    "FPDFDOC_InitFormFillEnvironment": (c_void_p, (c_void_p, c_void_p)),
    "FORM_OnAfterLoadPage": (None, (c_void_p, c_void_p)),
    "FORM_OnBeforeClosePage": (None, (c_void_p, c_void_p)),
    "FPDF_FFLDraw": (None, (c_void_p, c_void_p, c_void_p, c_int, c_int, c_int, c_int, c_int, c_int)),
    "FPDFText_LoadPage": (c_void_p, (c_void_p,)),
    "FPDFText_ClosePage": (None, (c_void_p,)),
    "FPDFText_CountChars": (c_int, (c_void_p,)),
    "FPDFText_GetText": (c_int, (c_void_p, c_int, c_int, POINTER(c_ushort))),
    "FPDFText_GetUnicode": (c_uint, (c_void_p, c_int)),
}


class _Config(ctypes.Structure):
    """FPDF_LIBRARY_CONFIG, version 2."""

    _fields_ = (
        ("version", c_int),
        ("user_font_paths", POINTER(c_char_p)),
        ("isolate", c_void_p),
        ("v8_embedder_slot", c_uint),
    )


class FormConfig(ctypes.Structure):
    """FPDF_FORMFILLINFO, version 1: no callback and no JavaScript platform, so that no action reaches anything."""

    _fields_ = (("version", c_int), ("callbacks", c_void_p * 32))


def load(path: str) -> ctypes.CDLL:
    """Load and initialise PDFium, with its own fonts alone: a page looks the same on every machine."""
    library = ctypes.CDLL(path)
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    no_fonts = (c_char_p * 1)(None)
    library.FPDF_InitLibraryWithConfig(ctypes.byref(_Config(2, no_fonts, None, 0)))
    return library
