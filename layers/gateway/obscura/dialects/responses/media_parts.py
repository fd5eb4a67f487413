"""The images and files in content parts, each taken out of the tree until it is checked.

A file is what its bytes say, before what its declared type says: an image becomes an ``input_image``, a text an
``input_text``, a PDF both of them for each page. Any other is recorded as unchecked.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import msgspec
from msgspec import Raw

from obscura.dialects.base import ImageSlot, SourceKind
from obscura.dialects.content import RequestContent
from obscura.dialects.file_ids import is_file_id
from obscura.dialects.file_parts import (
    CACHE_KEYS,
    cache_fields,
    page_text,
    read_file,
    uncheckable_file,
    unknown_file,
)
from obscura.dialects.json.fields import image_detail, text_or_empty
from obscura.dialects.json.raw import NULL, Node, RawObject, is_null, is_object, is_string, open_object, quoted
from obscura.dialects.media import MediaKind
from obscura.errors import InvalidRequest

CACHE_BREAKPOINT = "prompt_cache_breakpoint"
SCREENSHOTS = ("computer_screenshot", "input_image", "")
"""The types of a computer call's output; the documentation has had the first two."""
_SCREENSHOT = "computer_call_output"


def collect_image(
    fields: RawObject, path: str, content: RequestContent, default_detail: str = "auto", kind: str = "input_image"
) -> None:
    """Take the image of an image part out; raises InvalidRequest without exactly one source.

    A file that only the upstream has is recorded as unchecked, under ``kind``.
    """
    key = "file_id" if is_null(fields.get("image_url")) and not is_null(fields.get("file_id")) else "image_url"
    if key == "image_url" and not is_null(fields.get("file_id")):
        raise InvalidRequest(f"'{path}' has an image_url and a file_id. Send one of them.", param=f"{path}.file_id")
    detail, leaf, source_path = detail_of(fields, path, content, default_detail), fields.get(key), f"{path}.{key}"
    if not is_string(leaf):
        raise InvalidRequest(
            f"'{source_path}' must be a string: an https URL, a base64 data URL, or a file's id as file_id.",
            param=source_path,
        )
    if key == "file_id" and not is_file_id(content.body.text(leaf)):
        content.add_unchecked(fields, unknown_file(kind, path, source_path))
        return
    fields[key] = NULL
    source, source_kind = content.body.string_slice(leaf), SourceKind.FILE_ID if key == "file_id" else SourceKind.URL
    slot = ImageSlot(source_path, source, detail, partial(_replace, fields), source_kind, refer=partial(_refer, fields))
    content.images.append(replace(slot, takes_text=False, refer=None) if kind == _SCREENSHOT else slot)


def collect_screenshot(leaf: Node | None, path: str, content: RequestContent) -> RawObject:
    """Open the output of a computer call; its image has high detail, since the model points at pixels of it.

    An output of a type that is not known stays as it is: its rule records it as unchecked.
    """
    if not is_object(leaf):
        raise InvalidRequest(f"'{path}' must be an object with a screenshot's image_url or file_id.", param=path)
    fields = open_object(leaf, path)
    if text_or_empty(content.body, fields.get("type")) in SCREENSHOTS:
        collect_image(fields, path, content, "high", _SCREENSHOT)
    return fields


def detail_of(fields: RawObject, path: str, content: RequestContent, default: str = "auto") -> str:
    """Return the detail of a part; raises InvalidRequest for an unknown one."""
    leaf = fields.get("detail")
    return default if is_null(leaf) else image_detail(content.body, leaf, f"{path}.detail")


def _replace(fields: RawObject, image: bytes | str) -> None:
    if isinstance(image, str):
        _become(fields, "input_text", {"text": Raw(msgspec.json.encode(image))})
        return
    fields.pop("file_id", None)
    fields["image_url"] = quoted(image)


def _refer(fields: RawObject, file_id: str) -> None:
    fields.pop("image_url", None)
    fields["file_id"] = quoted(file_id.encode())


def collect_file(
    part: RawObject, path: str, content: RequestContent, replace_part: Callable[[list[RawObject]], None] | None
) -> str:
    """Collect a file part, and return the type of the part that it becomes.

    ``replace_part`` writes the parts of a document's pages in its place: a text and an image for each of them. Without
    it only images can be collected, since pages are several parts.

    The file stands in the part itself, or in its ``input_file``. Raises InvalidRequest for a malformed source.
    """
    body = content.body
    file = read_file(part, path, body, ("input_file",))
    if file is None:
        return "input_file"
    source = file.source
    if not source.is_ours:
        content.add_unchecked(part, unknown_file("input_file", path, file.path))
        return "input_file"
    if file.text is not None:
        _become(part, "input_text", {"text": Raw(msgspec.json.encode(file.text))})
        return "input_text"
    if not source.may_be_shown or not (source.media is MediaKind.IMAGE or replace_part or source.key == "file_id"):
        content.add_unchecked(part, uncheckable_file("input_file", path, file.path))
        return "input_file"
    slice_ = body.string_slice(file.leaf)
    _become(part, "input_image", {"detail": quoted(file.detail.encode()), "image_url": NULL})
    if source.media is MediaKind.IMAGE or replace_part is None:
        content.images.append(
            ImageSlot(
                file.path, slice_, file.detail, partial(_replace, part), source.source_kind, refer=partial(_refer, part)
            )
        )
    else:
        name = partial(content.texts.__getitem__, len(content.texts))
        content.texts.append(file.name)
        replace_document = partial(_replace_by_pages, part, name, replace_part)
        content.add_document(file.path, slice_, file.detail, replace_document, source.source_kind)
    return "input_image"


def _replace_by_pages(
    part: RawObject,
    name: Callable[[], str],
    replace_part: Callable[[list[RawObject]], None],
    images: Sequence[bytes | str],
    texts: Sequence[str],
) -> None:
    pages: list[RawObject] = []
    page_image = {key: leaf for key, leaf in part.items() if key not in CACHE_KEYS}
    for number, (image, text) in enumerate(zip(images, texts, strict=True), 1):
        pages.append({"type": quoted(b"input_text"), "text": page_text(name(), number, len(images), text)})
        if isinstance(image, str):
            pages.append({"type": quoted(b"input_text"), "text": Raw(msgspec.json.encode(image))})
        else:
            pages.append(page_image | {"image_url": quoted(image)})
    if pages:
        pages[-1] |= cache_fields(part)
    replace_part(pages)


def _become(part: RawObject, kind: str, fields: RawObject) -> None:
    kept = cache_fields(part)
    part.clear()
    part["type"] = quoted(kind.encode())
    part |= fields | kept
