"""Render documents in child processes, a few at once, without holding up the event loop (ADR 66)."""

import os
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from obscura.documents.base import MAX_CHILD_BYTES, DocumentLimits
from obscura.errors import UnsupportedOperation
from obscura.execution import MAX_QUEUED_REQUESTS, Caller, FairThreads

if TYPE_CHECKING:
    from obscura.documents.job import Job
    from obscura.documents.page import RenderedPage

MIN_CHILDREN = 2
MIN_CHILD_BYTES = 128 * 1024 * 1024
"""An ordinary document takes 30 MB; a page scanned at 300 dots per inch as much again."""
_CHECK_ONLY = 0


def usual_children() -> int:
    """Return how many children run at once: one for each core, and at least ``MIN_CHILDREN``."""
    return max(MIN_CHILDREN, os.process_cpu_count() or 1)


def child_memory_bytes(usable_bytes: int) -> int:
    """Return what one child may have where this process may use ``usable_bytes``: a quarter, shared by all children."""
    return min(max(usable_bytes // 4 // usual_children(), MIN_CHILD_BYTES), MAX_CHILD_BYTES)


class DocumentRenderer:
    """Child processes that render documents: as many at once as this process has cores, and at least two.

    Each document has a child of its own, so that no document ever meets another. Callers take turns: one waits for at
    most one document of each other one.
    """

    def __init__(self, children: int | None = None) -> None:
        """Allow ``children`` at once; none is started before the first document."""
        self._threads = FairThreads(children or usual_children(), "document", MAX_QUEUED_REQUESTS)
        self._running: set[Job] = set()

    async def render[Prepared](  # noqa: PLR0913 - a document, its limits, and what is made of its pages
        self,
        data: bytes | bytearray,
        *,
        longest_side_px: int,
        limits: DocumentLimits,
        caller: Caller,
        prepare: "Callable[[RenderedPage], Prepared]",
        check_pages: Callable[[int], None] = lambda _pages: None,
        rendered: bool = True,
    ) -> list[Prepared]:
        """Return what ``prepare`` made of each page, in order, rendered with this longest side.

        ``prepare`` is called in a thread, page by page as they come, so that one page at a time is held in pixels;
        ``check_pages`` before that, with the number of pages. What either raises ends the child, and is raised.
        Cancellation ends the child at once. Pages that are not ``rendered`` are only measured: they have the size that
        they would have, no pixels and no text.

        Raises:
            InvalidDocument: broken, encrypted, or at which the child crashed.
            DocumentTooLarge: over ``limits``.
            UnsupportedOperation: where PDFium is not installed.
            RateLimitExceeded: too many requests of the caller wait already.

        """

        def work(job: "Job") -> list[Prepared]:
            prepared = []
            with closing(job.pages()) as items:
                for item in items:
                    if isinstance(item, int):
                        check_pages(item)
                    else:
                        prepared.append(prepare(item))
            return prepared

        return await self._run(_job(data, longest_side_px, limits, rendered=rendered), work, caller)

    async def count_pages(self, data: bytes | bytearray, limits: DocumentLimits, caller: Caller) -> int:
        """Return the number of pages, once a child has read the structure; raises as ``render`` does."""
        [pages] = await self._run(_job(data, _CHECK_ONLY, limits), lambda job: [*job.pages()], caller)
        if not isinstance(pages, int):
            raise TypeError("A check of a document renders no page.")
        return pages

    def close(self) -> None:
        """Kill the children that run, and forget the documents that wait."""
        self._threads.close()
        for job in list(self._running):
            job.cancel()

    async def _run[Result](self, job: "Job", work: "Callable[[Job], Result]", caller: Caller) -> Result:
        self._running.add(job)
        try:
            return await self._threads.run(partial(work, job), caller)
        finally:
            self._running.discard(job)
            job.cancel()


def _job(data: bytes | bytearray, longest_side_px: int, limits: DocumentLimits, *, rendered: bool = True) -> "Job":
    """Return the job, from a module that is imported with the first document (ADR 53)."""
    if sys.platform == "win32":
        raise UnsupportedOperation("This gateway reads no PDFs on Windows. Send the pages as images.")
    from obscura.documents.job import Job

    return Job(data, longest_side_px, limits, rendered)
