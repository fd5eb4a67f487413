"""Render documents in child processes, a few at once, without holding up the event loop (ADR 66)."""

import asyncio
import os
import re
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from obscura.documents.base import DocumentLimits, RenderedPage
from obscura.documents.child.protocol import FRAME, REQUEST, Frame, Refusal
from obscura.documents.refusals import refused, too_complex, too_slow
from obscura.errors import UnsupportedOperation

if TYPE_CHECKING:
    from obscura.documents.child_process import ChildProcess

MIN_CHILDREN = 2
_CHECK_ONLY = 0
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]")


class DocumentRenderer:
    """Child processes that render documents: as many at once as this process has cores, and at least two.

    Each document has a child of its own, so that no document ever meets another; the next one waits for its turn.
    """

    def __init__(self, children: int | None = None) -> None:
        """Allow ``children`` at once; none is started before the first document."""
        self._threads = ThreadPoolExecutor(
            children or max(MIN_CHILDREN, os.process_cpu_count() or 1), thread_name_prefix="document"
        )
        self._running: set[_Job] = set()

    async def render[Prepared](
        self,
        data: bytes | bytearray,
        *,
        longest_side_px: int,
        limits: DocumentLimits,
        prepare: Callable[[RenderedPage], Prepared],
        check_pages: Callable[[int], None] = lambda _pages: None,
    ) -> list[Prepared]:
        """Return what ``prepare`` made of each page, in order, rendered with this longest side.

        ``prepare`` is called in a thread, page by page as they come, so that one page at a time is held in pixels;
        ``check_pages`` before that, with the number of pages. What either raises ends the child, and is raised.
        Cancellation ends the child at once.

        Raises:
            InvalidDocument: broken, encrypted, or at which the child crashed.
            DocumentTooLarge: over ``limits``.
            UnsupportedOperation: where PDFium is not installed.

        """

        def work(job: _Job) -> list[Prepared]:
            prepared = []
            for item in job.pages():
                if isinstance(item, int):
                    check_pages(item)
                else:
                    prepared.append(prepare(item))
            return prepared

        return await self._run(_Job(data, longest_side_px, limits), work)

    async def count_pages(self, data: bytes | bytearray, limits: DocumentLimits) -> int:
        """Return the number of pages, once a child has read the structure; raises as ``render`` does."""
        [pages] = await self._run(_Job(data, _CHECK_ONLY, limits), lambda job: [*job.pages()])
        if not isinstance(pages, int):
            raise TypeError("A check of a document renders no page.")
        return pages

    def close(self) -> None:
        """Kill the children that run, and forget the documents that wait."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for job in list(self._running):
            job.cancel()

    async def _run[Result](self, job: "_Job", work: "Callable[[_Job], Result]") -> Result:
        self._running.add(job)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, job)
        finally:
            self._running.discard(job)
            job.cancel()


@dataclass(eq=False, slots=True)
class _Job:
    """One document and its child."""

    data: bytes | bytearray
    longest_side_px: int
    limits: DocumentLimits
    cancelled: bool = False
    child: "ChildProcess | None" = field(default=None, init=False)

    def cancel(self) -> None:
        """Kill the child, or the one that is about to start; from any thread, at any time."""
        self.cancelled = True
        if self.child is not None:
            self.child.kill()

    def pages(self) -> Iterator[int | RenderedPage]:
        """Yield the number of pages, then each page; the child ends with the iteration, or before."""
        if sys.platform == "win32":
            raise UnsupportedOperation("This gateway reads no PDFs on Windows. Send the pages as images.")
        from obscura.documents.child_process import ChildEnded, ChildProcess, ChildTimedOut

        limits = self.limits
        request = REQUEST.pack(len(self.data), self.longest_side_px, limits.pages, limits.pixels, limits.page_chars)
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

    def _frames(self, child: "ChildProcess") -> Iterator[int | RenderedPage]:
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

    def _document(self, child: "ChildProcess") -> int:
        pages, *_ = self._next(child, Frame.DOCUMENT)
        _believe(1 <= pages <= self.limits.pages)
        return pages

    def _page(self, number: int, child: "ChildProcess") -> RenderedPage:
        width_px, height_px, channels, chars = self._next(child, Frame.PAGE)
        _believe(max(width_px, height_px) == self.longest_side_px and min(width_px, height_px) >= 1)
        _believe(channels in {1, 3} and chars <= self.limits.page_chars)
        codes = array("I", bytes(child.read(4 * chars)))
        pixels = child.read(channels * width_px * height_px)
        return RenderedPage(number, width_px, height_px, pixels, _text_of(codes))

    def _next(self, child: "ChildProcess", expected: Frame) -> tuple[int, int, int, int]:
        kind, *numbers = FRAME.unpack(child.read(FRAME.size))
        if kind == Frame.REFUSED:
            _believe(numbers[0] in {*Refusal})
            raise refused(Refusal(numbers[0]), numbers[1], numbers[2], self.limits)
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
