"""Content parts as chat completions has them (API reference, "Create chat completion", message content)."""

from collections.abc import Sequence

from msgspec import Raw

from obscura.wire.raw_body import Node, RawObject, raw_string
from obscura.wire.responses.gathered import Part
from obscura.wire.responses.to_chat.carrying import refuse_others, set_fields, string_leaf, unsupported

_TEXT_KINDS = {"input_text", "output_text"}
_CACHING = "prompt_cache_breakpoint"
_TEXT_FIELDS = ("type", "text", "annotations", "logprobs", _CACHING)
_IMAGE_FIELDS = ("type", "image_url", "file_id", "detail", _CACHING)
_FILE_FIELDS = ("type", "file_data", "file_id", "filename", "detail", _CACHING)


def is_text(part: Part) -> bool:
    """Whether a part is text, the caller's or the model's."""
    return part.kind in _TEXT_KINDS


def chat_content(parts: Sequence[Part]) -> Node:
    """Write content; a single text becomes a plain string, which every server takes in every role.

    Raises UnsupportedField for a part, or a field of one, without counterpart; InvalidRequest for a malformed one.
    """
    if not parts:
        return raw_string(b"")
    written = [chat_part(part) for part in parts]
    if len(parts) == 1 and is_text(parts[0]) and _CACHING not in written[0]:
        return written[0]["text"]
    return list(written)


def chat_part(part: Part) -> RawObject:
    """Write one part; raises as ``chat_content`` does."""
    match part.kind:
        case "input_text" | "output_text":
            return _text(part)
        case "input_image":
            return _image(part)
        case "input_file":
            return _file(part)
        case "refusal":
            refuse_others(part.fields, ("type", "refusal"), part.path)
            return set_fields(type=raw_string(b"refusal"), refusal=string_leaf(part.fields, "refusal", part.path))
        case "input_audio":
            refuse_others(part.fields, ("type", "input_audio", _CACHING), part.path)
            return set_fields(**part.fields)
        case _:
            raise unsupported(f"{part.path}.type")


def text_part(text: Raw) -> RawObject:
    """Make a text part."""
    return {"type": raw_string(b"text"), "text": text}


def _text(part: Part) -> RawObject:
    refuse_others(part.fields, _TEXT_FIELDS, part.path)
    return text_part(string_leaf(part.fields, "text", part.path)) | _kept(part, _CACHING)


def _image(part: Part) -> RawObject:
    refuse_others(part.fields, _IMAGE_FIELDS, part.path)
    image_url = set_fields(url=part.fields.get("image_url")) | _kept(part, "file_id", "detail")
    return _typed(b"image_url", image_url) | _kept(part, _CACHING)


def _file(part: Part) -> RawObject:
    refuse_others(part.fields, _FILE_FIELDS, part.path)
    return _typed(b"file", _kept(part, "file_data", "file_id", "filename")) | _kept(part, _CACHING)


def _typed(kind: bytes, inner: RawObject) -> RawObject:
    return {"type": raw_string(kind), kind.decode(): inner}


def _kept(part: Part, *keys: str) -> RawObject:
    return set_fields(**{key: part.fields.get(key) for key in keys})
