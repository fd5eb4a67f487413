"""Every place of a request at which a value may stand: each field, list item and key of the schemas."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from tests.security.shapes.json_writer import Members, Raw
from tests.security.shapes.schemas import (
    Anything,
    Enumeration,
    List,
    Object,
    OneOf,
    Scalar,
    Table,
    Text,
    Type,
    example,
    request_type,
    variants,
)

MODEL = "m"
MAX_DEPTH = 9
USER = {"role": "user", "content": "hello there"}

type Wrap = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Place:
    """One place. ``wrap`` puts an object or list into a whole request, at the position of ``path``'s holder.

    ``members`` are the holder's other members, ``key`` the one that the place has there, None for an item of a list.
    """

    dialect: str
    path: str
    kind: str
    key: str | None
    members: tuple[tuple[str, Any], ...]
    wrap: Wrap
    benign: Any

    def request(self, value: Any) -> Any:
        """Return a whole request that has ``value`` at this place."""
        if self.key is None:
            return self.wrap([USER, value, USER] if self.path in {"messages[]", "input[]"} else [value])
        return self.wrap(Members([*self.members, (self.key, value)]))

    def request_with(self, *members: tuple[str | Raw, Any]) -> Any:
        """Return a whole request whose holder has these members beside its own."""
        return self.wrap(Members([*self.members, *members]))


@cache
def places(dialect: str) -> tuple[Place, ...]:
    """Return all places of a dialect, in the order of its schema."""
    root = request_type(dialect)
    return tuple(_Walk(dialect).object(root, "", lambda value: value, ()))


def minimal_request(dialect: str) -> dict[str, Any]:
    """Return the smallest ordinary request."""
    if dialect == "responses":
        return {"model": MODEL, "input": "hello there"}
    base: dict[str, Any] = {"model": MODEL, "messages": [USER]}
    return base | ({"max_tokens": 9} if dialect == "messages" else {})


_SCHEMA = {"type": "object", "properties": {}}
_TOOLS: dict[str, Any] = {
    "chat": {"type": "function", "function": {"name": "get", "parameters": _SCHEMA}},
    "responses": {"type": "function", "name": "get", "parameters": _SCHEMA, "strict": False},
    "messages": {"name": "get", "input_schema": _SCHEMA},
}


def _base(kind: Object, dialect: str, is_root: bool) -> dict[str, Any]:
    """Return the members beside a place; at the root with a tool, since choices between tools need one."""
    return minimal_request(dialect) | {"tools": [_TOOLS[dialect]]} if is_root else dict(example(kind))


_KINDS = {Text: "text", Enumeration: "enumeration", Scalar: "scalar", Anything: "open", List: "list", Table: "table"}


class _Walk:
    def __init__(self, dialect: str) -> None:
        self._dialect = dialect

    def object(self, kind: Object, path: str, wrap: Wrap, above: tuple[Object, ...]) -> Iterator[Place]:
        base = _base(kind, self._dialect, is_root=not above)
        yield self._place(path + ".*", "unknown field", "x_extra", tuple(base.items()), wrap, "x")
        for name, inner in kind.fields.items():
            rest = tuple((key, value) for key, value in base.items() if key != name)
            yield self._place(f"{path}.{name}", _kind(inner), name, rest, wrap, example(inner))
            yield from self._inside(inner, f"{path}.{name}", _member(wrap, rest, name), (*above, kind))

    def _inside(self, kind: Type, path: str, wrap: Wrap, above: tuple[Object, ...]) -> Iterator[Place]:
        """Yield the places inside of a value."""
        for variant in variants(kind):
            match variant:
                case Object() if above.count(variant) < 1 and len(above) < MAX_DEPTH:
                    yield from self.object(variant, f"{path}<{variant.label}>", wrap, above)
                case List():
                    yield self._place(f"{path}[]", "item", None, (), wrap, example(variant.item))
                    yield from self._inside(variant.item, f"{path}[]", _item(wrap, path), above)
                case Table() | Anything():
                    yield self._place(f"{path}.{{}}", "open", "k", (), wrap, "x")

    def _place(
        self, path: str, kind: str, key: str | None, members: tuple[tuple[str, Any], ...], wrap: Wrap, benign: Any
    ) -> Place:
        return Place(self._dialect, path.lstrip("."), kind, key, members, wrap, benign)


def _kind(kind: Type) -> str:
    if isinstance(kind, OneOf):
        return "/".join(sorted({_kind(variant) for variant in kind.variants}))
    return _KINDS.get(type(kind), "object")


def _member(wrap: Wrap, rest: tuple[tuple[str, Any], ...], name: str) -> Wrap:
    return lambda value: wrap(Members([*rest, (name, value)]))


def _item(wrap: Wrap, path: str = "") -> Wrap:
    """Put a value into a list; a message or an item between two of the user's, as in a conversation."""
    if path in {".messages", ".input"}:
        return lambda value: wrap([USER, value, USER])
    return lambda value: wrap([value])
