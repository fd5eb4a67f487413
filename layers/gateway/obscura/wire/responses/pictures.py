"""Where a picture stands in a part: an image, a file that is a picture, a screenshot; each becomes a slot."""

from functools import partial

from obscura.errors import InvalidRequest
from obscura.wire.data_url import is_data_url
from obscura.wire.dialect import ImageSlot, SourceKind
from obscura.wire.fields import detail_of
from obscura.wire.file_ids import is_file_id
from obscura.wire.raw_body import Node, RawBody, RawObject, is_null, is_object, is_string, members, raw_string
from obscura.wire.responses.gathered import Gathered

_FILE_SOURCES = ("file_data", "file_id", "file_url")
_BASE64_OF_PICTURES = (b"iVBORw0KGgo", b"/9j/", b"R0lGOD", b"UklGR")
"""How PNG, JPEG, GIF and WEBP begin in base64."""
_LONGEST_START = 256
_CACHING = "prompt_cache_breakpoint"


def open_image(fields: RawObject, path: str, gathered: Gathered, default_detail: str = "auto") -> None:
    """Add the picture of an image part; raises InvalidRequest without exactly one source."""
    key = "file_id" if is_null(fields.get("image_url")) and not is_null(fields.get("file_id")) else "image_url"
    if key == "image_url" and not is_null(fields.get("file_id")):
        raise InvalidRequest(f"'{path}' has an image_url and a file_id. Send one of them.", param=f"{path}.file_id")
    detail = _detail(fields, path, gathered, default_detail)
    _add_slot(fields, key, f"{path}.{key}", detail, gathered)


def open_screenshot(leaf: Node | None, path: str, gathered: Gathered) -> RawObject:
    """Open the output of a computer call; its picture keeps all the pixels it may, since the model points at them."""
    if not is_object(leaf):
        raise InvalidRequest(f"'{path}' must be an object with a screenshot's image_url or file_id.", param=path)
    fields = members(leaf, path)
    open_image(fields, path, gathered, "high")
    return fields


def open_file(fields: RawObject, path: str, gathered: Gathered) -> bool:
    """Make an image part of a file that is a picture, so the model sees what was checked; others stay as they are."""
    source = _picture_source(gathered.body, fields)
    if source is None:
        return False
    detail, leaf, caching = _detail(fields, path, gathered), fields[source], fields.get(_CACHING)
    key = "file_id" if source == "file_id" else "image_url"
    fields.clear()
    fields |= {"type": raw_string(b"input_image"), "detail": raw_string(detail.encode()), key: leaf}
    if caching is not None:
        fields[_CACHING] = caching
    _add_slot(fields, key, f"{path}.{source}", detail, gathered)
    return True


def _detail(fields: RawObject, path: str, gathered: Gathered, default: str = "auto") -> str:
    leaf = fields.get("detail")
    return default if is_null(leaf) else detail_of(gathered.body, leaf, f"{path}.detail")


def _add_slot(fields: RawObject, key: str, path: str, detail: str, gathered: Gathered) -> None:
    leaf = fields.get(key)
    if not is_string(leaf):
        raise InvalidRequest(
            f"'{path}' must be a string: an https URL, a base64 data URL, or a file's id as file_id.", param=path
        )
    source = gathered.body.string_slice(leaf)
    kind = SourceKind.FILE_ID if key == "file_id" else SourceKind.URL
    if path.endswith(".file_data") and not is_data_url(source):
        kind = SourceKind.BASE64
    gathered.image_slots.append(ImageSlot(path, source, detail, partial(_replace, fields), kind))


def _replace(fields: RawObject, data_url: bytes) -> None:
    fields.pop("file_id", None)
    fields["image_url"] = raw_string(data_url)


def _picture_source(body: RawBody, fields: RawObject) -> str | None:
    """Give the field of a file that holds a picture: by its declared type, its data URL's, its first bytes, our id."""
    sources = [key for key in _FILE_SOURCES if is_string(fields.get(key))]
    declared = fields.get("mime_type")
    if sources and is_string(declared) and body.text(declared).lower().startswith("image/"):
        return sources[0]
    file_id, data = fields.get("file_id"), fields.get("file_data")
    if is_string(file_id) and is_file_id(body.text(file_id)):
        return "file_id"
    if not is_string(data):
        return None
    start = bytes(body.string_slice(data)[:_LONGEST_START])
    if b"\\" in start:
        start = body.text(data)[:_LONGEST_START].encode()
    head, comma, encoded = start.partition(b",")
    looks_like_one = (encoded if comma else start).startswith(_BASE64_OF_PICTURES)
    return "file_data" if looks_like_one or head.lower().startswith(b"data:image/") else None
