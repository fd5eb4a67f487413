"""File parts of OpenAI's dialects: what a file is, decided by its bytes before its declared type is believed."""

from dataclasses import dataclass

import msgspec
import pybase64
from msgspec import Raw

from obscura.dialects.base import SourceKind, UncheckedPart
from obscura.dialects.data_url import is_data_url
from obscura.dialects.file_ids import is_file_id
from obscura.dialects.json.fields import image_detail, text_or_empty
from obscura.dialects.json.raw import RawJson, RawObject, is_null, is_string, open_object
from obscura.dialects.media import MediaKind, base64_kind
from obscura.errors import FileNotFound, InvalidRequest, UnsupportedOperation

MAX_LABEL_CHARS = 200
FILE_SOURCES = ("file_data", "file_id", "file_url")
CACHE_KEYS = ("prompt_cache_breakpoint", "cache_control")
_MAX_START_CHARS = 1024
_MAX_HEADER_CHARS = 256


@dataclass(frozen=True, slots=True)
class FileSource:
    """Where the bytes of a file part come from; ``kind`` of media is None if the part does not tell."""

    key: str
    source_kind: SourceKind
    media: MediaKind | None
    is_ours: bool
    """Whether it may be one of our own files: everything but a provider's file id."""

    @property
    def may_be_shown(self) -> bool:
        """Whether it is an image or a PDF, or can turn out to be one when it is loaded."""
        if self.key == "file_data":
            return self.media in {MediaKind.IMAGE, MediaKind.PDF}
        return self.is_ours


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file part: where its file stands, the path of that, and what the part says of it.

    ``text`` is that of a text file, its name first; None of any other file.
    """

    source: FileSource
    path: str
    leaf: Raw
    name: str
    detail: str
    text: str | None


def read_file(part: RawObject, path: str, body: RawJson, nests: tuple[str, ...]) -> FilePart | None:
    """Read a file part, whose file stands in the part itself or in an object under one of ``nests``; None without one.

    That object is opened in the part. Raises InvalidRequest for a malformed source, and for a second one.
    """
    holder, holder_path = part, path
    for key in nests:
        nested = part.get(key)
        if nested is None or is_null(nested):
            continue
        if holder is not part:
            raise _second_file(path, f"{path}.{key}")
        holder_path = f"{path}.{key}"
        holder = part[key] = open_object(nested, holder_path)
    _require_one_source(part, holder, path, holder_path)
    types = declared_types(body, holder, part)
    source = file_source(body, holder, types)
    leaf = holder.get(source.key) if source else None
    if source is None or not is_string(leaf):
        return None
    name = text_or_empty(body, holder.get("filename")) or text_or_empty(body, part.get("filename"))
    detail_holder, detail_path = (part, path) if is_null(holder.get("detail")) else (holder, holder_path)
    leaf_of_detail = detail_holder.get("detail") if source.may_be_shown else None
    detail = image_detail(body, leaf_of_detail, f"{detail_path}.detail")
    text = _plain_text(body, leaf, source, types)
    if text is not None and name:
        text = f"{name}\n\n{text}"
    return FilePart(source, f"{holder_path}.{source.key}", leaf, name[:MAX_LABEL_CHARS], detail, text)


def _require_one_source(part: RawObject, holder: RawObject, path: str, holder_path: str) -> None:
    places = [(holder, holder_path)] if holder is part else [(holder, holder_path), (part, path)]
    first = None
    for place, place_path in places:
        for key in FILE_SOURCES:
            leaf = place.get(key)
            if is_null(leaf):
                continue
            if first or place is not holder:
                raise _second_file(path, f"{place_path}.{key}")
            if not is_string(leaf):
                raise InvalidRequest(f"'{place_path}.{key}' must be a string.", param=f"{place_path}.{key}")
            first = key


def _second_file(path: str, param: str) -> InvalidRequest:
    return InvalidRequest(f"'{path}' has two places for its file. Send one of them; '{param}' is left.", param=param)


def unknown_file(kind: str, path: str, source_path: str) -> UncheckedPart:
    """Return the record of a file that is not stored here: at most the upstream has it."""
    error = FileNotFound("There is no file with this id. Upload it here first.", param=source_path)
    return UncheckedPart(kind, path, error, account_id=source_path)


def uncheckable_file(kind: str, path: str, source_path: str) -> UncheckedPart:
    """Return the record of a file that is no image, PDF or text; ``kind`` is the type that is to be passed for it."""
    error = UnsupportedOperation(
        f"'{source_path}' is a file whose content cannot be checked here. Send an image, a PDF in a message, or its "
        f"text; or have the operator pass the type '{kind}' (pass_types of the model in the catalog).",
        param=source_path,
    )
    return UncheckedPart(kind, path, error)


def cache_fields(part: RawObject) -> RawObject:
    """Return what a part says of the provider's cache, which stays when the part becomes another."""
    return {key: part[key] for key in CACHE_KEYS if key in part}


def file_source(body: RawJson, file: RawObject, declared_types: tuple[str, ...]) -> FileSource | None:
    """Return the source of a file part, opened; None without one. ``declared_types`` are media types, lower case."""
    key = next((key for key in FILE_SOURCES if is_string(file.get(key))), None)
    leaf = file.get(key) if key else None
    if key is None or not is_string(leaf):
        return None
    declared = _declared_media(declared_types)
    if key == "file_id":
        return FileSource(key, SourceKind.FILE_ID, declared, is_file_id(body.text(leaf)))
    if key == "file_url":
        return FileSource(key, SourceKind.URL, declared, True)
    text = string_start(body, leaf)
    kind = SourceKind.URL if is_data_url(body.string_slice(leaf)) else SourceKind.BASE64
    in_url = (text.partition(",")[0][5:].partition(";")[0].strip().lower(),) if text[:5].lower() == "data:" else ()
    return FileSource(key, kind, base64_kind(text) or _declared_media((*in_url, *declared_types)), True)


def page_text(name: str, number: int, pages: int, text: str) -> Raw:
    """Return the JSON string that goes before the image of a document's page: which page it is, and its text layer.

    The name stands apart from the other words, so that it is the very text that was moderated.
    """
    label = f"{name[:MAX_LABEL_CHARS] or 'Document'} (page {number} of {pages})"
    return Raw(msgspec.json.encode(f"{label}:\n\n{text}" if text else label))


def string_start(body: RawJson, leaf: Raw) -> str:
    """Return the first characters of a string that may be a file of many megabytes, escapes resolved."""
    start = bytes(body.string_slice(leaf)[:_MAX_START_CHARS])
    return body.text(leaf)[:_MAX_START_CHARS] if b"\\" in start else start.decode("ascii", "replace")


def declared_types(body: RawJson, *holders: RawObject) -> tuple[str, ...]:
    """Return the media types that a part and its file declare, in lower case."""
    return tuple(text_or_empty(body, holder.get("mime_type")).strip().lower() for holder in holders)


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


def _declared_media(media_types: tuple[str, ...]) -> MediaKind | None:
    for media_type in media_types:
        if media_type.startswith("image/"):
            return MediaKind.IMAGE
        if media_type == "application/pdf":
            return MediaKind.PDF
    return None
