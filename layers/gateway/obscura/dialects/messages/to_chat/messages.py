"""Text and image blocks as chat's content: a plain string where there is one text, parts where there are more."""

from collections.abc import Iterator

from msgspec import Raw, json

from obscura.dialects.json.fields import (
    optional_object,
    reject_unknown,
    required_object,
    required_string,
    text_or_empty,
    unsupported_field,
)
from obscura.dialects.json.raw import Node, RawJson, RawObject, is_null, quoted
from obscura.dialects.messages.to_chat.content import (
    EMPTY,
    block_type,
    blocks,
    chat_part,
    image_parts,
    join_content,
    tool_message,
)
from obscura.errors import InvalidRequest

_NULL = Raw(b"null")
_DROPPED = frozenset({"thinking", "redacted_thinking"})
_TOOL_USE = ("type", "id", "name", "input", "cache_control", "caller")


def chat_messages(root: RawObject, body: RawJson) -> list[Node]:
    """Translate system and messages; raises UnsupportedField, naming the block or field that cannot be carried."""
    told: list[Node] = []
    if not is_null(root.get("system")):
        told.append(_message(b"system", _plain_content(root["system"], "system", body)))
    messages = root["messages"]
    last_role = ""
    for index, message in enumerate(messages if isinstance(messages, list) else []):
        if isinstance(message, dict):
            last_role = text_or_empty(message["role"], body)
            told += _translate_message(message, last_role, f"messages[{index}]", body)
    if last_role == "assistant":
        raise unsupported_field(
            f"messages[{len(messages) - 1}]",
            "Chat models answer an assistant message instead of continuing it. End with a user message, and say there "
            "how the answer is to begin.",
        )
    return told


def _translate_message(message: RawObject, role: str, path: str, body: RawJson) -> Iterator[RawObject]:
    reject_unknown(message, ("role", "content"), path)
    content = message["content"]
    match role:
        case "system":
            yield _message(b"system", _plain_content(content, f"{path}.content", body))
        case "assistant":
            yield _assistant_message(content, f"{path}.content", body)
        case "user":
            yield from _user_messages(content, f"{path}.content", body)
        case _:
            raise InvalidRequest(f"'{path}.role' must be user, assistant or system.", param=f"{path}.role")


def _plain_content(content: Node, path: str, body: RawJson) -> Node:
    parts = [chat_part(block, block_path, body) for block_path, block in blocks(content, path)]
    return join_content(parts, body) if isinstance(content, list) else content


def _assistant_message(content: Node, path: str, body: RawJson) -> RawObject:
    if not isinstance(content, list):
        return _message(b"assistant", content)
    parts: list[RawObject] = []
    calls: list[Node] = []
    for block_path, block in blocks(content, path):
        kind = block_type(block, body)
        if kind == "tool_use":
            calls.append(_tool_call(block, block_path, body))
        elif kind not in _DROPPED:
            parts.append(chat_part(block, block_path, body))
    if calls:
        return _message(b"assistant", join_content(parts, body) if parts else _NULL) | {"tool_calls": calls}
    return _message(b"assistant", join_content(parts, body))


def _tool_call(block: RawObject, path: str, body: RawJson) -> RawObject:
    reject_unknown(block, _TOOL_USE, path)
    caller = optional_object(block, "caller", path)
    if caller and text_or_empty(caller.get("type"), body) != "direct":
        raise unsupported_field(f"{path}.caller", "Only the model itself calls tools: 'direct'.")
    arguments = body.render(required_object(block, "input", path))
    return {
        "id": required_string(block, "id", path),
        "type": quoted(b"function"),
        "function": {
            "name": required_string(block, "name", path),
            "arguments": Raw(json.encode(arguments.decode())),
        },
    }


def _user_messages(content: Node, path: str, body: RawJson) -> Iterator[RawObject]:
    """Tell tool results first, as chat wants them, then their images and all else as one user message."""
    if not isinstance(content, list):
        yield _message(b"user", content)
        return
    shown: list[RawObject] = []
    said: list[RawObject] = []
    results = False
    for block_path, block in blocks(content, path):
        if block_type(block, body) == "tool_result":
            results = True
            yield tool_message(block, block_path, body)
            shown += image_parts(block, block_path, body)
        else:
            said.append(chat_part(block, block_path, body))
    if len(parts := shown + said) == 1 and "text" in parts[0]:
        yield _message(b"user", parts[0]["text"])
    elif parts or not results:
        yield _message(b"user", list(parts) or EMPTY)


def _message(role: bytes, content: Node) -> RawObject:
    return {"role": quoted(role), "content": content}
