"""Reading the fields that dialects share, each refusal with the exact path."""

from collections.abc import Collection, Sequence

from msgspec import Raw

from obscura.errors import InvalidRequest, TooManyContentParts, TooManyImages
from obscura.wire.dialect import ContentLimits, ImageSlot
from obscura.wire.raw_body import Node, RawBody, RawObject, is_null, is_string

DETAILS = ("low", "auto", "high")


def required_text(body: RawBody, holder: RawObject, key: str, path: str = "") -> str:
    """Give the text of ``holder[key]``, where ``holder`` stands at ``path``; raises InvalidRequest without one."""
    full_path = f"{path}.{key}" if path else key
    leaf = holder.get(key)
    text = body.text(leaf) if is_string(leaf) else ""
    if not text:
        raise InvalidRequest(f"'{full_path}' is required and must be a string.", param=full_path)
    return text


def flag(holder: RawObject, key: str, path: str = "") -> bool:
    """Give ``holder[key]``, false when it is absent or null; raises InvalidRequest for anything but a boolean."""
    full_path = f"{path}.{key}" if path else key
    leaf = holder.get(key)
    if is_null(leaf):
        return False
    if not isinstance(leaf, Raw) or bytes(leaf) not in {b"true", b"false"}:
        raise InvalidRequest(f"'{full_path}' must be true or false.", param=full_path)
    return bytes(leaf) == b"true"


def detail_of(body: RawBody, leaf: Node | None, path: str) -> str:
    """Give an image's detail, auto when it is absent or null; raises InvalidRequest for an unknown one."""
    if is_null(leaf):
        return "auto"
    detail = body.text(leaf) if is_string(leaf) else ""
    if detail not in DETAILS:
        raise InvalidRequest(f"'{path}' must be one of low, auto and high.", param=path)
    return detail


def check_part_count(parts: Collection[object], path: str, limits: ContentLimits) -> None:
    """Raise TooManyContentParts when a message has more parts than allowed."""
    if len(parts) > limits.content_parts:
        raise TooManyContentParts(
            f"'{path}' has {len(parts)} parts; {limits.content_parts} are allowed in a message. Use more messages.",
            param=path,
        )


def check_image_count(slots: Sequence[ImageSlot], limits: ContentLimits) -> None:
    """Raise TooManyImages, naming the first one too many, when a request has more images than allowed."""
    if len(slots) > limits.images:
        raise TooManyImages(
            f"The request has {len(slots)} images; {limits.images} are allowed. Split it.",
            param=slots[limits.images].path,
        )
