"""The fields of a Messages request, each carried to chat, ignored because that is safe, or refused by its name."""

from dataclasses import dataclass

from msgspec import Raw

from obscura.errors import InvalidRequest
from obscura.wire.messages.fields import items_at, object_at, refuse_others, required_count, unsupported
from obscura.wire.messages.to_chat.context_management import check_context_management
from obscura.wire.messages.to_chat.output import response_format
from obscura.wire.messages.to_chat.reasoning import read_thinking, reasoning_effort
from obscura.wire.messages.to_chat.tools import tool_fields
from obscura.wire.messages.to_chat.turns import chat_messages
from obscura.wire.raw_body import Node, RawBody, RawObject, is_null, is_string

MOST_STOP_SEQUENCES = 4
_TRUE = Raw(b"true")
_AS_IS = ("temperature", "top_p", "top_k")
_SAFE_TO_IGNORE = ("cache_control", "service_tier", "diagnostics")
_READ = (
    *("model", "messages", "system", "max_tokens", "stream", "stop_sequences", "metadata", "tools", "tool_choice"),
    *("thinking", "output_config", "output_format", "context_management", "speed"),
)


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """The ``tree`` to be rendered, and what the way back must know of the request."""

    tree: RawObject
    stop_sequences: tuple[str, ...]
    thinking_shown: bool


def chat_request(body: RawBody, streamed: bool, needs_max_tokens: bool = True) -> ChatRequest:
    """Translate an opened body; raises UnsupportedField, or InvalidRequest on a field that no upstream could read."""
    root = body.root
    refuse_others(root, (*_AS_IS, *_SAFE_TO_IGNORE, *_READ))
    check_context_management(root, body)
    _check_speed(root, body)
    stop_sequences = _stop_sequences(root, body)
    thinking = read_thinking(root, body)
    tree: RawObject = {"model": root["model"], "messages": chat_messages(root, body)}
    if needs_max_tokens:
        tree["max_tokens"] = _max_tokens(root)
    fields: tuple[tuple[str, Node | None], ...] = (
        *((key, root.get(key)) for key in _AS_IS),
        ("stop", list(items_at(root, "stop_sequences")) or None),
        ("user", _user(root)),
        ("reasoning_effort", reasoning_effort(root, thinking, body)),
        ("response_format", response_format(root, body)),
        *tool_fields(root, body).items(),
        ("stream", _TRUE if streamed else None),
        ("stream_options", {"include_usage": _TRUE} if streamed else None),
    )
    tree |= {key: node for key, node in fields if node is not None and not is_null(node)}
    return ChatRequest(tree, stop_sequences, thinking.shown)


def _max_tokens(root: RawObject) -> Node:
    if required_count(root, "max_tokens") < 1:
        raise InvalidRequest("'max_tokens' must be at least 1.", param="max_tokens")
    return root["max_tokens"]


def _stop_sequences(root: RawObject, body: RawBody) -> tuple[str, ...]:
    leaves = items_at(root, "stop_sequences")
    for index, leaf in enumerate(leaves):
        if not is_string(leaf):
            raise InvalidRequest(f"'stop_sequences[{index}]' must be a string.", param=f"stop_sequences[{index}]")
    if len(leaves) > MOST_STOP_SEQUENCES:
        raise unsupported("stop_sequences", f"Chat takes {MOST_STOP_SEQUENCES} stop sequences; send no more.")
    return tuple(body.text(leaf) for leaf in leaves)


def _user(root: RawObject) -> Node | None:
    metadata = object_at(root, "metadata")
    refuse_others(metadata, ("user_id",), "metadata")
    user = metadata.get("user_id")
    if not is_null(user) and not is_string(user):
        raise InvalidRequest("'metadata.user_id' must be a string.", param="metadata.user_id")
    return user


def _check_speed(root: RawObject, body: RawBody) -> None:
    speed = root.get("speed")
    if not is_null(speed) and not (is_string(speed) and body.text(speed) == "standard"):
        raise unsupported("speed", "Leave it out, or send 'standard'.")
