"""System and messages as chat messages."""

from collections.abc import Iterator

from msgspec import Raw, json

from obscura.dialects.chat.build import chat_message, tool_call
from obscura.dialects.json.fields import (
    optional_object,
    raw_object_at,
    raw_string_at,
    reject_unknown,
    text_or_empty,
    unsupported_field,
)
from obscura.dialects.json.raw import NULL, Node, RawJson, RawObject, is_null
from obscura.dialects.messages.to_chat.content import (
    EMPTY_STRING,
    block_type,
    blocks,
    chat_part,
    image_parts,
    join_content,
    tool_result_message,
)
from obscura.errors import InvalidRequest

_DROPPED = frozenset({"thinking", "redacted_thinking"})
_TOOL_USE_FIELDS = ("type", "id", "name", "input", "cache_control", "caller")


def chat_messages(root: RawObject, body: RawJson, *, prefill: bool = False) -> list[Node]:
    """Translate system and messages; with ``prefill`` the last one may be the assistant's, which is to be continued.

    Raises UnsupportedField on a block or field that chat does not have.
    """
    translated: list[Node] = []
    if not is_null(root.get("system")):
        translated.append(chat_message(b"system", _plain_content(root["system"], "system", body)))
    messages = root["messages"]
    last_role = ""
    for index, message in enumerate(messages if isinstance(messages, list) else []):
        if isinstance(message, dict):
            last_role = text_or_empty(body, message["role"])
            translated += _translate_message(message, last_role, f"messages[{index}]", body)
    if last_role == "assistant" and not prefill:
        raise unsupported_field(
            f"messages[{len(messages) - 1}]",
            "Most chat upstreams answer an assistant message instead of continuing it. End with a user message that "
            "says how the answer is to begin; an upstream that does continue it has prefill = true in the catalog.",
        )
    return translated


def _translate_message(message: RawObject, role: str, path: str, body: RawJson) -> Iterator[RawObject]:
    reject_unknown(message, ("role", "content"), path)
    content = message["content"]
    match role:
        case "system":
            yield chat_message(b"system", _plain_content(content, f"{path}.content", body))
        case "assistant":
            yield _assistant_message(content, f"{path}.content", body)
        case "user":
            yield from _user_messages(content, f"{path}.content", body)
        case _:
            raise InvalidRequest(f"'{path}.role' must be user, assistant or system.", param=f"{path}.role")


def _plain_content(content: Node, path: str, body: RawJson) -> Node:
    if not isinstance(content, list):
        return content
    return join_content([chat_part(block, block_path, body) for block_path, block in blocks(content, path, body)], body)


def _assistant_message(content: Node, path: str, body: RawJson) -> RawObject:
    if not isinstance(content, list):
        return chat_message(b"assistant", content)
    parts: list[RawObject] = []
    calls: list[Node] = []
    for block_path, block in blocks(content, path, body):
        kind = block_type(block, body)
        if kind == "tool_use":
            calls.append(_tool_call(block, block_path, body))
        elif kind not in _DROPPED:
            parts.append(chat_part(block, block_path, body))
    if calls:
        return chat_message(b"assistant", join_content(parts, body) if parts else NULL) | {"tool_calls": calls}
    return chat_message(b"assistant", join_content(parts, body))


def _tool_call(block: RawObject, path: str, body: RawJson) -> RawObject:
    reject_unknown(block, _TOOL_USE_FIELDS, path)
    caller = optional_object(block, "caller", path)
    if caller and text_or_empty(body, caller.get("type")) != "direct":
        raise unsupported_field(f"{path}.caller", "Only the model itself calls tools: 'direct'.")
    arguments = body.render(raw_object_at(block, "input", path))
    call_id, name = raw_string_at(block, "id", path), raw_string_at(block, "name", path)
    return tool_call(call_id, name, Raw(json.encode(arguments.decode())))


def _user_messages(content: Node, path: str, body: RawJson) -> Iterator[RawObject]:
    """Yield the tool results first, as chat requires, then their images and the rest as one user message."""
    if not isinstance(content, list):
        yield chat_message(b"user", content)
        return
    result_images: list[RawObject] = []
    others: list[RawObject] = []
    has_results = False
    for block_path, block in blocks(content, path, body):
        if block_type(block, body) == "tool_result":
            has_results = True
            yield tool_result_message(block, block_path, body)
            result_images += image_parts(block, block_path, body)
        else:
            others.append(chat_part(block, block_path, body))
    if len(parts := result_images + others) == 1 and "text" in parts[0]:
        yield chat_message(b"user", parts[0]["text"])
    elif parts or not has_results:
        yield chat_message(b"user", list(parts) or EMPTY_STRING)
