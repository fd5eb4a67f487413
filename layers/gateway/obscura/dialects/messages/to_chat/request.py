"""The fields of a Messages request, each carried to chat, ignored because that is safe, or refused by its name."""

from dataclasses import dataclass

from msgspec import Raw

from obscura.dialects.json.fields import (
    join_path,
    one_of,
    optional_array,
    optional_object,
    reject_unknown,
    required_int,
    required_object,
    text_or_empty,
    unsupported_field,
)
from obscura.dialects.json.raw import Node, RawJson, RawObject, is_null, is_object, is_string, open_object, quoted
from obscura.dialects.messages.to_chat.messages import chat_messages
from obscura.dialects.messages.to_chat.tools import tool_fields
from obscura.errors import InvalidRequest

MAX_STOP_SEQUENCES = 4
_TRUE = Raw(b"true")
_AS_IS = ("temperature", "top_p", "top_k")
_IGNORED = ("cache_control", "service_tier", "diagnostics")
_READ = (
    *("model", "messages", "system", "max_tokens", "stream", "stop_sequences", "metadata", "tools", "tool_choice"),
    *("thinking", "output_config", "output_format", "context_management", "speed"),
)


@dataclass(frozen=True, slots=True)
class TranslatedRequest:
    """The ``tree`` to be rendered, and what the way back must know of the request."""

    tree: RawObject
    stop_sequences: tuple[str, ...]
    thinking_shown: bool


def to_chat_request(body: RawJson, streamed: bool, needs_max_tokens: bool = True) -> TranslatedRequest:
    """Translate an opened body; raises UnsupportedField, or InvalidRequest on a field that no upstream could read."""
    root = body.root
    reject_unknown(root, (*_AS_IS, *_IGNORED, *_READ))
    require_translatable_context_management(root, body)
    _check_speed(root, body)
    stop_sequences = _stop_sequences(root, body)
    thinking = read_thinking(root, body)
    tree: RawObject = {"model": root["model"], "messages": chat_messages(root, body)}
    if needs_max_tokens:
        tree["max_tokens"] = _max_tokens(root)
    fields: tuple[tuple[str, Node | None], ...] = (
        *((key, root.get(key)) for key in _AS_IS),
        ("stop", list(optional_array(root, "stop_sequences")) or None),
        ("user", _user(root)),
        ("reasoning_effort", reasoning_effort(root, thinking, body)),
        ("response_format", response_format(root, body)),
        *tool_fields(root, body).items(),
        ("stream", _TRUE if streamed else None),
        ("stream_options", {"include_usage": _TRUE} if streamed else None),
    )
    tree |= {key: node for key, node in fields if node is not None and not is_null(node)}
    return TranslatedRequest(tree, stop_sequences, thinking.shown)


def _max_tokens(root: RawObject) -> Node:
    if required_int(root, "max_tokens") < 1:
        raise InvalidRequest("'max_tokens' must be at least 1.", param="max_tokens")
    return root["max_tokens"]


def _stop_sequences(root: RawObject, body: RawJson) -> tuple[str, ...]:
    leaves = optional_array(root, "stop_sequences")
    for index, leaf in enumerate(leaves):
        if not is_string(leaf):
            raise InvalidRequest(f"'stop_sequences[{index}]' must be a string.", param=f"stop_sequences[{index}]")
    if len(leaves) > MAX_STOP_SEQUENCES:
        raise unsupported_field("stop_sequences", f"Chat takes {MAX_STOP_SEQUENCES} stop sequences; send no more.")
    return tuple(body.text(leaf) for leaf in leaves)


def _user(root: RawObject) -> Node | None:
    metadata = optional_object(root, "metadata")
    reject_unknown(metadata, ("user_id",), "metadata")
    user = metadata.get("user_id")
    if not is_null(user) and not is_string(user):
        raise InvalidRequest("'metadata.user_id' must be a string.", param="metadata.user_id")
    return user


def _check_speed(root: RawObject, body: RawJson) -> None:
    speed = root.get("speed")
    if not is_null(speed) and not (is_string(speed) and body.text(speed) == "standard"):
        raise unsupported_field("speed", "Leave it out, or send 'standard'.")


SCHEMA_NAME = b"output"


def response_format(root: RawObject, body: RawJson) -> RawObject | None:
    """Return the response_format, or None where no format is asked for; Anthropic's formats are always strict."""
    config = optional_object(root, "output_config")
    reject_unknown(config, ("effort", "format"), "output_config")
    former = not is_null(root.get("output_format"))
    if former and not is_null(config.get("format")):
        raise unsupported_field("output_format", "It is the former name of output_config.format; send one of them.")
    holder, key, above = (root, "output_format", "") if former else (config, "format", "output_config")
    if is_null(holder.get(key)):
        return None
    wanted, path = optional_object(holder, key, above), join_path(above, key)
    reject_unknown(wanted, ("type", "schema"), path)
    one_of(wanted, "type", ("json_schema",), body, path)
    schema = required_object(wanted, "schema", path)
    named: RawObject = {"name": quoted(SCHEMA_NAME), "strict": _TRUE, "schema": schema}
    return {"type": quoted(b"json_schema"), "json_schema": named}


MEDIUM_FROM_TOKENS = 4_096
HIGH_FROM_TOKENS = 16_384
_EFFORTS = {"low": b"low", "medium": b"medium", "high": b"high", "xhigh": b"high", "max": b"high"}
_KINDS = ("enabled", "adaptive", "disabled")


@dataclass(frozen=True, slots=True)
class Thinking:
    """What was asked of thinking; ``budget_tokens`` only where it was enabled; ``shown`` unless it is not wanted."""

    budget_tokens: int | None = None
    shown: bool = True


def read_thinking(root: RawObject, body: RawJson) -> Thinking:
    """Read ``thinking``; raises InvalidRequest, or UnsupportedField on a kind that chat does not have."""
    if is_null(root.get("thinking")):
        return Thinking()
    config = optional_object(root, "thinking")
    reject_unknown(config, ("type", "budget_tokens", "display"), "thinking")
    kind = text_or_empty(config.get("type"), body)
    if kind == "between_tools":
        raise unsupported_field("thinking.type", f"Send one of {', '.join(_KINDS)}.")
    one_of(config, "type", _KINDS, body, "thinking")
    omitted = (
        not is_null(config.get("display"))
        and one_of(config, "display", ("summarized", "omitted"), body, "thinking") == "omitted"
    )
    if kind != "enabled":
        return Thinking(shown=kind == "adaptive" and not omitted)
    budget_tokens = required_int(config, "budget_tokens", "thinking")
    if budget_tokens < 1:
        raise InvalidRequest("'thinking.budget_tokens' must be at least 1.", param="thinking.budget_tokens")
    return Thinking(budget_tokens, shown=not omitted)


def reasoning_effort(root: RawObject, thinking: Thinking, body: RawJson) -> Raw | None:
    """Return the effort, or None to leave it to the model."""
    config = optional_object(root, "output_config")
    if not is_null(config.get("effort")):
        return quoted(_EFFORTS[one_of(config, "effort", _EFFORTS, body, "output_config")])
    if thinking.budget_tokens is None:
        return None
    if thinking.budget_tokens < MEDIUM_FROM_TOKENS:
        return quoted(b"low")
    return quoted(b"medium" if thinking.budget_tokens < HIGH_FROM_TOKENS else b"high")


def require_translatable_context_management(root: RawObject, body: RawJson) -> None:
    """Let edits pass that clear thinking; raises UnsupportedField, naming the edit, on any other."""
    management = optional_object(root, "context_management")
    reject_unknown(management, ("edits",), "context_management")
    for index, leaf in enumerate(optional_array(management, "edits", "context_management")):
        path = f"context_management.edits[{index}]"
        edit = open_object(leaf, path) if is_object(leaf) else {}
        if not text_or_empty(edit.get("type"), body).startswith("clear_thinking"):
            raise unsupported_field(f"{path}.type", "Only edits that clear thinking are taken.")
