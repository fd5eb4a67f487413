"""."""

from collections.abc import Iterator, Sequence

from msgspec import Raw

from obscura.dialects.json.fields import (
    optional_bool,
    optional_object,
    reject_unknown,
    required_string,
    text_or_empty,
    unsupported_field,
)
from obscura.dialects.json.raw import Node, RawJson, RawObject, is_null, is_string, quoted
from obscura.errors import InvalidRequest

LINE_FEED = b"\\n"


EMPTY = Raw(b'""')


def blocks(content: Node, path: str) -> Iterator[tuple[str, RawObject]]:
    """Yield the opened blocks of an array of content, each with its path; a plain string has none."""
    for index, block in enumerate(content if isinstance(content, list) else []):
        if isinstance(block, dict):
            yield f"{path}[{index}]", block


def block_type(block: RawObject, body: RawJson) -> str:
    """Return a block's type, which was read before."""
    return text_or_empty(block["type"], body)


def block_text(block: RawObject, path: str) -> Raw:
    """Return a text block's text; raises UnsupportedField on citations, which chat has no place for."""
    reject_unknown(block, ("type", "text", "cache_control"), path)
    return required_string(block, "text", path)


def text_part(text: Raw) -> RawObject:
    """Write a text as a part."""
    return {"type": quoted(b"text"), "text": text}


def image_part(block: RawObject, path: str, body: RawJson) -> RawObject:
    """Write an image block, its prepared image in place, as a part; an image too large is always made smaller."""
    reject_unknown(block, ("type", "source", "cache_control", "transformations"), path)
    wanted = optional_object(block, "transformations", path)
    reject_unknown(wanted, ("oversized_image",), f"{path}.transformations")
    oversized = wanted.get("oversized_image")
    if not is_null(oversized) and text_or_empty(oversized, body) != "downsize":
        raise unsupported_field(
            f"{path}.transformations.oversized_image", "Large images are downsized; send 'downsize'."
        )
    return {"type": quoted(b"image_url"), "image_url": {"url": block["source"]}}


def chat_part(block: RawObject, path: str, body: RawJson) -> RawObject:
    """Write a text or image block as a part.

    Raises InvalidRequest on a block that stands in the wrong message, UnsupportedField on one of another type.
    """
    match block_type(block, body):
        case "text":
            return text_part(block_text(block, path))
        case "image":
            return image_part(block, path, body)
        case "tool_use":
            raise InvalidRequest(f"'{path}' is a tool_use; those stand in assistant messages.", param=path)
        case "tool_result":
            raise InvalidRequest(f"'{path}' is a tool_result; those stand in user messages.", param=path)
        case _:
            raise unsupported_field(f"{path}.type", "Send its text and its images as text and image blocks.")


def joined_texts(texts: Sequence[Raw], body: RawJson, prefix: bytes = b"") -> Raw:
    """Make one string of many, a line feed between them, without unescaping any; ``prefix`` needs no escapes."""
    if len(texts) == 1 and not prefix:
        return texts[0]
    return Raw(b'"%b%b"' % (prefix, LINE_FEED.join(body.string_slice(text) for text in texts)))


def join_content(parts: Sequence[RawObject], body: RawJson) -> Node:
    """Make a message's content of its parts: one string where all are texts."""
    texts = [text for part in parts if isinstance(text := part.get("text"), Raw)]
    return list(parts) if len(texts) < len(parts) else joined_texts(texts, body)


_RESULT_FIELDS = ("type", "tool_use_id", "content", "is_error", "cache_control")


_ERROR = b"Error: "


_SEE_IMAGES = quoted(b"The result is in the images of the next message.")


def tool_message(block: RawObject, path: str, body: RawJson) -> RawObject:
    """Tell a result's text under the id of its call; the text of a failure begins with ``Error:``.

    Raises UnsupportedField on content other than text and images, InvalidRequest on a malformed result.
    """
    reject_unknown(block, _RESULT_FIELDS, path)
    call_id = required_string(block, "tool_use_id", path)
    texts = _texts(block, path, body)
    prefix = _ERROR if optional_bool(block, "is_error", path) else b""
    content = joined_texts(texts, body, prefix) if texts or prefix else EMPTY
    return {"role": quoted(b"tool"), "tool_call_id": call_id, "content": content}


def image_parts(block: RawObject, path: str, body: RawJson) -> list[RawObject]:
    """Return a result's images as parts, after one that says whose they are; nothing where it has none."""
    images = [
        image_part(inner, inner_path, body)
        for inner_path, inner in blocks(block.get("content", EMPTY), f"{path}.content")
        if block_type(inner, body) == "image"
    ]
    if not images:
        return []
    call_id = body.string_slice(required_string(block, "tool_use_id", path))
    return [text_part(Raw(b'"Images of tool result %b:"' % bytes(call_id))), *images]


def _texts(block: RawObject, path: str, body: RawJson) -> list[Raw]:
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
    for inner_path, inner in blocks(content, f"{path}.content"):
        match block_type(inner, body):
            case "text":
                texts.append(block_text(inner, inner_path))
            case "image":
                pass
            case _:
                raise unsupported_field(f"{inner_path}.type", "Send its text and its images as text and image blocks.")
    return texts or ([_SEE_IMAGES] if content else [])
