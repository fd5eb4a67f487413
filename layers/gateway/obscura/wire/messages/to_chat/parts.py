"""Text and image blocks as chat's content: a plain string where there is one text, parts where there are more."""

from collections.abc import Iterator, Sequence

from msgspec import Raw

from obscura.errors import InvalidRequest
from obscura.wire.messages.fields import object_at, refuse_others, required_string, text_of, unsupported
from obscura.wire.raw_body import Node, RawBody, RawObject, is_null, raw_string

LINE_FEED = b"\\n"
EMPTY = Raw(b'""')


def blocks_in(content: Node, path: str) -> Iterator[tuple[str, RawObject]]:
    """Give the opened blocks of an array of content, each with its path; a plain string has none."""
    for index, block in enumerate(content if isinstance(content, list) else []):
        if isinstance(block, dict):
            yield f"{path}[{index}]", block


def kind_of(block: RawObject, body: RawBody) -> str:
    """Give a block's type, which was read before."""
    return text_of(block["type"], body)


def text_in(block: RawObject, path: str) -> Raw:
    """Give a text block's text; raises UnsupportedField on citations, which chat has no place for."""
    refuse_others(block, ("type", "text", "cache_control"), path)
    return required_string(block, "text", path)


def text_part(text: Raw) -> RawObject:
    """Write a text as a part."""
    return {"type": raw_string(b"text"), "text": text}


def image_part(block: RawObject, path: str, body: RawBody) -> RawObject:
    """Write an image block, its prepared picture in place, as a part; a picture too large is always made smaller."""
    refuse_others(block, ("type", "source", "cache_control", "transformations"), path)
    wanted = object_at(block, "transformations", path)
    refuse_others(wanted, ("oversized_image",), f"{path}.transformations")
    oversized = wanted.get("oversized_image")
    if not is_null(oversized) and text_of(oversized, body) != "downsize":
        raise unsupported(f"{path}.transformations.oversized_image", "Large pictures are downsized; send 'downsize'.")
    return {"type": raw_string(b"image_url"), "image_url": {"url": block["source"]}}


def chat_part(block: RawObject, path: str, body: RawBody) -> RawObject:
    """Write a text or image block as a part.

    Raises InvalidRequest on a block that stands in the wrong message, UnsupportedField on one of another type.
    """
    match kind_of(block, body):
        case "text":
            return text_part(text_in(block, path))
        case "image":
            return image_part(block, path, body)
        case "tool_use":
            raise InvalidRequest(f"'{path}' is a tool_use; those stand in assistant messages.", param=path)
        case "tool_result":
            raise InvalidRequest(f"'{path}' is a tool_result; those stand in user messages.", param=path)
        case _:
            raise unsupported(f"{path}.type", "Send its text and its pictures as text and image blocks.")


def joined_texts(texts: Sequence[Raw], body: RawBody, prefix: bytes = b"") -> Raw:
    """Make one string of many, a line feed between them, without unescaping any; ``prefix`` needs no escapes."""
    if len(texts) == 1 and not prefix:
        return texts[0]
    return Raw(b'"%b%b"' % (prefix, LINE_FEED.join(body.string_slice(text) for text in texts)))


def content_of(parts: Sequence[RawObject], body: RawBody) -> Node:
    """Make a message's content of its parts: one string where all are texts."""
    texts = [text for part in parts if isinstance(text := part.get("text"), Raw)]
    return list(parts) if len(texts) < len(parts) else joined_texts(texts, body)
