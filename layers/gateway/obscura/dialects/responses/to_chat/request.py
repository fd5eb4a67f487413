"""The fields of a Responses request as those of a chat completion request (docs/fields-responses.md)."""

from msgspec import Raw

from obscura.dialects.chat.build import STREAM_FIELDS, json_schema_format
from obscura.dialects.json.fields import (
    is_empty,
    optional_array,
    optional_bool,
    optional_object,
    raw_object_at,
    raw_string_at,
    reject_unknown,
    required_string,
    text_or_empty,
    unsupported_field,
    without_nulls,
)
from obscura.dialects.json.raw import MAX_NAME_CHARS, TRUE, Node, RawJson, RawObject, is_null, is_string, quoted
from obscura.dialects.responses.content import ResponsesContent
from obscura.dialects.responses.to_chat.messages import chat_messages
from obscura.dialects.responses.to_chat.tool_choice import chat_tool_fields
from obscura.dialects.responses.to_chat.tools import Tools
from obscura.errors import InvalidRequest, UnsupportedField

_SAME_NAME = (
    "model",
    "temperature",
    "top_p",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "service_tier",
    "presence_penalty",
    "frequency_penalty",
)
"""Copied under the same name."""
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
    "top_logprobs",
}
_IGNORED = {
    "client_metadata",
    "metadata",
    "max_tool_calls",
    "include",
    "stream_options",
    "store",
    "background",
    "truncation",
}
"""Not sent upstream: handled by the gateway itself, or without effect (see ``_check_ignored``)."""
_OR_CHOOSE = "or choose a model whose upstream speaks this API."
_STATELESS = f"It keeps no state: send the whole conversation as 'input', {_OR_CHOOSE}"
_NOT_STORED = (
    "Responses are not stored here: send the whole conversation as 'input' (in an SDK with store: false), or have the "
    f"operator set OBSCURA_STORE_RESPONSES=true, {_OR_CHOOSE}"
)
_HINTS = {
    "previous_response_id": _NOT_STORED,
    "conversation": _STATELESS,
    "prompt": f"It has no templates: send its text as 'instructions', {_OR_CHOOSE}",
}
_IGNORED_INCLUDES = {
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
}
"""Fields of items that a translated answer never has; encrypted reasoning would be dropped if sent back."""


def to_chat_request(content: ResponsesContent, tools: Tools, streamed: bool) -> RawObject:
    """Write the chat completion request.

    The token limit, if there is one, is its first field. Raises UnsupportedField, naming it, for the first field
    without counterpart (ADR 11); InvalidRequest for a malformed one.
    """
    root = content.body.root
    for key, leaf in root.items():
        if key not in _TRANSLATED and key not in _SAME_NAME and key not in _IGNORED and not is_empty(leaf):
            raise _unsupported(key)
    _check_ignored(content.body)
    chat = without_nulls({tools.options.token_limit_field: root.get("max_output_tokens")})
    chat |= {"model": root["model"], "messages": chat_messages(content, tools)}
    chat |= without_nulls({key: root.get(key) for key in _SAME_NAME})
    chat |= without_nulls(
        {
            "reasoning_effort": _reasoning_effort(root),
            "prompt_cache_options": _prompt_cache_options(root),
        }
    )
    chat |= _logprobs(content.body) | chat_text_fields(content.body) | chat_tool_fields(content.body, tools)
    return chat | STREAM_FIELDS if streamed else chat


def _unsupported(key: str) -> UnsupportedField:
    name = key[:MAX_NAME_CHARS]
    return unsupported_field(name, _HINTS[key]) if key in _HINTS else unsupported_field(name)


def _check_ignored(body: RawJson) -> None:
    root = body.root
    if optional_bool(root, "store"):
        setting = "have the operator set OBSCURA_STORE_RESPONSES=true,"
        raise unsupported_field(
            "store", f"Responses are not stored here: send false, or nothing, {setting} {_OR_CHOOSE}"
        )
    if optional_bool(root, "background"):
        raise unsupported_field("background", _STATELESS)
    if not is_null(root.get("truncation")) and text_or_empty(body, root["truncation"]) != "disabled":
        raise unsupported_field("truncation", f"Shorten the input and send 'disabled', {_OR_CHOOSE}")
    _check_max_tool_calls(root)
    _check_metadata(root)
    _check_include(body)
    stream_options = optional_object(root, "stream_options")
    reject_unknown(stream_options, ("include_obfuscation",), "stream_options")
    optional_bool(stream_options, "include_obfuscation", "stream_options")


def _check_max_tool_calls(root: RawObject) -> None:
    """Check ``max_tool_calls``, which limits only the API's own tools; a chat upstream has none."""
    leaf = root.get("max_tool_calls")
    if not is_null(leaf) and not (isinstance(leaf, Raw) and bytes(leaf).isdigit()):
        raise InvalidRequest("'max_tool_calls' must be a whole number.", param="max_tool_calls")


def _check_metadata(root: RawObject) -> None:
    for key, leaf in optional_object(root, "metadata").items():
        if not is_string(leaf):
            path = f"metadata.{key[:MAX_NAME_CHARS]}"
            raise InvalidRequest(f"'{path}' must be a string.", param=path)


def _check_include(body: RawJson) -> None:
    for index, leaf in enumerate(optional_array(body.root, "include")):
        if text_or_empty(body, leaf) not in _IGNORED_INCLUDES | {_LOGPROBS}:
            raise unsupported_field(f"include[{index}]")


_LOGPROBS = "message.output_text.logprobs"
MAX_TOP_LOGPROBS = 20


def _logprobs(body: RawJson) -> RawObject:
    """Write ``logprobs`` and ``top_logprobs``; a count of none, without the inclusion, is no field."""
    leaf = body.root.get("top_logprobs")
    if leaf is None and "include" not in body.root:
        return {}
    digits = b"0" if leaf is None or is_null(leaf) else bytes(leaf) if isinstance(leaf, Raw) else b""
    if not digits.isdigit() or int(digits) > MAX_TOP_LOGPROBS:
        raise InvalidRequest(
            f"'top_logprobs' must be a whole number from 0 to {MAX_TOP_LOGPROBS}.", param="top_logprobs"
        )
    included = any(text_or_empty(body, leaf) == _LOGPROBS for leaf in optional_array(body.root, "include"))
    if int(digits):
        return {"logprobs": TRUE, "top_logprobs": Raw(digits)}
    return {"logprobs": TRUE} if included else {}


def _reasoning_effort(root: RawObject) -> Node | None:
    """Return the reasoning effort; the summary is ignored, since the answer carries the reasoning itself."""
    reasoning = optional_object(root, "reasoning")
    reject_unknown(reasoning, ("effort", "summary", "generate_summary"), "reasoning")
    for key in without_nulls(reasoning):
        raw_string_at(reasoning, key, "reasoning")
    return reasoning.get("effort")


def _prompt_cache_options(root: RawObject) -> RawObject | None:
    if is_null(root.get("prompt_cache_options")):
        return None
    options = optional_object(root, "prompt_cache_options")
    reject_unknown(options, ("mode", "ttl"), "prompt_cache_options")
    return without_nulls(options)


_SCHEMA_FIELDS = ("name", "description", "schema", "strict")


def chat_text_fields(body: RawJson) -> RawObject:
    """Write ``response_format`` and ``verbosity``; raises UnsupportedField, or InvalidRequest on a malformed field."""
    text = optional_object(body.root, "text")
    reject_unknown(text, ("format", "verbosity"), "text")
    if not is_null(text.get("verbosity")):
        raw_string_at(text, "verbosity", "text")
    return without_nulls({"response_format": _response_format(body, text), "verbosity": text.get("verbosity")})


def _response_format(body: RawJson, text: RawObject) -> RawObject | None:
    if is_null(text.get("format")):
        return None
    text_format = optional_object(text, "format", "text")
    match required_string(body, text_format, "type", "text.format"):
        case "text":
            reject_unknown(text_format, ("type",), "text.format")
            return None
        case "json_object":
            reject_unknown(text_format, ("type",), "text.format")
            return {"type": quoted(b"json_object")}
        case "json_schema":
            reject_unknown(text_format, ("type", *_SCHEMA_FIELDS), "text.format")
            required_string(body, text_format, "name", "text.format")
            raw_object_at(text_format, "schema", "text.format")
            return json_schema_format(without_nulls({key: text_format.get(key) for key in _SCHEMA_FIELDS}))
        case _:
            raise unsupported_field("text.format.type")
