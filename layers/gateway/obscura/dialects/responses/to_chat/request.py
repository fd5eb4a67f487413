"""A Responses request as a chat completion request (docs/fields-responses.md has the table)."""

from msgspec import Raw

from obscura.dialects.json.fields import (
    MAX_NAME_CHARS,
    optional_bool,
    refuse_others,
    required_text,
    set_fields,
    string_leaf,
    unsupported,
)
from obscura.dialects.json.raw import Node, RawJson, RawObject, is_null, is_string, open_array, open_object, quoted
from obscura.dialects.responses.content import RequestContent
from obscura.dialects.responses.to_chat.messages import chat_messages
from obscura.dialects.responses.to_chat.tools import Tools, chat_tool_fields
from obscura.errors import InvalidRequest

_SAME_NAME = (
    "model",
    "temperature",
    "top_p",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "service_tier",
)
"""Carried as they are."""
_TRANSLATED = {
    "input",
    "instructions",
    "max_output_tokens",
    "prompt_cache_options",
    "reasoning",
    "text",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "stream",
}
_KEPT_HERE = {"metadata", "max_tool_calls", "include", "stream_options", "store", "background", "truncation"}
"""Answered by the gateway itself, or safe to ignore: see ``_check_kept``."""
_STATEFUL = "needs state that this upstream does not keep. Send the whole conversation as 'input'"
_WHY = {
    "previous_response_id": _STATEFUL,
    "conversation": _STATEFUL,
    "prompt": "names a template that this upstream does not have. Send its text as 'instructions'",
}
_INCLUDED_IN_VAIN = {
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
}
"""What belongs to items that a translated answer never has; encrypted reasoning would be dropped on its return."""


def to_chat_request(content: RequestContent, tools: Tools, streamed: bool) -> RawObject:
    """Write the request for chat completions.

    Raises UnsupportedField, naming it, for every field that cannot be carried; InvalidRequest for a malformed one.
    """
    root = content.body.root
    for key, leaf in root.items():
        if key not in _TRANSLATED and key not in _SAME_NAME and key not in _KEPT_HERE and not is_null(leaf):
            raise _refusal(key)
    _check_kept(content.body)
    chat: RawObject = {"model": root["model"], "messages": chat_messages(content)}
    chat |= set_fields(**{key: root.get(key) for key in _SAME_NAME})
    chat |= set_fields(max_tokens=root.get("max_output_tokens"), reasoning_effort=_effort(root))
    chat |= set_fields(prompt_cache_options=_prompt_cache_options(root))
    chat |= chat_text_fields(content.body) | chat_tool_fields(content.body, tools)
    if streamed:
        chat |= {"stream": Raw(b"true"), "stream_options": {"include_usage": Raw(b"true")}}
    return chat


def _refusal(key: str) -> Exception:
    return unsupported(key[:MAX_NAME_CHARS], _WHY[key]) if key in _WHY else unsupported(key[:MAX_NAME_CHARS])


def _check_kept(body: RawJson) -> None:
    root = body.root
    if optional_bool(root, "store"):
        raise unsupported("store", "cannot be true: this upstream stores nothing. Send false, or nothing")
    if optional_bool(root, "background"):
        raise unsupported("background", _STATEFUL)
    truncation = root.get("truncation")
    if not is_null(truncation) and not (is_string(truncation) and body.text(truncation) == "disabled"):
        raise unsupported("truncation", "can only be disabled here. Shorten the input")
    _check_max_tool_calls(root)
    _check_metadata(root)
    _check_include(body)
    options = root.get("stream_options")
    if options is not None and not is_null(options):
        told = open_object(options, "stream_options")
        refuse_others(told, ("include_obfuscation",), "stream_options")
        optional_bool(told, "include_obfuscation", "stream_options")


def _check_max_tool_calls(root: RawObject) -> None:
    """It limits the API's own tools alone, of which this upstream has none."""
    leaf = root.get("max_tool_calls")
    if not is_null(leaf) and not (isinstance(leaf, Raw) and bytes(leaf).isdigit()):
        raise InvalidRequest("'max_tool_calls' must be a whole number.", param="max_tool_calls")


def _check_metadata(root: RawObject) -> None:
    metadata = root.get("metadata")
    if metadata is None or is_null(metadata):
        return
    for key, leaf in open_object(metadata, "metadata").items():
        if not is_string(leaf):
            path = f"metadata.{key[:MAX_NAME_CHARS]}"
            raise InvalidRequest(f"'{path}' must be a string.", param=path)


def _check_include(body: RawJson) -> None:
    include = body.root.get("include")
    if include is None or is_null(include):
        return
    for index, leaf in enumerate(open_array(include, "include")):
        if not is_string(leaf) or body.text(leaf) not in _INCLUDED_IN_VAIN:
            raise unsupported(f"include[{index}]")


def _effort(root: RawObject) -> Node | None:
    """Return the effort; a summary is not made here, the reasoning itself is told instead."""
    leaf = root.get("reasoning")
    if leaf is None or is_null(leaf):
        return None
    reasoning = open_object(leaf, "reasoning")
    refuse_others(reasoning, ("effort", "summary", "generate_summary"), "reasoning")
    for key, inner in reasoning.items():
        if not is_null(inner):
            string_leaf(reasoning, key, "reasoning")
    return reasoning.get("effort")


def _prompt_cache_options(root: RawObject) -> RawObject | None:
    leaf = root.get("prompt_cache_options")
    if leaf is None or is_null(leaf):
        return None
    options = open_object(leaf, "prompt_cache_options")
    refuse_others(options, ("mode", "ttl"), "prompt_cache_options")
    return set_fields(**options)


_SCHEMA_FIELDS = ("name", "description", "schema", "strict")


def chat_text_fields(body: RawJson) -> RawObject:
    """Write ``response_format`` and ``verbosity``; raises UnsupportedField, or InvalidRequest on a malformed field."""
    leaf = body.root.get("text")
    if leaf is None or is_null(leaf):
        return {}
    text = open_object(leaf, "text")
    refuse_others(text, ("format", "verbosity"), "text")
    if not is_null(text.get("verbosity")):
        string_leaf(text, "verbosity", "text")
    return set_fields(response_format=_response_format(body, text), verbosity=text.get("verbosity"))


def _response_format(body: RawJson, text: RawObject) -> RawObject | None:
    leaf = text.get("format")
    if leaf is None or is_null(leaf):
        return None
    wanted = open_object(leaf, "text.format")
    match required_text(body, wanted, "type", "text.format"):
        case "text":
            refuse_others(wanted, ("type",), "text.format")
            return None
        case "json_object":
            refuse_others(wanted, ("type",), "text.format")
            return {"type": quoted(b"json_object")}
        case "json_schema":
            refuse_others(wanted, ("type", *_SCHEMA_FIELDS), "text.format")
            required_text(body, wanted, "name", "text.format")
            open_object(wanted.get("schema", quoted(b"")), "text.format.schema")
            schema = set_fields(**{key: wanted.get(key) for key in _SCHEMA_FIELDS})
            return {"type": quoted(b"json_schema"), "json_schema": schema}
        case _:
            raise unsupported("text.format.type")
