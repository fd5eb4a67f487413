"""SQLite: the stores of one machine, in one file of the data folder."""

from obscura.adapters.sqlite.address_secret import KeptAddressSecret, kept_secret
from obscura.adapters.sqlite.counters import SqliteQuotas, SqliteRates
from obscura.adapters.sqlite.database import open_database
from obscura.adapters.sqlite.files import SqliteFiles
from obscura.adapters.sqlite.keys import SqliteKeys
from obscura.adapters.sqlite.patience import PatientDatabase
from obscura.adapters.sqlite.uploads import SqliteUploads
from obscura.adapters.sqlite.verdicts import SqliteVerdicts

__all__ = [
    "KeptAddressSecret",
    "PatientDatabase",
    "SqliteFiles",
    "SqliteKeys",
    "SqliteQuotas",
    "SqliteRates",
    "SqliteUploads",
    "SqliteVerdicts",
    "kept_secret",
    "open_database",
]
