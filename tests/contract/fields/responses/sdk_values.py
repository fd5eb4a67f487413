"""Values of the openai SDK's types: every field filled, with a leaf at every string that the caller writes."""

import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.contract.fields.responses.field_tables import kinds_of

type Path = tuple[str | int, ...]


class Leaf:
    """Stands where a caller may write any string."""


LEAF = Leaf()
ELSEWHERE: Path = ("elsewhere",)
"""The path of no leaf."""
_SIMPLE: dict[Any, list[Any]] = {
    str: [LEAF],
    int: [1],
    float: [0.5],
    bool: [True],
    object: [{"k": LEAF}],
    types.NoneType: [],
}
_MAX_NESTED = 12


def values_of(hint: Any, instead: Mapping[type, list[Any]], depth: int = 0) -> list[Any]:
    """Return values of a type that together have every field and every member of its unions.

    ``instead`` has the values of types that are not to be looked into.
    """
    values = dict(_SIMPLE) | dict(instead)
    if hint in values:
        return values[hint]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return [arguments[0]]
    if origin is typing.Union or isinstance(hint, types.UnionType):
        return [value for member in arguments for value in values_of(member, instead, depth)]
    if arguments:
        inner = values_of(arguments[-1], instead, depth + 1)
        return [{"k": value} for value in inner] if origin is dict else [[value] for value in inner]
    assert hasattr(hint, "__total__") and depth < _MAX_NESTED, hint
    return _objects_of(hint, instead, depth + 1)


def _objects_of(hint: type, instead: Mapping[type, list[Any]], depth: int) -> list[dict]:
    """Return an object with every field, and one more for each further value of one of them."""
    fields = {name: values_of(inner, instead, depth) for name, inner in typing.get_type_hints(hint).items()}
    first = {name: values[0] for name, values in fields.items() if values}
    return [first, *(first | {name: value} for name, values in fields.items() for value in values[1:])]


def by_kind(union: Iterable[type], instead: Mapping[type, list[Any]]) -> dict[str, list[dict]]:
    """Return the values of the types of a union by their ``type``."""
    found: dict[str, list[dict]] = {}
    for one in union:
        for kind in sorted(kinds_of(one)):
            found.setdefault(kind, []).extend(value | {"type": kind} for value in _objects_of(one, instead, 0))
    return found


def leaves_of(value: object, path: Path = ()) -> Iterator[Path]:
    """Yield the path to every leaf."""
    if value is LEAF:
        yield path
    elif isinstance(value, (dict, list)):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves_of(inner, (*path, key))


def filled(value: Any, plant: Path, planted: object, other: str = "x1") -> Any:
    """Return a value with ``planted`` at one leaf, and another string at all others."""
    if value is LEAF:
        return planted if not plant else other
    if isinstance(value, (dict, list)):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        inner = {
            key: filled(one, plant[1:] if plant[:1] == (key,) else ELSEWHERE, planted, other) for key, one in pairs
        }
        return inner if isinstance(value, dict) else list(inner.values())
    return value
