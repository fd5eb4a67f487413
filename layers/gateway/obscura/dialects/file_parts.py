"""File parts of OpenAI's dialects: what a file is, decided by its bytes before its declared type is believed."""

from dataclasses import dataclass

import msgspec
from msgspec import Raw

from obscura.dialects.base import SourceKind, is_file_id
from obscura.dialects.data_url import is_data_url
from obscura.dialects.json.fields import text_or_empty
from obscura.dialects.json.raw import RawJson, RawObject, is_string
from obscura.dialects.media import MediaKind, base64_kind

MAX_LABEL_CHARS = 200
FILE_SOURCES = ("file_data", "file_id", "file_url")
_MAX_START_CHARS = 1024


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


def _declared_media(media_types: tuple[str, ...]) -> MediaKind | None:
    for media_type in media_types:
        if media_type.startswith("image/"):
            return MediaKind.IMAGE
        if media_type == "application/pdf":
            return MediaKind.PDF
    return None
