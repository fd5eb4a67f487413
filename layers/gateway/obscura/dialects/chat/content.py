"""The content of a chat request: the images, videos and texts in its parts."""

from dataclasses import dataclass, field

from msgspec import Raw

from obscura.dialects.base import ImageSlot, SourceKind, VideoSlot, is_file_id
from obscura.dialects.data_url import is_data_url
from obscura.dialects.json.fields import image_detail, required_string
from obscura.dialects.json.raw import Node, RawJson, RawObject, is_object, is_string, open_object, quoted
from obscura.errors import InvalidRequest, UnsupportedOperation

_IMAGE_KINDS = frozenset({"", "image_url", "input_image"})
_FILE_KINDS = frozenset({"file", "input_file"})


@dataclass(slots=True)
class RequestContent:
    """The images, videos and texts of one request, in request order."""

    images: list[ImageSlot] = field(default_factory=list)
    videos: list[VideoSlot] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)


def collect_part(leaf: Raw, path: str, body: RawJson, content: RequestContent) -> Node:
    """Add the image, video or texts of one part to ``content``; return the part, opened if it is an object.

    A part with an ``image_url`` is an image, and one with a ``video_url`` a video, whatever its type says. Raises
    InvalidRequest, or UnsupportedOperation for an image or video in a form that cannot be checked.
    """
    if is_string(leaf):
        content.texts.append(body.text(leaf))
        return leaf
    part = open_object(leaf, path)
    kind = required_string(body, part, "type", path) if "type" in part else ""
    if kind == "text" and len(part) == 2 and is_string(text := part.get("text")):
        content.texts.append(body.text(text))
        return part
    _reject_uncheckable(part, kind, path)
    if "image_url" in part:
        content.images.append(_image_slot(part, path, body))
    elif "video_url" in part:
        content.videos.append(_video_slot(part, path, body))
    elif kind in _FILE_KINDS:
        _collect_file(part, path, body, content)
    content.texts += [body.text(text) for key in ("text", "refusal") if is_string(text := part.get(key))]
    return part


def _reject_uncheckable(part: RawObject, kind: str, path: str) -> None:
    folded_kind = kind.casefold()
    if kind in {"image_url", "input_image", "video_url"} and not {"image_url", "video_url"} & part.keys():
        key = kind.replace("input_image", "image_url")
        raise InvalidRequest(f"'{path}' has no {key}.", param=f"{path}.{key}")
    odd_kind = ("image" in folded_kind and kind not in _IMAGE_KINDS) or ("video" in folded_kind and kind != "video_url")
    media_keys = {key for key in part if "image" in key.casefold() or "video" in key.casefold()}
    if odd_kind or media_keys - {"image_url", "video_url"} or len(media_keys) > 1:
        raise UnsupportedOperation(
            f"'{path}' carries an image or video in a form that cannot be checked. "
            "Send it as a part of its own: an image_url or a video_url.",
            param=path,
        )


def _image_slot(part: RawObject, part_path: str, body: RawJson) -> ImageSlot:
    path, holder, key, detail_path = f"{part_path}.image_url", part, "image_url", f"{part_path}.detail"
    kind, detail = SourceKind.URL, part.get("detail")
    image_url = part["image_url"]
    if is_object(image_url):
        holder = open_object(image_url, path)
        part["image_url"] = holder
        if "detail" in holder:
            detail, detail_path = holder["detail"], f"{path}.detail"
        key = "file_id" if "file_id" in holder and "url" not in holder else "url"
        kind = SourceKind.FILE_ID if key == "file_id" else SourceKind.URL
        path = f"{path}.{key}"
    leaf = holder.get(key)
    if not is_string(leaf):
        raise InvalidRequest(f"'{path}' must be a string: an https URL or a base64 data URL.", param=path)

    def replace(data_url: bytes) -> None:
        holder.pop(key)
        holder["image_url" if holder is part else "url"] = quoted(data_url)

    return ImageSlot(path, body.string_slice(leaf), image_detail(body, detail, detail_path), replace, kind)


def _video_slot(part: RawObject, part_path: str, body: RawJson) -> VideoSlot:
    path, holder, key = f"{part_path}.video_url", part, "video_url"
    video_url = part["video_url"]
    if is_object(video_url):
        holder, key = open_object(video_url, path), "url"
        part["video_url"] = holder
        path = f"{path}.url"
    leaf = holder.get(key)
    if not is_string(leaf):
        raise InvalidRequest(f"'{path}' must be a string: an https URL or a base64 data URL.", param=path)

    def replace(data_url: bytes) -> None:
        holder[key] = quoted(data_url)

    return VideoSlot(path, body.string_slice(leaf), replace)


def _collect_file(part: RawObject, part_path: str, body: RawJson, content: RequestContent) -> None:
    """Add the image of a file part, which becomes an image part once it is prepared; other files stay as they came."""
    holder, path, nested = part, part_path, part.get("file")
    if is_object(nested):
        holder, path = open_object(nested, f"{path}.file"), f"{path}.file"
        part["file"] = holder
    declared = (holder.get("mime_type"), part.get("mime_type"))
    declares_image = any(is_string(mime) and body.text(mime).casefold().startswith("image/") for mime in declared)
    data, file_id = holder.get("file_data"), holder.get("file_id")
    if is_string(data) and (declares_image or _is_image(body.string_slice(data))):
        path, source = f"{path}.file_data", body.string_slice(data)
        kind = SourceKind.URL if is_data_url(source) else SourceKind.BASE64
    elif is_string(file_id) and (declares_image or is_file_id(body.text(file_id))):
        kind, path, source = SourceKind.FILE_ID, f"{path}.file_id", body.string_slice(file_id)
    else:
        return

    def replace(data_url: bytes) -> None:
        part.clear()
        part["type"], part["image_url"] = quoted(b"image_url"), {"url": quoted(data_url)}

    content.images.append(ImageSlot(path, source, "auto", replace, kind))


def _is_image(file_data: memoryview) -> bool:
    return bytes(file_data[:16]).replace(b"\\", b"").lower().startswith(b"data:image/")
