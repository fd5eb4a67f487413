"""A JSON writer that writes what ``json`` cannot: members twice, keys as spelled, values as raw text."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import Any


@dataclass(frozen=True, slots=True)
class Raw:
    """A value, or a key, as the very text that is to stand in the document."""

    text: str


class Members(list[tuple[str | Raw, Any]]):
    """An object as a list of members, in order, repeated ones included."""


def write(value: Any) -> str:
    """Return a value as JSON."""
    match value:
        case Raw():
            return value.text
        case Members():
            return _object(value)
        case dict():
            return _object(value.items())
        case list() | tuple():
            return f"[{','.join(map(write, value))}]"
        case str():
            return encode_basestring_ascii(value)
        case _:
            return json.dumps(value)


def _object(members: Iterable[tuple[str | Raw, Any]]) -> str:
    written = ",".join(f"{_key(key)}:{write(inner)}" for key, inner in members)
    return f"{{{written}}}"


def _key(key: str | Raw) -> str:
    return key.text if isinstance(key, Raw) else encode_basestring(key)


def escaped(text: str) -> Raw:
    """Return a string of which every character is written as an escape."""
    written = "".join(f"\\u{ord(character):04x}" for character in text)
    return Raw(f'"{written}"')
