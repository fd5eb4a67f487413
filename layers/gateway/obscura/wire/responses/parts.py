"""Content parts, opened: pictures become slots, texts are gathered, what cannot be checked is refused."""

from functools import partial

from msgspec import Raw

from obscura.errors import InvalidRequest, UnsupportedOperation
from obscura.wire.data_url import is_data_url
from obscura.wire.dialect import ImageSlot, SourceKind
from obscura.wire.fields import check_part_count, detail_of, required_text
from obscura.wire.file_ids import is_file_id
from obscura.wire.raw_body import (
    Node,
    RawBody,
    RawObject,
    is_null,
    is_object,
    is_string,
    items,
    members,
    raw_string,
)
from obscura.wire.responses.gathered import Gathered, Part

_FILE_SOURCES = ("file_data", "file_id", "file_url")
_BASE64_OF_PICTURES = (b"iVBORw0KGgo", b"/9j/", b"\\/9j\\/", b"R0lGOD", b"UklGR")
"""How PNG, JPEG, GIF and WEBP begin in base64."""


def open_parts(leaf: Raw, path: str, gathered: Gathered) -> list[Part]:
    """Open a list of content parts; raises what ``open_part`` raises, and TooManyContentParts."""
    parts = items(leaf, path)
    check_part_count(parts, path, gathered.limits)
    return [open_part(part, f"{path}[{index}]", gathered) for index, part in enumerate(parts)]


def open_part(leaf: Raw, path: str, gathered: Gathered) -> Part:
    """Open one part; raises InvalidRequest, or UnsupportedOperation for a picture or video that cannot be checked."""
    fields = members(leaf, path)
    kind = required_text(gathered.body, fields, "type", path)
    _refuse_unchecked(kind, fields, path)
    if kind == "input_file" and _is_picture(gathered.body, fields):
        kind = "input_image"
        _open_file(fields, path, gathered)
    elif kind == "input_image":
        _open_image(fields, path, gathered)
    for key in ("text", "refusal"):
        text = fields.get(key)
        if is_string(text):
            gathered.texts.append(gathered.body.text(text))
    return Part(path, kind, fields)


def open_screenshot(leaf: Node | None, path: str, gathered: Gathered) -> RawObject:
    """Open the output of a computer call; its picture keeps all the pixels it may, since the model points at them."""
    if not is_object(leaf):
        raise InvalidRequest(f"'{path}' must be an object with a screenshot's image_url or file_id.", param=path)
    fields = members(leaf, path)
    _open_image(fields, path, gathered, "high")
    return fields


def shows_picture(name: str) -> bool:
    """Whether a type or a key speaks of a picture."""
    return "image" in name.lower()


def _refuse_unchecked(kind: str, fields: RawObject, path: str) -> None:
    names = [kind, *(key for key, leaf in fields.items() if not is_null(leaf))]
    if any("video" in name.lower() for name in names):
        raise UnsupportedOperation(f"'{path}' is a video; this endpoint takes pictures. Send frames.", param=path)
    known = {"input_image", "image_url"} if kind == "input_image" else set()
    if any(shows_picture(name) for name in names if name not in known):
        raise UnsupportedOperation(
            f"'{path}' carries a picture in a form that cannot be checked. Send it as an input_image part.", param=path
        )


def _open_image(fields: RawObject, path: str, gathered: Gathered, default_detail: str = "auto") -> None:
    key = "file_id" if is_null(fields.get("image_url")) and not is_null(fields.get("file_id")) else "image_url"
    if key == "image_url" and not is_null(fields.get("file_id")):
        raise InvalidRequest(f"'{path}' has an image_url and a file_id. Send one of them.", param=f"{path}.file_id")
    leaf = fields.get(key)
    if not is_string(leaf):
        raise InvalidRequest(
            f"'{path}.{key}' must be a string: an https URL, a base64 data URL, or a file's id as file_id.",
            param=f"{path}.{key}",
        )
    kind = SourceKind.FILE_ID if key == "file_id" else SourceKind.URL
    detail = detail_of(gathered.body, fields.get("detail"), f"{path}.detail")
    if is_null(fields.get("detail")):
        detail = default_detail
    slot = ImageSlot(f"{path}.{key}", gathered.body.string_slice(leaf), detail, partial(_replace, fields), kind)
    gathered.image_slots.append(slot)


def _open_file(fields: RawObject, path: str, gathered: Gathered) -> None:
    """Make an input_image part of a file that is a picture: so the model sees what was checked."""
    key, leaf = next((key, leaf) for key in _FILE_SOURCES if is_string(leaf := fields.get(key)))
    detail = detail_of(gathered.body, fields.get("detail"), f"{path}.detail")
    kind = SourceKind.FILE_ID if key == "file_id" else SourceKind.URL
    if key == "file_data" and not is_data_url(gathered.body.string_slice(leaf)):
        kind = SourceKind.BASE64
    slot = ImageSlot(f"{path}.{key}", gathered.body.string_slice(leaf), detail, partial(_replace, fields), kind)
    gathered.image_slots.append(slot)
    fields.clear()
    fields |= {
        "type": raw_string(b"input_image"),
        "detail": raw_string(detail.encode()),
        "file_id" if key == "file_id" else "image_url": leaf,
    }


def _replace(fields: RawObject, data_url: bytes) -> None:
    fields.pop("file_id", None)
    fields["image_url"] = raw_string(data_url)


def _is_picture(body: RawBody, fields: RawObject) -> bool:
    """Whether a file is a picture: by its declared type, its data URL's, its first bytes, or an id of ours."""
    present = [key for key in _FILE_SOURCES if is_string(fields.get(key))]
    declared = fields.get("mime_type")
    if present and is_string(declared) and body.text(declared).lower().startswith("image/"):
        return True
    file_id, data = fields.get("file_id"), fields.get("file_data")
    if is_string(file_id) and is_file_id(body.text(file_id)):
        return True
    if not is_string(data):
        return False
    start = bytes(body.string_slice(data)[:256])
    encoded = start.partition(b",")[2] if start[:5].lower() == b"data:" else start
    return start[:11].lower() == b"data:image/" or encoded.startswith(_BASE64_OF_PICTURES)
