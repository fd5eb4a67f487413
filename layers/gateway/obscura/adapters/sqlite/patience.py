"""Waiting for a locked database without keeping the event loop waiting."""

import asyncio
import sqlite3
from collections.abc import Callable
from time import monotonic

from obscura.errors import UpstreamUnavailable

LOCKED_AT_MOST_S = 2.0
FIRST_PAUSE_S = 0.002
LONGEST_PAUSE_S = 0.05


async def patiently[T](work: Callable[[], T]) -> T:
    """Give what ``work`` gives, called anew while another process holds the lock.

    ``work`` is one statement or one transaction of microseconds on a connection that does not wait by itself. Raises
    UpstreamUnavailable when the lock is not free within ``LOCKED_AT_MOST_S``, or the file cannot be used at all; a
    statement that breaks a constraint raises sqlite3.IntegrityError.
    """
    deadline_s = monotonic() + LOCKED_AT_MOST_S
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            return work()
        except sqlite3.IntegrityError:
            raise
        except sqlite3.Error as failure:
            if not _locked(failure) or monotonic() > deadline_s:
                raise UpstreamUnavailable(
                    "Obscura's store cannot be used. Try again in a moment.", retry_after_s=1
                ) from None
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def _locked(failure: sqlite3.Error) -> bool:
    """Whether it may pass; the primary code is the low byte of an extended one (SQLite, "Result and Error Codes")."""
    code: int | None = getattr(failure, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
