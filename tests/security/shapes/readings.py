"""One JSON text as different servers read it: repeated keys (the last or the first counts), keys in any case."""

import json
import unicodedata
from collections.abc import Callable
from typing import Any

type Pairs = list[tuple[str, Any]]


class Unreadable(ValueError):
    """The text is not JSON for this reader."""


def folded(key: str) -> str:
    """Return a key as readers that do not regard case compare it (Go's encoding/json, after NFKC)."""
    return unicodedata.normalize("NFKC", key).casefold()


def readings(body: bytes) -> list[Any]:
    """Return the different documents that readers see in a body; raises Unreadable if Python's cannot read it."""
    ambiguous = False

    def watched(pairs: Pairs) -> dict[str, Any]:
        nonlocal ambiguous
        for key, _ in pairs:
            ambiguous |= not key.isascii() or not key.islower()
        ambiguous |= len({key for key, _ in pairs}) < len(pairs)
        return dict(pairs)

    last = _read(body, watched)
    if not ambiguous:
        return [last]
    others = [_read(body, hook) for hook in (_first, _last_of_any_case, _first_of_any_case)]
    different: list[Any] = []
    for document in (last, *others):
        if document not in different:
            different.append(document)
    return different


def _read(body: bytes, hook: Callable[[Pairs], dict[str, Any]]) -> Any:
    try:
        return json.loads(body, object_pairs_hook=hook)
    except (ValueError, RecursionError) as invalid:
        raise Unreadable(str(invalid)) from None


def _first(pairs: Pairs) -> dict[str, Any]:
    return dict(reversed(pairs))


def _last_of_any_case(pairs: Pairs) -> dict[str, Any]:
    return {folded(key): value for key, value in pairs}


def _first_of_any_case(pairs: Pairs) -> dict[str, Any]:
    return {folded(key): value for key, value in reversed(pairs)}


def strings_of(value: Any) -> list[str]:
    """Return all strings of a value, keys included."""
    match value:
        case str():
            return [value]
        case list():
            return [text for item in value for text in strings_of(item)]
        case dict():
            return [text for key, item in value.items() for text in (key, *strings_of(item))]
        case _:
            return []


def nested_json(text: str) -> Any:
    """Return the document in a string that is an object or an array, None for any other."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
