"""The database for those who may never need it: opened at the first statement."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

from obscura.adapters.sqlite.database import open_database
from obscura.adapters.sqlite.patience import patiently
from obscura.errors import UpstreamUnavailable


class LazyDatabase:
    """A connection to the database below ``data_dir`` (None: in memory); who never uses it leaves no trace there."""

    def __init__(self, data_dir: Path | None) -> None:
        """Nothing is opened yet."""
        self._data_dir = data_dir
        self._connection: sqlite3.Connection | None = None

    async def run[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do some statements of microseconds, ``patiently``; a folder that cannot be used is UpstreamUnavailable."""
        try:
            return await patiently(lambda: work(self._opened()))
        except OSError:
            raise UpstreamUnavailable(
                "Obscura's data folder cannot be used. Try again in a moment.", retry_after_s=1
            ) from None

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = open_database(self._data_dir)
        return self._connection
