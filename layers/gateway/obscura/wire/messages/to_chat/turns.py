"""Turns of the conversation: each message of the request as one or more chat messages, order and roles kept."""

from collections.abc import Iterator

from msgspec import Raw, json

from obscura.errors import InvalidRequest
from obscura.wire.messages.fields import (
    object_at,
    refuse_others,
    required_object,
    required_string,
    text_of,
    unsupported,
)
from obscura.wire.messages.to_chat.parts import EMPTY, blocks_in, chat_part, content_of, kind_of
from obscura.wire.messages.to_chat.tool_results import pictures_of, tool_message
from obscura.wire.raw_body import Node, RawBody, RawObject, is_null, raw_string

_NULL = Raw(b"null")
_DROPPED = frozenset({"thinking", "redacted_thinking"})
_TOOL_USE = ("type", "id", "name", "input", "cache_control", "caller")


def chat_messages(root: RawObject, body: RawBody) -> list[Node]:
    """Translate system and messages; raises UnsupportedField, naming the block or field that cannot be carried."""
    told: list[Node] = []
    if not is_null(root.get("system")):
        told.append(_message(b"system", _plain_content(root["system"], "system", body)))
    messages = root["messages"]
    last_role = ""
    for index, message in enumerate(messages if isinstance(messages, list) else []):
        if isinstance(message, dict):
            last_role = text_of(message["role"], body)
            told += _turn(message, last_role, f"messages[{index}]", body)
    if last_role == "assistant":
        raise unsupported(
            f"messages[{len(messages) - 1}]",
            "Chat models answer an assistant message instead of continuing it. End with a user message, and say there "
            "how the answer is to begin.",
        )
    return told


def _turn(message: RawObject, role: str, path: str, body: RawBody) -> Iterator[RawObject]:
    refuse_others(message, ("role", "content"), path)
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


def _plain_content(content: Node, path: str, body: RawBody) -> Node:
    parts = [chat_part(block, block_path, body) for block_path, block in blocks_in(content, path)]
    return content_of(parts, body) if isinstance(content, list) else content


def _assistant_message(content: Node, path: str, body: RawBody) -> RawObject:
    if not isinstance(content, list):
        return _message(b"assistant", content)
    parts: list[RawObject] = []
    calls: list[Node] = []
    for block_path, block in blocks_in(content, path):
        kind = kind_of(block, body)
        if kind == "tool_use":
            calls.append(_tool_call(block, block_path, body))
        elif kind not in _DROPPED:
            parts.append(chat_part(block, block_path, body))
    if calls:
        return _message(b"assistant", content_of(parts, body) if parts else _NULL) | {"tool_calls": calls}
    return _message(b"assistant", content_of(parts, body))


def _tool_call(block: RawObject, path: str, body: RawBody) -> RawObject:
    refuse_others(block, _TOOL_USE, path)
    caller = object_at(block, "caller", path)
    if caller and text_of(caller.get("type"), body) != "direct":
        raise unsupported(f"{path}.caller", "Only the model itself calls tools: 'direct'.")
    arguments = body.render(required_object(block, "input", path))
    return {
        "id": required_string(block, "id", path),
        "type": raw_string(b"function"),
        "function": {
            "name": required_string(block, "name", path),
            "arguments": Raw(json.encode(arguments.decode())),
        },
    }


def _user_messages(content: Node, path: str, body: RawBody) -> Iterator[RawObject]:
    """Tell tool results first, as chat wants them, then their pictures and all else as one user message."""
    if not isinstance(content, list):
        yield _message(b"user", content)
        return
    shown: list[RawObject] = []
    said: list[RawObject] = []
    results = False
    for block_path, block in blocks_in(content, path):
        if kind_of(block, body) == "tool_result":
            results = True
            yield tool_message(block, block_path, body)
            shown += pictures_of(block, block_path, body)
        else:
            said.append(chat_part(block, block_path, body))
    if len(parts := shown + said) == 1 and "text" in parts[0]:
        yield _message(b"user", parts[0]["text"])
    elif parts or not results:
        yield _message(b"user", list(parts) or EMPTY)


def _message(role: bytes, content: Node) -> RawObject:
    return {"role": raw_string(role), "content": content}
