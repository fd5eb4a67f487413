"""One document and its child process: what is sent, and what of the answer is believed."""

import re
import sys
from array import array
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field

from obscura.documents.base import DocumentLimits
from obscura.documents.child.protocol import FRAME, REQUEST, Frame
from obscura.documents.child_process import ChildEnded, ChildProcess, ChildTimedOut
from obscura.documents.page import RenderedPage
from obscura.documents.refusals import REASONS, refused, too_complex, too_slow

_CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]")


@dataclass(eq=False, slots=True)
class Job:
    """One document and its child; pages that are not ``rendered`` have a size alone, no pixels and no text."""

    data: bytes | bytearray
    longest_side_px: int
    limits: DocumentLimits
    rendered: bool = True
    cancelled: bool = False
    child: ChildProcess | None = field(default=None, init=False)

    def cancel(self) -> None:
        """Kill the child, or the one that is about to start; from any thread, at any time."""
        self.cancelled = True
        if self.child is not None:
            self.child.kill()

    def pages(self) -> Generator[int | RenderedPage]:
        """Yield the number of pages, then each page; the child ends with the iteration, or before."""
        limits = self.limits
        numbers = (limits.pages, limits.pixels, limits.page_chars, self.rendered)
        request = REQUEST.pack(len(self.data), self.longest_side_px, *numbers)
        child = ChildProcess((request, self.data), limits)
        self.child = child
        try:
            # ``cancel`` may have come while the child was started: it sees the child, or this sees the flag.
            if self.cancelled:
                raise ChildEnded
            yield from self._frames(child)
        except ChildTimedOut:
            raise too_slow(limits) from None
        except (ChildEnded, _Unbelievable):
            raise too_complex(limits) from None
        finally:
            child.close()

    def _frames(self, child: ChildProcess) -> Generator[int | RenderedPage]:
        pages = self._document(child)
        yield pages
        pixels = 0
        for number in range(1, pages + 1) if self.longest_side_px else ():
            page = self._page(number, child)
            pixels += page.width_px * page.height_px
            # The two sides of a page may be rounded otherwise than in the check of its size.
            _believe(pixels <= self.limits.pixels + pages * self.longest_side_px)
            yield page
        self._next(child, Frame.END)

    def _document(self, child: ChildProcess) -> int:
        pages, *_ = self._next(child, Frame.DOCUMENT)
        _believe(1 <= pages <= self.limits.pages)
        return pages

    def _page(self, number: int, child: ChildProcess) -> RenderedPage:
        width_px, height_px, channels, chars = self._next(child, Frame.PAGE)
        _believe(max(width_px, height_px) == self.longest_side_px and min(width_px, height_px) >= 1)
        if not self.rendered:
            _believe(channels == 0 and chars == 0)
            return RenderedPage(number, width_px, height_px, bytearray(), "")
        _believe(channels in {1, 3} and chars <= self.limits.page_chars)
        codes = array("I", bytes(child.read(4 * chars)))
        pixels = child.read(channels * width_px * height_px)
        return RenderedPage(number, width_px, height_px, pixels, _text_of(codes))

    def _next(self, child: ChildProcess, expected: int) -> tuple[int, int, int, int]:
        kind, *numbers = FRAME.unpack(child.read(FRAME.size))
        if kind == Frame.REFUSED:
            _believe(numbers[0] in REASONS)
            raise refused(numbers[0], numbers[1], numbers[2], self.limits)
        _believe(kind == expected)
        return numbers[0], numbers[1], numbers[2], numbers[3]


class _Unbelievable(Exception):
    """The child said what a working one never says: the document has taken it over, or it is damaged."""


def _believe(holds: bool) -> None:
    if not holds:
        raise _Unbelievable


def _text_of(codes: Iterable[int]) -> str:
    r"""Return the text of these code points or UTF-16 units, as text that JSON and UTF-8 can carry.

    Control characters, noncharacters and lone surrogates are left out; line ends become ``\n``.
    """
    text = "".join(chr(code) for code in codes if 0 < code <= sys.maxunicode)
    paired = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
    return _CONTROL_CHARACTERS.sub("", paired.replace("\r\n", "\n").replace("\r", "\n"))
