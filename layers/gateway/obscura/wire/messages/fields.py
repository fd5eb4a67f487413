"""Reading the fields of Messages, and refusing by name those that chat completions have no counterpart for."""

from collections.abc import Collection

from msgspec import Raw

from obscura.errors import InvalidRequest, UnsupportedField
from obscura.wire.raw_body import Node, RawBody, RawObject, is_null, is_object, is_string, items, members

LONGEST_NAME = 100


def joined(path: str, key: str) -> str:
    """Give the path of ``key`` in the object at ``path``; the body itself has an empty one."""
    named = key[:LONGEST_NAME]
    return f"{path}.{named}" if path else named


def unsupported(path: str, way_out: str = "Leave it out.") -> UnsupportedField:
    """Make the refusal of what cannot be carried."""
    return UnsupportedField(f"'{path}' cannot be carried to this model, which is asked in chat. {way_out}", param=path)


def refuse_others(holder: RawObject, known: Collection[str], path: str = "") -> None:
    """Raise UnsupportedField on the first field that is not ``known``; null is as good as absent."""
    for key, leaf in holder.items():
        if key not in known and not is_null(leaf):
            raise unsupported(joined(path, key))


def object_at(holder: RawObject, key: str, path: str = "") -> RawObject:
    """Open ``holder[key]``, empty when it is absent or null; raises InvalidRequest for anything but an object."""
    leaf = holder.get(key)
    return {} if leaf is None or is_null(leaf) else members(leaf, joined(path, key))


def items_at(holder: RawObject, key: str, path: str = "") -> list[Raw]:
    """Open ``holder[key]``, empty when it is absent or null; raises InvalidRequest for anything but an array."""
    leaf = holder.get(key)
    return [] if leaf is None or is_null(leaf) else items(leaf, joined(path, key))


def required_string(holder: RawObject, key: str, path: str) -> Raw:
    """Give ``holder[key]``, a string of any length; raises InvalidRequest without one."""
    leaf = holder.get(key)
    if not is_string(leaf):
        raise InvalidRequest(f"'{joined(path, key)}' is required and must be a string.", param=joined(path, key))
    return leaf


def required_object(holder: RawObject, key: str, path: str) -> Raw:
    """Give ``holder[key]``, an object that stays closed; raises InvalidRequest without one."""
    leaf = holder.get(key)
    if not is_object(leaf):
        raise InvalidRequest(f"'{joined(path, key)}' is required and must be an object.", param=joined(path, key))
    return leaf


def required_count(holder: RawObject, key: str, path: str = "") -> int:
    """Give ``holder[key]``, a whole number from 0 on; raises InvalidRequest without one."""
    leaf = holder.get(key)
    digits = bytes(leaf) if isinstance(leaf, Raw) else b""
    if not digits.isdigit():
        message = f"'{joined(path, key)}' is required and must be a positive whole number."
        raise InvalidRequest(message, param=joined(path, key))
    return int(digits)


def chosen(holder: RawObject, key: str, choices: Collection[str], body: RawBody, path: str = "") -> str:
    """Give ``holder[key]``, one of ``choices``; raises InvalidRequest, naming them, for anything else."""
    leaf = holder.get(key)
    text = body.text(leaf) if is_string(leaf) else ""
    if text not in choices:
        full_path = joined(path, key)
        raise InvalidRequest(f"'{full_path}' must be one of {', '.join(choices)}.", param=full_path)
    return text


def text_of(leaf: Node | None, body: RawBody) -> str:
    """Give the text of a string leaf, nothing for any other."""
    return body.text(leaf) if is_string(leaf) else ""
