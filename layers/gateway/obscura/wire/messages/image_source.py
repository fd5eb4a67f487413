"""The source of an image block: base64, a URL or a file id; once a picture is prepared, its data URL stands there."""

from msgspec import Raw

from obscura.errors import InvalidRequest
from obscura.wire.dialect import ImageSlot, SourceKind
from obscura.wire.messages.fields import chosen, required_object, required_string
from obscura.wire.raw_body import RawBody, RawObject, members, raw_string

_KINDS = {
    "base64": (SourceKind.BASE64, "data"),
    "url": (SourceKind.URL, "url"),
    "file": (SourceKind.FILE_ID, "file_id"),
}


def image_slot(block: RawObject, block_path: str, body: RawBody) -> ImageSlot:
    """Open the source of an image block (API reference, "Image block"); the declared media type is not believed.

    Anthropic's images have no detail, so it is auto. Raises InvalidRequest on a source of another shape.
    """
    path = f"{block_path}.source"
    source = members(required_object(block, "source", block_path), path)
    block["source"] = source
    kind, key = _KINDS[chosen(source, "type", _KINDS, body, path)]
    if key not in source:
        raise InvalidRequest(f"'{path}' has no {key}.", param=f"{path}.{key}")
    leaf = required_string(source, key, path)

    def replace(data_url: bytes) -> None:
        block["source"] = raw_string(data_url)

    return ImageSlot(f"{path}.{key}", body.string_slice(leaf), "auto", replace, kind)


def as_base64_source(block: RawObject) -> None:
    """Write a prepared picture's data URL as the base64 source that Anthropic's API takes, in its place.

    Raises TypeError on a picture that was not prepared: what nobody checked never leaves.
    """
    data_url = block["source"]
    if not isinstance(data_url, Raw):
        raise TypeError("the picture is not prepared")
    head, _, data = bytes(memoryview(data_url)[1:-1]).partition(b";base64,")
    block["source"] = {
        "type": raw_string(b"base64"),
        "media_type": raw_string(head.removeprefix(b"data:")),
        "data": raw_string(data),
    }
