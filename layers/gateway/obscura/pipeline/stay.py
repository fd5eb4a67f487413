"""A caller's stay: let in, served, and given the free tier's place back when nothing came of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from obscura.errors import ObscuraError, UpstreamUnavailable
from obscura.pipeline.admit import Admission, Caller, Knock, admit
from obscura.pipeline.door import Door
from obscura.pipeline.journal import RequestJournal
from obscura.pipeline.request import CallerGone

_giving_back: set[asyncio.Task[None]] = set()
"""Tasks under way; the event loop itself holds none of them."""


@asynccontextmanager
async def let_in(knock: Knock, door: Door) -> AsyncIterator[Caller]:
    """Let a caller in for as long as the context holds; raises what ``admit`` raises.

    The place of a request goes back once when it fails before anything was sent to moderation or to the upstream
    (``journal.sent_out``), or with a 5xx; one that was blocked keeps it, and one whose caller left meanwhile.
    """
    with knock.journal.step("admit"):
        admission = await admit(knock, door)
    knock.journal.project = admission.caller.project
    knock.journal.zero_retention = admission.caller.zero_retention
    try:
        yield admission.caller
    except BaseException as failure:
        if admission.place and (not knock.journal.sent_out or _is_a_fault(failure)):
            await _give_back(admission, knock.journal, door)
        raise


def _is_a_fault(failure: BaseException) -> bool:
    """Whether the request ends with a 5xx, Obscura's or the upstream's."""
    if isinstance(failure, ObscuraError):
        return failure.answer_status >= 500
    return isinstance(failure, Exception) and not isinstance(failure, CallerGone)


async def _give_back(admission: Admission, journal: RequestJournal, door: Door) -> None:
    """Give the place back even when the request's own task is cancelled; without the store it is lost."""

    async def give_back() -> None:
        with suppress(UpstreamUnavailable):
            await door.quotas.give_back(admission.place)
            journal.allowance = journal.allowance and journal.allowance.with_one_back()

    task = asyncio.create_task(give_back())
    _giving_back.add(task)
    task.add_done_callback(_giving_back.discard)
    await asyncio.shield(task)
