"""The media in the content parts of a chat request, each taken out of the tree until it is checked."""

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from obscura.dialects.base import ImageSlot, SourceKind, UncheckedPart, VideoSlot
from obscura.dialects.chat.rules import PARTS
from obscura.dialects.content import RequestContent, drop_cache_ids
from obscura.dialects.file_parts import cache_fields, page_text, read_file, uncheckable_file, unknown_file
from obscura.dialects.json.fields import image_detail, required_string
from obscura.dialects.json.raw import NULL, Node, RawObject, is_null, is_object, is_string, open_object, quoted
from obscura.dialects.media import MediaKind
from obscura.errors import InvalidRequest, UnsupportedOperation

_FILE_KINDS = ("file", "input_file")


def collect_part(leaf: Node, path: str, siblings: list[Node], content: RequestContent) -> Node:
    """Take the media of one part out, and return the part, opened if it is an object, to be added to ``siblings``.

    A part without a type is an image or a video by its key, as servers such as vLLM have it. Raises InvalidRequest for
    a malformed part; one of another type is recorded as unchecked.
    """
    if is_string(leaf):
        return leaf
    part = open_object(leaf, path)
    drop_cache_ids(part)
    kind = required_string(content.body, part, "type", path) if "type" in part else ""
    if kind in {"image_url", "input_image"} or (not kind and "image_url" in part):
        content.images.append(_image_slot(part, path, content))
    elif kind == "video_url" or (not kind and "video_url" in part):
        content.videos.append(_video_slot(part, path, content))
    elif kind in _FILE_KINDS:
        _collect_file(part, path, siblings, content)
    elif kind == "input_audio":
        content.add_unmoderated(kind, path)
    elif kind not in PARTS or (not kind and "text" not in part):
        content.add_unchecked(part, unchecked_part(kind, path))
    return part


def unchecked_part(kind: str, path: str) -> UncheckedPart:
    """Return the record of a part of a type that this dialect does not know."""
    error = UnsupportedOperation(
        f"'{path}' is of a type that is not known here, so it cannot be checked. Send text, image_url, video_url, "
        "input_audio or file parts; or have the operator pass the type (pass_types of the model in the catalog).",
        param=path,
    )
    return UncheckedPart(kind, path, error)


def _image_slot(part: RawObject, part_path: str, content: RequestContent) -> ImageSlot:
    body = content.body
    path, holder, key, detail_path = f"{part_path}.image_url", part, "image_url", f"{part_path}.detail"
    kind, detail = SourceKind.URL, part.get("detail")
    image_url = part.get("image_url")
    if is_object(image_url):
        holder = open_object(image_url, path)
        drop_cache_ids(holder)
        part["image_url"] = holder
        if "detail" in holder:
            detail, detail_path = holder["detail"], f"{path}.detail"
        key = "file_id" if "file_id" in holder and "url" not in holder else "url"
        path = f"{path}.{key}"
    elif is_null(image_url) and not is_null(part.get("file_id")):
        key, path = "file_id", f"{part_path}.file_id"
    kind = SourceKind.FILE_ID if key == "file_id" else SourceKind.URL
    leaf = holder.get(key)
    if not is_string(leaf):
        raise InvalidRequest(f"'{path}' must be a string: an https URL or a base64 data URL.", param=path)
    holder[key] = NULL

    def replace(image: bytes | str) -> None:
        if isinstance(image, str):
            _become(part, _text_part(Raw(msgspec.json.encode(image))))
            return
        holder.pop(key)
        if holder is part and key == "file_id":
            part["image_url"] = {"url": quoted(image)}
        else:
            holder["image_url" if holder is part else "url"] = quoted(image)

    return ImageSlot(path, body.string_slice(leaf), image_detail(body, detail, detail_path), replace, kind)


def _video_slot(part: RawObject, part_path: str, content: RequestContent) -> VideoSlot:
    path, holder, key = f"{part_path}.video_url", part, "video_url"
    video_url = part.get("video_url")
    if is_object(video_url):
        holder, key = open_object(video_url, path), "url"
        drop_cache_ids(holder)
        part["video_url"] = holder
        path = f"{path}.url"
    leaf = holder.get(key)
    if not is_string(leaf):
        raise InvalidRequest(f"'{path}' must be a string: an https URL or a base64 data URL.", param=path)
    holder[key] = NULL
    content.add_unmoderated("video_url", part_path)

    def replace(data_url: bytes) -> None:
        holder[key] = quoted(data_url)

    return VideoSlot(path, content.body.string_slice(leaf), replace)


def _collect_file(part: RawObject, part_path: str, siblings: list[Node], content: RequestContent) -> None:
    """Collect a file part: an image becomes an image part, a text file a text, a PDF the parts of its pages.

    Another file is unchecked.
    """
    file = read_file(part, part_path, content.body, _FILE_KINDS)
    if file is None:
        return
    source = file.source
    if not source.is_ours:
        content.add_unchecked(part, unknown_file("file", part_path, file.path))
        return
    if file.text is not None:
        _become(part, _text_part(Raw(msgspec.json.encode(file.text))))
        return
    if not source.may_be_shown:
        content.add_unchecked(part, uncheckable_file("file", part_path, file.path))
        return
    source_slice = content.body.string_slice(file.leaf)
    _become(part, _image_part(NULL))

    def replace(image: bytes | str) -> None:
        _become(part, _part_of(image))

    name = len(content.texts)

    def replace_pages(images: Sequence[bytes | str], texts: Sequence[str]) -> None:
        position = next(index for index, node in enumerate(siblings) if node is part)
        pages: list[RawObject] = []
        for number, (image, text) in enumerate(zip(images, texts, strict=True), 1):
            pages += (_text_part(page_text(content.texts[name], number, len(images), text)), _part_of(image))
        if pages:
            pages[-1] |= cache_fields(part)
        siblings[position : position + 1] = pages

    if source.media is MediaKind.IMAGE:
        content.images.append(ImageSlot(file.path, source_slice, file.detail, replace, source.source_kind))
    else:
        content.texts.append(file.name)
        content.add_document(file.path, source_slice, file.detail, replace_pages, source.source_kind)


def _become(part: RawObject, fields: RawObject) -> None:
    kept = cache_fields(part)
    part.clear()
    part |= fields | kept


def _part_of(image: bytes | str) -> RawObject:
    return _text_part(Raw(msgspec.json.encode(image))) if isinstance(image, str) else _image_part(quoted(image))


def _image_part(url: Raw) -> RawObject:
    return {"type": quoted(b"image_url"), "image_url": {"url": url}}


def _text_part(text: Raw) -> RawObject:
    return {"type": quoted(b"text"), "text": text}
