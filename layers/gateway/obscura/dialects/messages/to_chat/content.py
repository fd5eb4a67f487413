"""Blocks as chat content: a plain string for a single text, parts for more, tool results as messages of their own."""

from collections.abc import Iterator, Sequence

from msgspec import Raw

from obscura.dialects.chat.build import content_part, tool_message
from obscura.dialects.json.fields import (
    optional_bool,
    optional_object,
    raw_string_at,
    reject_unknown,
    text_or_empty,
    unsupported_field,
)
from obscura.dialects.json.raw import NULL, Node, RawJson, RawObject, is_null, is_string, quoted
from obscura.errors import InvalidRequest

EMPTY_STRING = quoted(b"")
LINE_FEED = b"\\n"

_TEXT_FIELDS = ("type", "text", "cache_control")
_IMAGE_FIELDS = ("type", "source", "cache_control", "transformations")
_DOCUMENT_FIELDS = ("type", "source", "title", "context", "citations", "cache_control")
_RESULT_FIELDS = ("type", "tool_use_id", "content", "is_error", "cache_control")
_ERROR_PREFIX = b"Error: "
_SEE_IMAGES = quoted(b"The result is in the images of the next message.")
_SEND_AS_BLOCKS = "Send its text and its images as text and image blocks."


def blocks(content: Node, path: str, body: RawJson) -> Iterator[tuple[str, RawObject]]:
    """Yield the opened blocks of an array of content, each with its path; a plain string has none.

    A document of text or of blocks is yielded as those: its title, its context, and what it consists of.
    """
    for index, block in enumerate(content if isinstance(content, list) else []):
        if isinstance(block, dict):
            block_path = f"{path}[{index}]"
            if block_type(block, body) == "document" and isinstance(block.get("source"), dict):
                yield from _document_blocks(block, block_path, body)
            else:
                yield block_path, block


def _document_blocks(block: RawObject, path: str, body: RawJson) -> Iterator[tuple[str, RawObject]]:
    source = block["source"]
    kind = text_or_empty(body, source.get("type")) if isinstance(source, dict) else ""
    if not isinstance(source, dict) or kind not in {"text", "content"}:
        yield path, block
        return
    reject_unknown(block, _DOCUMENT_FIELDS, path)
    if optional_bool(optional_object(block, "citations", path), "enabled", f"{path}.citations"):
        raise unsupported_field(f"{path}.citations.enabled", "Chat has no citations.")
    for key in ("title", "context"):
        if is_string(leaf := block.get(key)):
            yield f"{path}.{key}", {"type": quoted(b"text"), "text": leaf}
    if kind == "text":
        yield path, {"type": quoted(b"text"), "text": raw_string_at(source, "data", f"{path}.source")}
    elif is_string(leaf := source.get("content")):
        yield path, {"type": quoted(b"text"), "text": leaf}
    else:
        yield from blocks(source.get("content", EMPTY_STRING), f"{path}.source.content", body)


def block_type(block: RawObject, body: RawJson) -> str:
    """Return a block's type, which the parser has checked."""
    return text_or_empty(body, block["type"])


def chat_part(block: RawObject, path: str, body: RawJson) -> RawObject:
    """Write a text or image block as a part.

    Raises InvalidRequest on a block in the wrong message, UnsupportedField on one of another type.
    """
    match block_type(block, body):
        case "text":
            return content_part("text", _block_text(block, path))
        case "image":
            return _image_part(block, path, body)
        case "tool_use":
            raise InvalidRequest(f"'{path}' is a tool_use; those belong in assistant messages.", param=path)
        case "tool_result":
            raise InvalidRequest(f"'{path}' is a tool_result; those belong in user messages.", param=path)
        case _:
            raise unsupported_field(f"{path}.type", _SEND_AS_BLOCKS)


def join_content(parts: Sequence[RawObject], body: RawJson) -> Node:
    """Return a message's content: one string if all parts are texts, otherwise the parts."""
    texts = [text for part in parts if isinstance(text := part.get("text"), Raw)]
    return list(parts) if len(texts) < len(parts) else join_texts(texts, body)


def join_texts(texts: Sequence[Raw], body: RawJson, prefix: bytes = b"") -> Raw:
    """Join texts with line feeds, their escapes as sent; ``prefix`` needs no escapes."""
    if len(texts) == 1 and not prefix:
        return texts[0]
    return Raw(b'"%b%b"' % (prefix, LINE_FEED.join(body.string_slice(text) for text in texts)))


def tool_result_message(block: RawObject, path: str, body: RawJson) -> RawObject:
    """Write the text of a tool result as a tool message; that of a failed call begins with ``Error:``.

    Raises UnsupportedField on content other than text and images, InvalidRequest on a malformed result.
    """
    reject_unknown(block, _RESULT_FIELDS, path)
    call_id = raw_string_at(block, "tool_use_id", path)
    texts = _result_texts(block, path, body)
    prefix = _ERROR_PREFIX if optional_bool(block, "is_error", path) else b""
    content = join_texts(texts, body, prefix) if texts or prefix else EMPTY_STRING
    return tool_message(call_id, content)


def image_parts(block: RawObject, path: str, body: RawJson) -> list[RawObject]:
    """Return a tool result's images as parts, after a text that names the call; nothing if it has no images."""
    images = [
        _image_part(inner, inner_path, body)
        for inner_path, inner in blocks(block.get("content", EMPTY_STRING), f"{path}.content", body)
        if block_type(inner, body) == "image"
    ]
    if not images:
        return []
    call_id = body.string_slice(raw_string_at(block, "tool_use_id", path))
    return [content_part("text", Raw(b'"Images of tool result %b:"' % bytes(call_id))), *images]


def _block_text(block: RawObject, path: str) -> Raw:
    """Return a text block's text; raises UnsupportedField on citations, which chat does not have."""
    reject_unknown(block, _TEXT_FIELDS, path)
    return raw_string_at(block, "text", path)


def _image_part(block: RawObject, path: str, body: RawJson) -> RawObject:
    """Write an image block, its image prepared, as a part; an image too large is always made smaller."""
    reject_unknown(block, _IMAGE_FIELDS, path)
    transformations = optional_object(block, "transformations", path)
    reject_unknown(transformations, ("oversized_image",), f"{path}.transformations")
    oversized = transformations.get("oversized_image")
    if not is_null(oversized) and text_or_empty(body, oversized) != "downsize":
        raise unsupported_field(
            f"{path}.transformations.oversized_image", "Large images are downsized; send 'downsize'."
        )
    return content_part("image_url", {"url": _data_url(block["source"])})


def _data_url(source: Node) -> Raw:
    """Return the data URL of a source, null as long as its image is not prepared."""
    media_type, data = (source.get("media_type"), source.get("data")) if isinstance(source, dict) else (None, None)
    if not is_string(media_type) or not is_string(data):
        return NULL
    return quoted(b"data:%b;base64,%b" % (bytes(media_type)[1:-1], bytes(data)[1:-1]))


def _result_texts(block: RawObject, path: str, body: RawJson) -> list[Raw]:
    content = block.get("content")
    if content is None or is_null(content):
        return []
    if is_string(content):
        return [content]
    if not isinstance(content, list):
        raise InvalidRequest(
            f"'{path}.content' must be a string or an array of content blocks.", param=f"{path}.content"
        )
    texts = []
    for inner_path, inner in blocks(content, f"{path}.content", body):
        match block_type(inner, body):
            case "text":
                texts.append(_block_text(inner, inner_path))
            case "image":
                pass
            case _:
                raise unsupported_field(f"{inner_path}.type", _SEND_AS_BLOCKS)
    return texts or ([_SEE_IMAGES] if content else [])
