"""The counts of several processes on one socket: each writes its own into a private folder, any of them sums all up.

A file is replaced whole at most ``INTERVAL_S`` after a request, so that a process that is killed loses no more. What a
process that has ended counted stays; what it held at an instant does not (ADR 191).
"""

import asyncio
import logging
import os
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from obscura.settings import PREFIX
from obscura.telemetry.exposition import Counts
from obscura.telemetry.metrics import Metrics

FOLDER = f"{PREFIX}METRICS_FOLDER"
"""The variable by which a supervisor names the folder to the processes that it starts."""
INTERVAL_S = 0.25
SUFFIX = ".metrics"


class Snapshot(msgspec.Struct, frozen=True, array_like=True):
    """The counts of a process as its file has them."""

    pid: int
    counts: list[tuple[tuple[str, ...], float]]
    histograms: list[tuple[tuple[str, ...], list[float]]]
    gauges: list[tuple[tuple[str, ...], float]]


_decoder = msgspec.msgpack.Decoder(Snapshot)


@contextmanager
def shared_folder() -> Iterator[Path]:
    """Make the folder, and name it to the processes that are started while the context holds."""
    with TemporaryDirectory(prefix="obscura-metrics-") as name:
        os.environ[FOLDER] = name
        try:
            yield Path(name)
        finally:
            os.environ.pop(FOLDER, None)


def counts_of(metrics: Metrics) -> Counts:
    """Copy the counts of this process; in any thread."""
    histograms = {key: list(observed) for key, observed in dict(metrics.histograms).items()}
    return Counts(dict(metrics.counts), histograms, metrics.gauges())


class SharedMetrics:
    """The metrics of this process, and those of the others if there is a folder that they share."""

    def __init__(self, metrics: Metrics, environment: Mapping[str, str] = os.environ) -> None:
        """Nothing is written yet."""
        self.metrics = metrics
        name = environment.get(FOLDER)
        self._file = Path(name) / f"{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}" if name else None
        self._written = b""
        self._failed = False

    def all_counts(self) -> list[Counts]:
        """Return the counts of every process, those of this one as they are now; in any thread."""
        others = [] if self._file is None else read_counts(self._file.parent, without=self._file.name)
        return [counts_of(self.metrics), *others]

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Keep this process's file up to date while the context holds, and leave it as it is then."""
        if self._file is None:
            yield
            return
        task = asyncio.create_task(self._write_always())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            self.write()

    async def _write_always(self) -> None:
        while True:
            self.write()
            await asyncio.sleep(INTERVAL_S)

    def write(self) -> None:
        """Bring the file up to date; a disk that takes nothing is logged, and ends nothing."""
        file = self._file
        if file is None:
            return
        counts = counts_of(self.metrics)
        groups = (list(group.items()) for group in (counts.counts, counts.histograms, counts.gauges))
        snapshot = msgspec.msgpack.encode((os.getpid(), *groups))
        if snapshot == self._written:
            return
        unfinished = file.with_suffix(".part")
        try:
            unfinished.write_bytes(snapshot)
            unfinished.replace(file)
        except OSError as failure:
            if not self._failed:
                fields = {"reason": failure.strerror}
                logging.getLogger("obscura").error("metrics_not_written", extra={"fields": fields})
            self._failed = True
            return
        self._written, self._failed = snapshot, False


def read_counts(folder: Path, without: str = "") -> list[Counts]:
    """Read the counts of all processes that have written some, but for one file."""
    found = []
    for file in sorted(folder.glob(f"*{SUFFIX}")):
        if file.name == without:
            continue
        snapshot = _decoder.decode(file.read_bytes())
        gauges = dict(snapshot.gauges) if _is_alive(snapshot.pid) else {}
        found.append(Counts(dict(snapshot.counts), dict(snapshot.histograms), gauges))
    return found


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
