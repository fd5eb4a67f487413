"""The sweep: what has expired is deleted within minutes, with or without traffic; what a killed process left, too.

It goes in small steps, each off the event loop or shorter than a millisecond, and ends after ``MAX_SWEEP_S``: the next
one goes on. Several processes may sweep one folder. On Lambda nothing runs between requests: there the table's TTL and
the bucket's lifecycle rules delete what has expired, and no code takes an expired record for a live one.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from time import monotonic

from obscura.clock import Clock
from obscura.errors import StoreUnavailable
from obscura.files.base import FileStorage, LeftoverBlob, StoredFile, SweptBlobs, SweptRecords, Upload
from obscura.files.service import purge
from obscura.files.uploads import purge_upload

INTERVAL_S = 240.0
MAX_SWEEP_S = 60.0

LEFTOVER_AGE = timedelta(hours=1)
"""Bytes are stored milliseconds before their record; older ones without a record are of a process that was killed."""

MAX_BLOB_AGE = timedelta(days=8)
"""A file lives at most seven days; the age at which bytes go whose records cannot be listed, as in the bucket."""

_logger = logging.getLogger(__name__)


@asynccontextmanager
async def sweeping(storage: FileStorage, clock: Clock) -> AsyncIterator[None]:
    """Sweep in the background for as long as the context holds, if there is anything that a sweep goes through."""
    if storage.swept_records is None and storage.swept_blobs is None:
        yield
        return
    task = asyncio.create_task(sweep_forever(storage, clock))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def sweep_forever(
    storage: FileStorage, clock: Clock, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Sweep now, and again ``INTERVAL_S`` after each sweep; a store that fails is tried again the next time."""
    while True:
        try:
            await sweep(storage, clock.now())
        except Exception as error:
            _logger.warning("the sweep stopped early: %s", type(error).__name__)
        await sleep(INTERVAL_S)


async def sweep(storage: FileStorage, at: datetime, max_s: float = MAX_SWEEP_S) -> None:
    """Delete what has expired by ``at``, then bytes without a record; stop after ``max_s`` seconds."""
    deadline_s = monotonic() + max_s
    if storage.swept_records is not None:
        await _purge_all(storage.swept_records.expired_files, lambda file: purge(file, storage), at, deadline_s)
        await _purge_all(
            storage.swept_records.expired_uploads, lambda upload: purge_upload(upload, storage), at, deadline_s
        )
        while monotonic() < deadline_s:
            if not await storage.swept_records.delete_expired_entries(at):
                break
            await asyncio.sleep(0)  # other callbacks run between two steps
    if storage.swept_blobs is not None:
        await _purge_leftovers(storage, storage.swept_blobs, at, deadline_s)


async def _purge_all[T: (StoredFile, Upload)](
    expired: Callable[[datetime, int], Awaitable[Sequence[T]]],
    purge_one: Callable[[T], Awaitable[None]],
    at: datetime,
    deadline_s: float,
) -> None:
    """Purge one after the other; one that cannot be purged now is passed over and does not hold the others back."""
    failed = 0
    while batch := await expired(at, failed):
        for record in batch:
            if monotonic() >= deadline_s:
                return
            try:
                await purge_one(record)
            except StoreUnavailable:
                failed += 1


async def _purge_leftovers(storage: FileStorage, blobs: SweptBlobs, at: datetime, deadline_s: float) -> None:
    async for batch in blobs.leftovers(at - LEFTOVER_AGE):
        for blob in await _without_record(batch, storage.swept_records, at):
            try:
                await storage.blobs.delete([blob.name])
            except StoreUnavailable:
                continue
        if monotonic() >= deadline_s:
            return


async def _without_record(
    blobs: Sequence[LeftoverBlob], records: SweptRecords | None, at: datetime
) -> list[LeftoverBlob]:
    if records is None:
        oldest_s = (at - MAX_BLOB_AGE).timestamp()
        return [blob for blob in blobs if blob.written_at_s < oldest_s]
    unknown = await records.without_record({blob.owner_id for blob in blobs}) if blobs else set()
    return [blob for blob in blobs if blob.owner_id in unknown]
