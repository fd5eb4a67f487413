"""Readers of the fields that dialects share; each error names the exact JSON path.

A ``holder`` is an opened object at ``path``; the body itself has an empty path.
"""

import re
from collections.abc import Collection, Mapping, Sequence

from msgspec import Raw

from obscura.dialects.base import ContentLimits, ImageSlot
from obscura.dialects.json.raw import (
    FALSE,
    MAX_NAME_CHARS,
    TRUE,
    Node,
    RawJson,
    RawObject,
    is_null,
    is_object,
    is_string,
    open_array,
    open_object,
)
from obscura.errors import InvalidRequest, TooManyContentParts, TooManyImages, UnsupportedField

_EMPTY = re.compile(rb"\[\s*\]|\{\s*\}")
DETAILS = ("low", "auto", "high")
ORIGINAL_DETAIL = "original"
"""OpenAI's newest: no image is made smaller. Here it is high, the most that is kept."""


def join_path(path: str, key: str) -> str:
    """Return the path of ``key`` in the object at ``path``."""
    name = key[:MAX_NAME_CHARS]
    return f"{path}.{name}" if path else name


def required_string(body: RawJson, holder: RawObject, key: str, path: str = "") -> str:
    """Return ``holder[key]``, decoded; raises InvalidRequest for anything but a string that is not empty."""
    leaf = holder.get(key)
    text = body.text(leaf) if is_string(leaf) else ""
    if not text:
        raise _not_a(path, key, "string")
    return text


def raw_string_at(holder: RawObject, key: str, path: str = "") -> Raw:
    """Return ``holder[key]``, a string of any length, undecoded; raises InvalidRequest for anything else."""
    leaf = holder.get(key)
    if not is_string(leaf):
        raise _not_a(path, key, "string")
    return leaf


def raw_object_at(holder: RawObject, key: str, path: str = "") -> Raw:
    """Return ``holder[key]``, an object that stays unopened; raises InvalidRequest for anything else."""
    leaf = holder.get(key)
    if not is_object(leaf):
        raise _not_a(path, key, "object")
    return leaf


def required_int(holder: RawObject, key: str, path: str = "") -> int:
    """Return ``holder[key]``, a whole number from 0 on; raises InvalidRequest for anything else."""
    leaf = holder.get(key)
    digits = bytes(leaf) if isinstance(leaf, Raw) else b""
    if not digits.isdigit():
        raise _not_a(path, key, "positive whole number")
    return int(digits)


def optional_bool(holder: RawObject, key: str, path: str = "") -> bool:
    """Return ``holder[key]``, False if it is absent or null; raises InvalidRequest for anything but a boolean."""
    leaf = holder.get(key)
    if is_null(leaf):
        return False
    if leaf not in (TRUE, FALSE):
        full_path = join_path(path, key)
        raise InvalidRequest(f"'{full_path}' must be true or false.", param=full_path)
    return leaf == TRUE


def optional_object(holder: RawObject, key: str, path: str = "") -> RawObject:
    """Open ``holder[key]``, empty if it is absent or null; raises InvalidRequest for anything but an object."""
    leaf = holder.get(key)
    return {} if leaf is None or is_null(leaf) else open_object(leaf, join_path(path, key))


def optional_array(holder: RawObject, key: str, path: str = "") -> list[Raw]:
    """Open ``holder[key]``, empty if it is absent or null; raises InvalidRequest for anything but an array."""
    leaf = holder.get(key)
    return [] if leaf is None or is_null(leaf) else open_array(leaf, join_path(path, key))


def one_of(body: RawJson, holder: RawObject, key: str, choices: Collection[str], path: str = "") -> str:
    """Return ``holder[key]``, one of ``choices``; raises InvalidRequest, naming them, for anything else."""
    text = text_or_empty(body, holder.get(key))
    if text not in choices:
        full_path = join_path(path, key)
        raise InvalidRequest(f"'{full_path}' must be one of {', '.join(choices)}.", param=full_path)
    return text


def text_or_empty(body: RawJson, leaf: Node | None) -> str:
    """Return the text of a string leaf, and an empty one for any other leaf."""
    return body.text(leaf) if is_string(leaf) else ""


def image_detail(body: RawJson, leaf: Node | None, path: str) -> str:
    """Return an image's detail, auto if it is absent or null; raises InvalidRequest for an unknown one."""
    if is_null(leaf):
        return "auto"
    detail = text_or_empty(body, leaf)
    if detail == ORIGINAL_DETAIL:
        return "high"
    if detail not in DETAILS:
        raise InvalidRequest(f"'{path}' must be one of low, auto, high and original.", param=path)
    return detail


def without_nulls(fields: Mapping[str, Node | None]) -> RawObject:
    """Return the fields that are neither absent nor null."""
    return {key: leaf for key, leaf in fields.items() if leaf is not None and not is_null(leaf)}


def is_empty(leaf: Node | None) -> bool:
    """Whether a field says nothing: it is absent, null, or an array or object without elements."""
    if isinstance(leaf, (dict, list)):
        return not leaf
    return leaf is None or is_null(leaf) or _EMPTY.fullmatch(leaf) is not None


def reject_unknown(holder: RawObject, known: Collection[str], path: str = "") -> None:
    """Raise UnsupportedField on the first field that is not ``known`` and not empty."""
    for key, leaf in holder.items():
        if key not in known and not is_empty(leaf):
            raise unsupported_field(join_path(path, key))


def unsupported_field(
    path: str, hint: str = "Leave it out, or choose a model whose upstream speaks this API."
) -> UnsupportedField:
    """Return the error for a field that chat completions do not have."""
    message = f"'{path}' cannot be translated to chat completions, which this model's upstream speaks. {hint}"
    return UnsupportedField(message, param=path)


def require_part_count(parts: Collection[object], path: str, limits: ContentLimits) -> None:
    """Raise TooManyContentParts if a message has more parts than allowed."""
    if len(parts) > limits.content_parts:
        raise TooManyContentParts(
            f"'{path}' has {len(parts)} parts; {limits.content_parts} are allowed in a message. Use more messages.",
            param=path,
        )


def require_image_count(images: Sequence[ImageSlot], limit: int, way_out: str = "Split it.") -> None:
    """Raise TooManyImages, naming the first one too many, if a request has more images than allowed."""
    if len(images) > limit:
        raise TooManyImages(
            f"The request has {len(images)} images; {limit} are allowed. {way_out}", param=images[limit].path
        )


def _not_a(path: str, key: str, kind: str) -> InvalidRequest:
    full_path = join_path(path, key)
    article = "an" if kind == "object" else "a"
    return InvalidRequest(f"'{full_path}' is required and must be {article} {kind}.", param=full_path)
