"""SQLite: the stores of one machine, in one file of the data folder."""

from obscura.adapters.sqlite.database import open_database
from obscura.adapters.sqlite.keys import SqliteKeys

__all__ = ["SqliteKeys", "open_database"]
