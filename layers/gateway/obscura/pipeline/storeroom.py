"""The storeroom: where stored pictures are kept, under which ids and names."""

import secrets
from dataclasses import dataclass
from datetime import datetime

from obscura.imaging import Detail
from obscura.ports import Contents, Files, Uploads

_RANDOM_BYTES = 12


@dataclass(frozen=True, slots=True)
class Storeroom:
    """What is known of files, uploads under way, and the bytes of both."""

    files: Files
    uploads: Uploads
    contents: Contents


def new_id(kind: str, at: datetime) -> str:
    """Make an id of a ``file``, an ``upload`` or a ``part``: 48 bits of milliseconds, so that ids rise, 96 random."""
    return f"{kind}_{int(at.timestamp() * 1000):012x}{secrets.token_hex(_RANDOM_BYTES)}"


def original_name(file_id: str) -> str:
    """Name the bytes that the caller sent."""
    return f"originals/{file_id}"


def prepared_name(file_id: str, detail: str) -> str:
    """Name the prepared form for one detail."""
    return f"prepared/{file_id}/{detail}"


def names_of(file_id: str) -> list[str]:
    """Name all that may be kept of a file."""
    return [original_name(file_id), *(prepared_name(file_id, detail) for detail in Detail)]


def part_name(upload_id: str, part_id: str) -> str:
    """Name the bytes of a part."""
    return f"parts/{upload_id}/{part_id}"
