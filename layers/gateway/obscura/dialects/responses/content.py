"""The content of a request: its items and parts as nodes of the body's tree, their images and texts."""

import re
from dataclasses import dataclass, field
from functools import partial

from obscura.dialects.base import ContentLimits, ImageSlot, SourceKind, is_file_id
from obscura.dialects.data_url import is_data_url
from obscura.dialects.json.fields import image_detail, require_part_count, required_string
from obscura.dialects.json.raw import (
    Node,
    RawJson,
    RawObject,
    is_null,
    is_object,
    is_string,
    open_array,
    open_object,
    quoted,
)
from obscura.errors import InvalidRequest, UnsupportedOperation


@dataclass(frozen=True, slots=True)
class Part:
    """One content part; ``fields`` is a node of the body's tree, so it shows a replaced image too."""

    path: str
    kind: str
    fields: RawObject


@dataclass(frozen=True, slots=True)
class Item:
    """One input item; ``parts`` are those of a message or of a function's output, None without a list of them."""

    path: str
    kind: str
    fields: RawObject
    parts: list[Part] | None = None


@dataclass(slots=True)
class RequestContent:
    """The items, images and texts of one request, in request order.

    ``uncheckable`` is the error for the first item whose image or video cannot be checked; raised by an upstream
    dialect that would send that item on.
    """

    body: RawJson
    limits: ContentLimits
    items: list[Item] = field(default_factory=list)
    images: list[ImageSlot] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    uncheckable: UnsupportedOperation | None = None


_FILE_SOURCES = ("file_data", "file_id", "file_url")
_BASE64_IMAGE = re.compile(rb"iVBORw0KGgo|/9j/|R0lGOD|UklGR|AAAA[A-Za-z0-9+/]{2}Z0eX")
"""The first bytes of PNG, JPEG, GIF and WEBP, and of AVIF's file type box, as base64."""
_MAX_PREFIX_CHARS = 256
CACHE_BREAKPOINT = "prompt_cache_breakpoint"


def collect_image(fields: RawObject, path: str, content: RequestContent, default_detail: str = "auto") -> None:
    """Add the image of an image part; raises InvalidRequest without exactly one source."""
    key = "file_id" if is_null(fields.get("image_url")) and not is_null(fields.get("file_id")) else "image_url"
    if key == "image_url" and not is_null(fields.get("file_id")):
        raise InvalidRequest(f"'{path}' has an image_url and a file_id. Send one of them.", param=f"{path}.file_id")
    detail = _detail(fields, path, content, default_detail)
    _add_slot(fields, key, f"{path}.{key}", detail, content)


def collect_screenshot(leaf: Node | None, path: str, content: RequestContent) -> RawObject:
    """Open the output of a computer call; its image has high detail, since the model points at pixels of it."""
    if not is_object(leaf):
        raise InvalidRequest(f"'{path}' must be an object with a screenshot's image_url or file_id.", param=path)
    fields = open_object(leaf, path)
    collect_image(fields, path, content, "high")
    return fields


def collect_file(fields: RawObject, path: str, content: RequestContent) -> bool:
    """Turn a file part into an image part if the file is an image, and return whether it is one."""
    source = _image_source(content.body, fields)
    if source is None:
        return False
    detail, leaf, cache_breakpoint = _detail(fields, path, content), fields[source], fields.get(CACHE_BREAKPOINT)
    key = "file_id" if source == "file_id" else "image_url"
    fields.clear()
    fields |= {"type": quoted(b"input_image"), "detail": quoted(detail.encode()), key: leaf}
    if cache_breakpoint is not None:
        fields[CACHE_BREAKPOINT] = cache_breakpoint
    _add_slot(fields, key, f"{path}.{source}", detail, content)
    return True


def _detail(fields: RawObject, path: str, content: RequestContent, default: str = "auto") -> str:
    leaf = fields.get("detail")
    return default if is_null(leaf) else image_detail(content.body, leaf, f"{path}.detail")


def _add_slot(fields: RawObject, key: str, path: str, detail: str, content: RequestContent) -> None:
    leaf = fields.get(key)
    if not is_string(leaf):
        raise InvalidRequest(
            f"'{path}' must be a string: an https URL, a base64 data URL, or a file's id as file_id.", param=path
        )
    source = content.body.string_slice(leaf)
    kind = SourceKind.FILE_ID if key == "file_id" else SourceKind.URL
    if path.endswith(".file_data") and not is_data_url(source):
        kind = SourceKind.BASE64
    content.images.append(ImageSlot(path, source, detail, partial(_replace, fields), kind))


def _replace(fields: RawObject, data_url: bytes) -> None:
    fields.pop("file_id", None)
    fields["image_url"] = quoted(data_url)


def _image_source(body: RawJson, fields: RawObject) -> str | None:
    """Return the key of a file's image: known by its declared type, its data URL, its first bytes or our file id."""
    sources = [key for key in _FILE_SOURCES if is_string(fields.get(key))]
    declared = fields.get("mime_type")
    if sources and is_string(declared) and body.text(declared).lower().startswith("image/"):
        return sources[0]
    file_id, data = fields.get("file_id"), fields.get("file_data")
    if is_string(file_id) and is_file_id(body.text(file_id)):
        return "file_id"
    if not is_string(data):
        return None
    start = bytes(body.string_slice(data)[:_MAX_PREFIX_CHARS])
    if b"\\" in start:
        start = body.text(data)[:_MAX_PREFIX_CHARS].encode()
    head, comma, encoded = start.partition(b",")
    is_image = _BASE64_IMAGE.match(encoded if comma else start) is not None
    return "file_data" if is_image or head.lower().startswith(b"data:image/") else None


def collect_parts(leaf: Node, path: str, content: RequestContent) -> list[Part]:
    """Collect a list of content parts; raises what ``collect_part`` raises, and TooManyContentParts."""
    parts = open_array(leaf, path)
    require_part_count(parts, path, content.limits)
    return [collect_part(part, f"{path}[{index}]", content) for index, part in enumerate(parts)]


def collect_part(leaf: Node, path: str, content: RequestContent) -> Part:
    """Collect one part; raises InvalidRequest, or UnsupportedOperation for an image or video that cannot be checked."""
    fields = open_object(leaf, path)
    kind = required_string(content.body, fields, "type", path)
    _reject_uncheckable(kind, fields, path)
    if kind == "input_file" and collect_file(fields, path, content):
        kind = "input_image"
    elif kind == "input_image":
        collect_image(fields, path, content)
    for key in ("text", "refusal"):
        text = fields.get(key)
        if is_string(text):
            content.texts.append(content.body.text(text))
    return Part(path, kind, fields)


def mentions_image(name: str) -> bool:
    """Whether a type or a key names an image."""
    return "image" in name.lower()


def mentions_video(name: str) -> bool:
    """Whether a type or a key names a video."""
    return "video" in name.lower()


def _reject_uncheckable(kind: str, fields: RawObject, path: str) -> None:
    names = [kind, *(key for key, leaf in fields.items() if not is_null(leaf))]
    if any(map(mentions_video, names)):
        raise UnsupportedOperation(f"'{path}' is a video; this endpoint takes images. Send frames.", param=path)
    known = {"input_image", "image_url"} if kind == "input_image" else set()
    if any(mentions_image(name) for name in names if name not in known):
        raise UnsupportedOperation(
            f"'{path}' carries an image in a form that cannot be checked. Send it as an input_image part.", param=path
        )
