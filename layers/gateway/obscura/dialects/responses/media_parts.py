"""The images and files in content parts, each taken out of the tree until it is checked.

A file is what its bytes say, before what its declared type says: an image becomes an ``input_image``, a text an
``input_text``, a PDF both of them for each page. Any other is recorded as unchecked.
"""

from collections.abc import Callable, Sequence
from functools import partial

import msgspec
import pybase64
from msgspec import Raw

from obscura.dialects.base import ImageSlot, SourceKind, UncheckedPart, is_file_id
from obscura.dialects.content import RequestContent
from obscura.dialects.data_url import is_data_url
from obscura.dialects.file_parts import (
    FILE_SOURCES,
    MAX_LABEL_CHARS,
    FileSource,
    declared_types,
    file_source,
    page_text,
)
from obscura.dialects.json.fields import image_detail, text_or_empty
from obscura.dialects.json.raw import NULL, Node, RawJson, RawObject, is_null, is_object, is_string, open_object, quoted
from obscura.dialects.media import MediaKind
from obscura.errors import FileNotFound, InvalidRequest, UnsupportedOperation

CACHE_BREAKPOINT = "prompt_cache_breakpoint"
SCREENSHOTS = ("computer_screenshot", "input_image", "")
"""The types of a computer call's output; the documentation has had the first two."""
_MAX_HEADER_CHARS = 256


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
    content.images.append(ImageSlot(source_path, source, detail, partial(_replace, fields), source_kind))


def collect_screenshot(leaf: Node | None, path: str, content: RequestContent) -> RawObject:
    """Open the output of a computer call; its image has high detail, since the model points at pixels of it.

    An output of a type that is not known stays as it is: its rule records it as unchecked.
    """
    if not is_object(leaf):
        raise InvalidRequest(f"'{path}' must be an object with a screenshot's image_url or file_id.", param=path)
    fields = open_object(leaf, path)
    if text_or_empty(content.body, fields.get("type")) in SCREENSHOTS:
        collect_image(fields, path, content, "high", "computer_call_output")
    return fields


def detail_of(fields: RawObject, path: str, content: RequestContent, default: str = "auto") -> str:
    """Return the detail of a part; raises InvalidRequest for an unknown one."""
    leaf = fields.get("detail")
    return default if is_null(leaf) else image_detail(content.body, leaf, f"{path}.detail")


def _replace(fields: RawObject, data_url: bytes) -> None:
    fields.pop("file_id", None)
    fields["image_url"] = quoted(data_url)


def unknown_file(kind: str, path: str, source_path: str) -> UncheckedPart:
    """Return the record of a file that is not stored here: at most the upstream has it."""
    error = FileNotFound("There is no file with this id. Upload it here first.", param=source_path)
    return UncheckedPart(kind, path, error)


def collect_file(
    part: RawObject, path: str, content: RequestContent, replace_part: Callable[[list[RawObject]], None] | None
) -> str:
    """Collect a file part, and return the type of the part that it becomes.

    ``replace_part`` writes the parts of a document's pages in its place: a text and an image for each of them. Without
    it only images can be collected.

    The file stands in the part itself, or in its ``input_file``. Raises InvalidRequest for a malformed source.
    """
    body = content.body
    holder, holder_path = _file_holder(part, path)
    types = declared_types(body, holder, part)
    source = file_source(body, holder, types)
    if source is None:
        return "input_file"
    source_path, leaf = f"{holder_path}.{source.key}", holder[source.key]
    if not is_string(leaf):
        raise TypeError("a file's source is a string")
    if not source.is_ours:
        content.add_unchecked(part, unknown_file("input_file", path, source_path))
        return "input_file"
    text = _plain_text(body, leaf, source, types)
    if text is not None:
        name = holder.get("filename") or part.get("filename")
        title = f"{body.text(name)}\n\n" if is_string(name) else ""
        _become(part, "input_text", {"text": Raw(msgspec.json.encode(title + text))})
        return "input_text"
    if source.may_be_shown and (source.media is MediaKind.IMAGE or replace_part or source.key == "file_id"):
        detail_holder, detail_path = (part, path) if is_null(holder.get("detail")) else (holder, holder_path)
        detail = detail_of(detail_holder, detail_path, content)
        slice_, label = body.string_slice(leaf), text_or_empty(body, holder.get("filename"))[:MAX_LABEL_CHARS]
        _become(part, "input_image", {"detail": quoted(detail.encode()), "image_url": NULL})
        if source.media is MediaKind.IMAGE or replace_part is None:
            content.images.append(ImageSlot(source_path, slice_, detail, partial(_replace, part), source.source_kind))
        else:
            content.texts.append(label)
            replace = partial(_replace_by_pages, part, label, replace_part)
            content.add_document(source_path, slice_, detail, replace, source.source_kind)
        return "input_image"
    content.add_unchecked(part, UncheckedPart("input_file", path, _uncheckable(source, source_path)))
    return "input_file"


def _replace_by_pages(
    part: RawObject,
    name: str,
    replace_part: Callable[[list[RawObject]], None],
    images: Sequence[bytes],
    texts: Sequence[str],
) -> None:
    pages: list[RawObject] = []
    for number, (image, text) in enumerate(zip(images, texts, strict=True), 1):
        pages.append({"type": quoted(b"input_text"), "text": page_text(name, number, len(images), text)})
        pages.append(part | {"image_url": quoted(image)})
    replace_part(pages)


def _file_holder(part: RawObject, path: str) -> tuple[RawObject, str]:
    """Return the object that holds the file of a part, and its path; raises InvalidRequest if there is another file."""
    nested = part.get("input_file")
    if nested is None or is_null(nested):
        _require_strings(part, path)
        return part, path
    holder_path = f"{path}.input_file"
    holder = open_object(nested, holder_path)
    part["input_file"] = holder
    _require_strings(holder, holder_path)
    for key in FILE_SOURCES:
        if not is_null(part.get(key)):
            raise InvalidRequest(
                f"'{path}' has a file in input_file and one beside it. Send one of them.", param=f"{path}.{key}"
            )
    return holder, holder_path


def _require_strings(file: RawObject, path: str) -> None:
    for key in FILE_SOURCES:
        leaf = file.get(key)
        if not is_null(leaf) and not is_string(leaf):
            raise InvalidRequest(f"'{path}.{key}' must be a string.", param=f"{path}.{key}")


def _become(part: RawObject, kind: str, fields: RawObject) -> None:
    cache_breakpoint = part.get(CACHE_BREAKPOINT)
    part.clear()
    part["type"] = quoted(kind.encode())
    part |= fields
    if cache_breakpoint is not None:
        part[CACHE_BREAKPOINT] = cache_breakpoint


def _plain_text(body: RawJson, leaf: Raw, source: FileSource, types: tuple[str, ...]) -> str | None:
    """Return the text of a file that is declared as ``text/…`` and is UTF-8; None for any other.

    XML is text too, though an image in SVG begins like it: in a text part, no model sees an image in it.
    """
    if source.key != "file_data":
        return None
    slice_ = body.string_slice(leaf)
    header = bytes(slice_[:_MAX_HEADER_CHARS]).decode("latin-1").lower().partition(",")[0]
    in_url = is_data_url(slice_)
    declared = (header[5:].lstrip(), *types) if in_url else types
    if not any(media_type.startswith("text/") for media_type in declared) or (
        in_url and not header.endswith(";base64")
    ):
        return None
    encoded = body.text(leaf)
    try:
        data = pybase64.b64decode(encoded[len(header) + 1 :] if in_url else encoded, validate=True)
        text = data.decode("utf-8-sig")
    except ValueError:
        return None
    is_text = "\0" not in text and (source.media is None or text.lstrip().startswith("<"))
    return text if is_text else None


def _uncheckable(source: FileSource, path: str) -> UnsupportedOperation:
    """Return the error for a file that is neither an image nor a text."""
    what = (
        "a PDF, which is not read here" if source.media is MediaKind.PDF else "a file whose content cannot be checked"
    )
    return UnsupportedOperation(
        f"'{path}' is {what}. Send images of it, or its text; or have the operator pass the type 'input_file' "
        "(pass_types of the model in the catalog).",
        param=path,
    )
