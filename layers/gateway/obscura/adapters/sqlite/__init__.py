"""SQLite: the stores of one machine, in one file of the data folder."""

from obscura.adapters.sqlite.database import open_database
from obscura.adapters.sqlite.files import SqliteFiles
from obscura.adapters.sqlite.keys import SqliteKeys
from obscura.adapters.sqlite.lazy_database import LazyDatabase
from obscura.adapters.sqlite.uploads import SqliteUploads
from obscura.adapters.sqlite.verdicts import SqliteVerdicts

__all__ = ["LazyDatabase", "SqliteFiles", "SqliteKeys", "SqliteUploads", "SqliteVerdicts", "open_database"]
