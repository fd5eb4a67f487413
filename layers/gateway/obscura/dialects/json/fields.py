"""Reading the fields that dialects share, each refusal with the exact path."""

from collections.abc import Collection, Sequence

from msgspec import Raw

from obscura.dialects.base import ContentLimits, ImageSlot
from obscura.dialects.json.raw import Node, RawJson, RawObject, is_null, is_object, is_string, open_array, open_object
from obscura.errors import InvalidRequest, TooManyContentParts, TooManyImages, UnsupportedField

DETAILS = ("low", "auto", "high")
MAX_NAME_CHARS = 100
"""How much of a key that the caller made up goes into a path, in characters."""


def required_text(body: RawJson, holder: RawObject, key: str, path: str = "") -> str:
    """Return the text of ``holder[key]``, where ``holder`` stands at ``path``; raises InvalidRequest without one."""
    full_path = f"{path}.{key}" if path else key
    leaf = holder.get(key)
    text = body.text(leaf) if is_string(leaf) else ""
    if not text:
        raise InvalidRequest(f"'{full_path}' is required and must be a string.", param=full_path)
    return text


def optional_bool(holder: RawObject, key: str, path: str = "") -> bool:
    """Return ``holder[key]``, false when it is absent or null; raises InvalidRequest for anything but a boolean."""
    full_path = f"{path}.{key}" if path else key
    leaf = holder.get(key)
    if is_null(leaf):
        return False
    if not isinstance(leaf, Raw) or bytes(leaf) not in {b"true", b"false"}:
        raise InvalidRequest(f"'{full_path}' must be true or false.", param=full_path)
    return bytes(leaf) == b"true"


def image_detail(body: RawJson, leaf: Node | None, path: str) -> str:
    """Return an image's detail, auto when it is absent or null; raises InvalidRequest for an unknown one."""
    if is_null(leaf):
        return "auto"
    detail = body.text(leaf) if is_string(leaf) else ""
    if detail not in DETAILS:
        raise InvalidRequest(f"'{path}' must be one of low, auto and high.", param=path)
    return detail


def require_part_count(parts: Collection[object], path: str, limits: ContentLimits) -> None:
    """Raise TooManyContentParts when a message has more parts than allowed."""
    if len(parts) > limits.content_parts:
        raise TooManyContentParts(
            f"'{path}' has {len(parts)} parts; {limits.content_parts} are allowed in a message. Use more messages.",
            param=path,
        )


def require_image_count(slots: Sequence[ImageSlot], limits: ContentLimits) -> None:
    """Raise TooManyImages, naming the first one too many, when a request has more images than allowed."""
    if len(slots) > limits.images:
        raise TooManyImages(
            f"The request has {len(slots)} images; {limits.images} are allowed. Split it.",
            param=slots[limits.images].path,
        )


def join_path(path: str, key: str) -> str:
    """Return the path of ``key`` in the object at ``path``; the body itself has an empty one."""
    named = key[:MAX_NAME_CHARS]
    return f"{path}.{named}" if path else named


def unsupported_field(path: str, hint: str = "Leave it out.") -> UnsupportedField:
    """Make the refusal of what cannot be carried."""
    return UnsupportedField(f"'{path}' cannot be carried to this model, which is asked in chat. {hint}", param=path)


def reject_unknown(holder: RawObject, known: Collection[str], path: str = "") -> None:
    """Raise UnsupportedField on the first field that is not ``known``; null is as good as absent."""
    for key, leaf in holder.items():
        if key not in known and not is_null(leaf):
            raise unsupported_field(join_path(path, key))


def optional_object(holder: RawObject, key: str, path: str = "") -> RawObject:
    """Open ``holder[key]``, empty when it is absent or null; raises InvalidRequest for anything but an object."""
    leaf = holder.get(key)
    return {} if leaf is None or is_null(leaf) else open_object(leaf, join_path(path, key))


def optional_array(holder: RawObject, key: str, path: str = "") -> list[Raw]:
    """Open ``holder[key]``, empty when it is absent or null; raises InvalidRequest for anything but an array."""
    leaf = holder.get(key)
    return [] if leaf is None or is_null(leaf) else open_array(leaf, join_path(path, key))


def required_string(holder: RawObject, key: str, path: str) -> Raw:
    """Return ``holder[key]``, a string of any length; raises InvalidRequest without one."""
    leaf = holder.get(key)
    if not is_string(leaf):
        raise InvalidRequest(f"'{join_path(path, key)}' is required and must be a string.", param=join_path(path, key))
    return leaf


def required_object(holder: RawObject, key: str, path: str) -> Raw:
    """Return ``holder[key]``, an object that stays closed; raises InvalidRequest without one."""
    leaf = holder.get(key)
    if not is_object(leaf):
        raise InvalidRequest(f"'{join_path(path, key)}' is required and must be an object.", param=join_path(path, key))
    return leaf


def required_int(holder: RawObject, key: str, path: str = "") -> int:
    """Return ``holder[key]``, a whole number from 0 on; raises InvalidRequest without one."""
    leaf = holder.get(key)
    digits = bytes(leaf) if isinstance(leaf, Raw) else b""
    if not digits.isdigit():
        message = f"'{join_path(path, key)}' is required and must be a positive whole number."
        raise InvalidRequest(message, param=join_path(path, key))
    return int(digits)


def one_of(holder: RawObject, key: str, choices: Collection[str], body: RawJson, path: str = "") -> str:
    """Return ``holder[key]``, one of ``choices``; raises InvalidRequest, naming them, for anything else."""
    leaf = holder.get(key)
    text = body.text(leaf) if is_string(leaf) else ""
    if text not in choices:
        full_path = join_path(path, key)
        raise InvalidRequest(f"'{full_path}' must be one of {', '.join(choices)}.", param=full_path)
    return text


def text_or_empty(leaf: Node | None, body: RawJson) -> str:
    """Return the text of a string leaf, nothing for any other."""
    return body.text(leaf) if is_string(leaf) else ""


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
            raise unsupported(f"{path}.{key[:MAX_NAME_CHARS]}")


def string_leaf(fields: RawObject, key: str, path: str) -> Raw:
    """Return the string leaf ``fields[key]``, which may be empty; raises InvalidRequest without one."""
    leaf = fields.get(key)
    if not is_string(leaf):
        raise InvalidRequest(f"'{path}.{key}' is required and must be a string.", param=f"{path}.{key}")
    return leaf


def set_fields(**leaves: Node | None) -> RawObject:
    """Make an object of those fields that are not null."""
    return {key: leaf for key, leaf in leaves.items() if leaf is not None and not is_null(leaf)}
