"""What can be carried to chat completions, and how the rest is refused."""

from collections.abc import Collection

from msgspec import Raw

from obscura.errors import InvalidRequest, UnsupportedField
from obscura.wire.raw_body import Node, RawObject, is_null, is_string
from obscura.wire.responses.gathered import LONGEST_NAME

WAY_OUT = "Leave it out, or ask for a model whose upstream speaks responses."


def unsupported(
    path: str, why: str = "cannot be carried to this model's upstream, which speaks chat completions"
) -> UnsupportedField:
    """Make the refusal of the field at ``path``."""
    return UnsupportedField(f"'{path}' {why}. {WAY_OUT}", param=path)


def refuse_others(fields: RawObject, carried: Collection[str], path: str) -> None:
    """Raise UnsupportedField for the first field, null ones aside, that is not among those that are ``carried``."""
    for key, leaf in fields.items():
        if key not in carried and not is_null(leaf):
            raise unsupported(f"{path}.{key[:LONGEST_NAME]}")


def string_leaf(fields: RawObject, key: str, path: str) -> Raw:
    """Give the string leaf ``fields[key]``, which may be empty; raises InvalidRequest without one."""
    leaf = fields.get(key)
    if not is_string(leaf):
        raise InvalidRequest(f"'{path}.{key}' is required and must be a string.", param=f"{path}.{key}")
    return leaf


def set_fields(**leaves: Node | None) -> RawObject:
    """Make an object of those fields that are not null."""
    return {key: leaf for key, leaf in leaves.items() if leaf is not None and not is_null(leaf)}
