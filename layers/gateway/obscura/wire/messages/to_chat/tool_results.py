"""Tool results: their text as a tool message, which takes no more than that, their pictures for the user message."""

from msgspec import Raw

from obscura.errors import InvalidRequest
from obscura.wire.fields import flag
from obscura.wire.messages.fields import refuse_others, required_string, unsupported
from obscura.wire.messages.to_chat.parts import EMPTY, blocks_in, image_part, joined_texts, kind_of, text_in, text_part
from obscura.wire.raw_body import RawBody, RawObject, is_null, is_string, raw_string

_KNOWN = ("type", "tool_use_id", "content", "is_error", "cache_control")
_ERROR = b"Error: "
_SEE_PICTURES = raw_string(b"The result is in the pictures of the next message.")


def tool_message(block: RawObject, path: str, body: RawBody) -> RawObject:
    """Tell a result's text under the id of its call; the text of a failure begins with ``Error:``.

    Raises UnsupportedField on content other than text and pictures, InvalidRequest on a malformed result.
    """
    refuse_others(block, _KNOWN, path)
    call_id = required_string(block, "tool_use_id", path)
    texts = _texts(block, path, body)
    prefix = _ERROR if flag(block, "is_error", path) else b""
    content = joined_texts(texts, body, prefix) if texts or prefix else EMPTY
    return {"role": raw_string(b"tool"), "tool_call_id": call_id, "content": content}


def pictures_of(block: RawObject, path: str, body: RawBody) -> list[RawObject]:
    """Give a result's pictures as parts, after one that says whose they are; nothing where it has none."""
    pictures = [
        image_part(inner, inner_path, body)
        for inner_path, inner in blocks_in(block.get("content", EMPTY), f"{path}.content")
        if kind_of(inner, body) == "image"
    ]
    if not pictures:
        return []
    call_id = body.string_slice(required_string(block, "tool_use_id", path))
    return [text_part(Raw(b'"Pictures of tool result %b:"' % bytes(call_id))), *pictures]


def _texts(block: RawObject, path: str, body: RawBody) -> list[Raw]:
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
    for inner_path, inner in blocks_in(content, f"{path}.content"):
        match kind_of(inner, body):
            case "text":
                texts.append(text_in(inner, inner_path))
            case "image":
                pass
            case _:
                raise unsupported(f"{inner_path}.type", "Send its text and its pictures as text and image blocks.")
    return texts or ([_SEE_PICTURES] if content else [])
