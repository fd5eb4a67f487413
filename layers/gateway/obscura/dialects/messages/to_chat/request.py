"""The fields of a Messages request: each is translated to chat, ignored because that is safe, or rejected by name."""

from dataclasses import dataclass

from msgspec import Raw

from obscura.dialects.chat.build import STREAM_FIELDS, json_schema_format
from obscura.dialects.chat_options import DEFAULT_OPTIONS, ChatOptions
from obscura.dialects.json.fields import (
    is_empty,
    join_path,
    one_of,
    optional_array,
    optional_object,
    raw_object_at,
    reject_unknown,
    required_int,
    text_or_empty,
    unsupported_field,
    without_nulls,
)
from obscura.dialects.json.raw import TRUE, Node, RawJson, RawObject, is_null, is_object, is_string, open_object, quoted
from obscura.dialects.messages.to_chat.messages import chat_messages
from obscura.dialects.messages.to_chat.tools import tool_fields
from obscura.errors import InvalidRequest

MAX_STOP_SEQUENCES = 4
_SAME_NAME = ("temperature", "top_p", "top_k")
_IGNORED = ("cache_control", "service_tier", "diagnostics")
_TRANSLATED = (
    *("model", "messages", "system", "max_tokens", "stream", "stop_sequences", "metadata", "tools", "tool_choice"),
    *("thinking", "output_config", "output_format", "context_management", "speed"),
)
_KNOWN = frozenset((*_SAME_NAME, *_IGNORED, *_TRANSLATED))


@dataclass(frozen=True, slots=True)
class TranslatedRequest:
    """The ``tree`` to be rendered, and what the translation of the response must know of the request."""

    tree: RawObject
    stop_sequences: tuple[str, ...]
    thinking_shown: bool


def to_chat_request(
    body: RawJson, streamed: bool, options: ChatOptions = DEFAULT_OPTIONS, *, counts_tokens: bool = False
) -> TranslatedRequest:
    """Translate an opened body; its token limit is the first field, which one that ``counts_tokens`` has not.

    Raises UnsupportedField on a field that chat does not have, InvalidRequest on one that no upstream could read.
    """
    root = body.root
    if not is_empty(root.get("thread")):  # before any other: without it the SDK sends the rest again
        raise unsupported_field("thread", "Chat upstreams keep no threads; send the whole conversation.")
    reject_unknown(root, _KNOWN)
    require_translatable_context_management(root, body)
    _require_standard_speed(root, body)
    stop_sequences = _stop_sequences(root, body)
    thinking = read_thinking(root, body)
    tree: RawObject = {} if counts_tokens else {options.token_limit_field: _max_tokens(root)}
    tree |= {"model": root["model"], "messages": chat_messages(root, body, prefill=options.prefill)}
    fields: dict[str, Node | None] = {key: root.get(key) for key in _SAME_NAME}
    fields["stop"] = root["stop_sequences"] if stop_sequences else None
    fields["user"] = _user(root)
    fields["reasoning_effort"] = reasoning_effort(root, thinking, body)
    fields["response_format"] = response_format(root, body)
    tree |= without_nulls(fields) | tool_fields(root, body)
    if streamed:
        tree |= STREAM_FIELDS
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


def _require_standard_speed(root: RawObject, body: RawJson) -> None:
    speed = root.get("speed")
    if not is_null(speed) and text_or_empty(body, speed) != "standard":
        raise unsupported_field("speed", "Leave it out, or send 'standard'.")


SCHEMA_NAME = b"output"


def response_format(root: RawObject, body: RawJson) -> RawObject | None:
    """Return the response_format, None if the request has no format; Anthropic's formats are always strict."""
    config = optional_object(root, "output_config")
    reject_unknown(config, ("effort", "format"), "output_config")
    former = not is_null(root.get("output_format"))
    if former and not is_null(config.get("format")):
        raise unsupported_field("output_format", "It is the former name of output_config.format; send one of them.")
    holder, key, parent = (root, "output_format", "") if former else (config, "format", "output_config")
    if is_null(holder.get(key)):
        return None
    output_format, path = optional_object(holder, key, parent), join_path(parent, key)
    reject_unknown(output_format, ("type", "schema"), path)
    one_of(body, output_format, "type", ("json_schema",), path)
    schema = raw_object_at(output_format, "schema", path)
    json_schema: RawObject = {"name": quoted(SCHEMA_NAME), "strict": TRUE, "schema": schema}
    return json_schema_format(json_schema)


MIN_MEDIUM_EFFORT_TOKENS = 4_096
MIN_HIGH_EFFORT_TOKENS = 16_384
_EFFORTS = {"low": b"low", "medium": b"medium", "high": b"high", "xhigh": b"high", "max": b"high"}
_THINKING_TYPES = ("enabled", "adaptive", "disabled")


@dataclass(frozen=True, slots=True)
class Thinking:
    """What the request says of thinking; ``budget_tokens`` only if it is enabled."""

    budget_tokens: int | None = None
    shown: bool = True


def read_thinking(root: RawObject, body: RawJson) -> Thinking:
    """Read ``thinking``; raises InvalidRequest, or UnsupportedField on a type that chat does not have."""
    if is_null(root.get("thinking")):
        return Thinking()
    config = optional_object(root, "thinking")
    reject_unknown(config, ("type", "budget_tokens", "display"), "thinking")
    if text_or_empty(body, config.get("type")) == "between_tools":
        raise unsupported_field("thinking.type", f"Send one of {', '.join(_THINKING_TYPES)}.")
    kind = one_of(body, config, "type", _THINKING_TYPES, "thinking")
    omitted = (
        not is_null(config.get("display"))
        and one_of(body, config, "display", ("summarized", "omitted"), "thinking") == "omitted"
    )
    if kind != "enabled":
        return Thinking(shown=kind == "adaptive" and not omitted)
    budget_tokens = required_int(config, "budget_tokens", "thinking")
    if budget_tokens < 1:
        raise InvalidRequest("'thinking.budget_tokens' must be at least 1.", param="thinking.budget_tokens")
    return Thinking(budget_tokens, shown=not omitted)


def reasoning_effort(root: RawObject, thinking: Thinking, body: RawJson) -> Raw | None:
    """Return the effort, None to leave it to the model."""
    config = optional_object(root, "output_config")
    if not is_null(config.get("effort")):
        return quoted(_EFFORTS[one_of(body, config, "effort", _EFFORTS, "output_config")])
    if thinking.budget_tokens is None:
        return None
    if thinking.budget_tokens < MIN_MEDIUM_EFFORT_TOKENS:
        return quoted(b"low")
    return quoted(b"medium" if thinking.budget_tokens < MIN_HIGH_EFFORT_TOKENS else b"high")


def require_translatable_context_management(root: RawObject, body: RawJson) -> None:
    """Raise UnsupportedField on any edit but those that clear what was said: without them the model sees more of it."""
    management = optional_object(root, "context_management")
    reject_unknown(management, ("edits",), "context_management")
    for index, leaf in enumerate(optional_array(management, "edits", "context_management")):
        path = f"context_management.edits[{index}]"
        edit = open_object(leaf, path) if is_object(leaf) else {}
        if not text_or_empty(body, edit.get("type")).startswith(("clear_thinking_", "clear_tool_uses_")):
            raise unsupported_field(f"{path}.type", "Only edits that clear thinking or tool uses are accepted.")
