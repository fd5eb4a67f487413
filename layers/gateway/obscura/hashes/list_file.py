"""The formats that hash lists come in, read into hashes.

Plain lines of hexadecimal digits, with or without the type before them, and the CSV that ``threatexchange dataset
--csv`` writes (facebook/ThreatExchange, python-threatexchange), which is also how HMA's exchanges are exported.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

_SHA256_BYTES = 32
_HEX = re.compile(r"[0-9a-fA-F]{64}")
_HEADER = "signal_type"
_SIGNAL_TYPES = {"pdq": "pdq", "hash_pdq": "pdq", "sha256": "sha256", "hash_sha256": "sha256"}


class HashType(StrEnum):
    """What the hashes of a list are of: the bytes of a file, or the image that it shows."""

    PDQ = "pdq"
    SHA256 = "sha256"


class HashListError(ValueError):
    """A list that cannot be read; the message says where it is wrong, and never repeats what stands there."""


@dataclass(frozen=True, slots=True)
class ListedHashes:
    """The hashes of one list, and how many entries are of a type that is not compared, such as ``md5``."""

    pdq: Sequence[int] = field(default_factory=list)
    sha256: frozenset[bytes] = frozenset()
    other: int = 0


def read_hash_list(content: bytes, bare: HashType = HashType.PDQ) -> ListedHashes:
    """Read a list; ``bare`` is the type of hashes that stand without one. Empty lines and ``#`` comments are skipped.

    Raises HashListError for a line that is no hash, so that a list is never read in part.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise HashListError("It is not UTF-8 text.") from None
    pdq: list[int] = []
    sha256: set[bytes] = set()
    other = 0
    for number, name, digits in _entries(text, bare):
        kind = _SIGNAL_TYPES.get(name.lower())
        if kind is None:
            other += 1
        elif not _HEX.fullmatch(digits):
            raise HashListError(f"Line {number} has no hash of 64 hexadecimal digits.")
        elif kind == HashType.PDQ:
            pdq.append(int(digits, 16))
        else:
            sha256.add(bytes.fromhex(digits))
    return ListedHashes(pdq, frozenset(sha256), other)


def _entries(text: str, bare: HashType) -> Iterator[tuple[int, str, str]]:
    """Return the line number, the type and the digits of each entry."""
    columns: dict[str, int] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        if columns is None and stripped.startswith(_HEADER):
            columns = {name: place for place, name in enumerate(next(csv.reader([stripped])))}
            if "signal_str" not in columns:
                raise HashListError(f"Line {number} is a header without the column 'signal_str'.")
            continue
        if columns is not None:
            yield number, *_row(next(csv.reader([line])), columns, number)
            continue
        first, *rest = re.split(r"[\s,]+", stripped, maxsplit=2)
        if _HEX.fullmatch(first) or not rest:
            yield number, bare, first
        else:
            yield number, first, rest[0]


def _row(row: Sequence[str], columns: dict[str, int], number: int) -> tuple[str, str]:
    try:
        return row[columns[_HEADER]], row[columns["signal_str"]]
    except IndexError:
        raise HashListError(f"Line {number} has fewer columns than the header.") from None
