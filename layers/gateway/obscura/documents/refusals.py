"""The errors of documents that the child process refused, could not read, or did not finish in time."""

from collections.abc import Callable

from obscura.documents.base import DocumentLimits
from obscura.documents.child.protocol import MAX_ASPECT_RATIO, MAX_PAGE_SIDE_UNITS, Refusal
from obscura.errors import DocumentTooLarge, InvalidDocument, ObscuraError

_PRINT = "Open it in a viewer and print it to a new PDF"

_BROKEN: dict[int, str] = {
    Refusal.BROKEN: f"The PDF is broken, or cut short. Send the whole file. {_PRINT}, if a viewer can show it.",
    Refusal.ENCRYPTED: f"The PDF is encrypted and needs a password. {_PRINT}, without a password.",
    Refusal.XFA: f"The PDF is an XFA form, whose pages a script draws; scripts never run here. {_PRINT}.",
    Refusal.NO_PAGES: "The PDF has no pages. Send one with at least one page.",
}


def refused(reason: int, page: int, number: int, limits: DocumentLimits) -> ObscuraError:
    """Return the error of a document that the child refused, as ``child.protocol`` says."""
    if reason in _BROKEN:
        return InvalidDocument(_BROKEN[reason])
    return _BY_LIMIT[reason](page, number, limits)


_BY_LIMIT: dict[int, Callable[[int, int, DocumentLimits], ObscuraError]] = {
    Refusal.TOO_MANY_PAGES: lambda _page, pages, limits: DocumentTooLarge(
        f"The PDF has {pages:,} pages; {limits.pages:,} are allowed. Send those that matter."
    ),
    Refusal.PAGE_SIZE: lambda page, _number, _limits: InvalidDocument(
        f"Page {page} of the PDF has an impossible size: a side may have {MAX_PAGE_SIDE_UNITS:,} units (200 inches), "
        f"and the longer {MAX_ASPECT_RATIO} times the shorter. {_PRINT} on ordinary paper."
    ),
    Refusal.TOO_MANY_PIXELS: lambda _page, pixels, limits: DocumentTooLarge(
        f"The pages of the PDF have {pixels:,} pixels in all at this detail; {limits.pixels:,} are allowed. "
        "Send fewer pages, or use a lower detail."
    ),
    Refusal.PAGE_BROKEN: lambda page, _number, _limits: InvalidDocument(
        f"Page {page} of the PDF is broken. {_PRINT}, or leave the page out."
    ),
    Refusal.TOO_MUCH_TEXT: lambda page, chars, limits: DocumentTooLarge(
        f"Page {page} of the PDF has a text layer of {chars:,} characters; {limits.page_chars:,} are allowed. "
        "Send the text as text, or the page as an image."
    ),
    Refusal.OUT_OF_MEMORY: lambda _page, _number, limits: too_complex(limits),
}


REASONS = frozenset({*_BROKEN, *_BY_LIMIT})
"""The reasons that ``refused`` knows: all of ``Refusal``."""


def too_complex(limits: DocumentLimits) -> ObscuraError:
    """Return the error of a document at which the child failed: too little memory, or a fault of PDFium."""
    return InvalidDocument(
        f"The PDF could not be rendered: it is broken, or needs more than {limits.memory_bytes // 2**20} MiB of "
        f"memory. {_PRINT}, or send its pages as images."
    )


def too_slow(limits: DocumentLimits) -> ObscuraError:
    """Return the error of a document that took longer than it may."""
    return DocumentTooLarge(
        f"The PDF took longer to render than {limits.seconds:g} s, the limit. Send fewer or simpler pages, "
        "or its pages as images."
    )
