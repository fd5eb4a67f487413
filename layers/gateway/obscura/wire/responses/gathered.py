"""What is read of a request's input: its items and parts, still leaves of the body; their pictures and texts."""

from dataclasses import dataclass, field

from obscura.errors import UnsupportedOperation
from obscura.wire.dialect import ContentLimits, ImageSlot
from obscura.wire.raw_body import RawBody, RawObject

LONGEST_NAME = 100
"""How much of a key that the caller made up is told in a path, in characters."""


@dataclass(frozen=True, slots=True)
class Part:
    """One content part; ``fields`` stand in the body's tree, so a replaced picture is seen here too."""

    path: str
    kind: str
    fields: RawObject


@dataclass(frozen=True, slots=True)
class Item:
    """One input item; ``parts`` are those of a message's content or of a function's output, None without a list."""

    path: str
    kind: str
    fields: RawObject
    parts: list[Part] | None = None


@dataclass(slots=True)
class Gathered:
    """All that reading has found so far.

    ``unchecked`` is the refusal of the first item that holds a picture nobody can check: it must not go upstream.
    """

    body: RawBody
    limits: ContentLimits
    items: list[Item] = field(default_factory=list)
    image_slots: list[ImageSlot] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    unchecked: UnsupportedOperation | None = None
