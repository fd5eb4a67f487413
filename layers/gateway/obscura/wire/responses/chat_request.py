"""A Responses request as a chat completion request (docs/fields.md has the table)."""

from msgspec import Raw

from obscura.errors import InvalidRequest
from obscura.wire.fields import flag
from obscura.wire.raw_body import RawBody, RawObject, is_null, is_string, items, members
from obscura.wire.responses.carrying import LONGEST_NAME, refuse_others, set_fields, unsupported
from obscura.wire.responses.chat_messages import chat_messages
from obscura.wire.responses.chat_text import chat_text_fields
from obscura.wire.responses.chat_tools import Tools, chat_tool_fields
from obscura.wire.responses.gathered import Gathered

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


def chat_request(gathered: Gathered, tools: Tools, streamed: bool) -> RawObject:
    """Write the request for chat completions.

    Raises UnsupportedField, naming it, for every field that cannot be carried; InvalidRequest for a malformed one.
    """
    root = gathered.body.root
    for key, leaf in root.items():
        if key not in _TRANSLATED and key not in _SAME_NAME and key not in _KEPT_HERE and not is_null(leaf):
            raise _refusal(key)
    _check_kept(gathered.body)
    chat: RawObject = {"model": root["model"], "messages": chat_messages(gathered)}
    chat |= set_fields(**{key: root.get(key) for key in _SAME_NAME})
    chat |= set_fields(max_tokens=root.get("max_output_tokens"), reasoning_effort=_effort(root))
    chat |= chat_text_fields(gathered.body) | chat_tool_fields(gathered.body, tools)
    if streamed:
        chat |= {"stream": Raw(b"true"), "stream_options": {"include_usage": Raw(b"true")}}
    return chat


def _refusal(key: str) -> Exception:
    return unsupported(key[:LONGEST_NAME], _WHY[key]) if key in _WHY else unsupported(key[:LONGEST_NAME])


def _check_kept(body: RawBody) -> None:
    root = body.root
    if flag(root, "store"):
        raise unsupported("store", "cannot be true: this upstream stores nothing. Send false, or nothing")
    if flag(root, "background"):
        raise unsupported("background", _STATEFUL)
    truncation = root.get("truncation")
    if not is_null(truncation) and not (is_string(truncation) and body.text(truncation) == "disabled"):
        raise unsupported("truncation", "can only be disabled here. Shorten the input")
    _check_metadata(root)
    _check_include(body)
    options = root.get("stream_options")
    if options is not None and not is_null(options):
        refuse_others(members(options, "stream_options"), ("include_obfuscation",), "stream_options")


def _check_metadata(root: RawObject) -> None:
    metadata = root.get("metadata")
    if metadata is None or is_null(metadata):
        return
    for key, leaf in members(metadata, "metadata").items():
        if not is_string(leaf):
            path = f"metadata.{key[:LONGEST_NAME]}"
            raise InvalidRequest(f"'{path}' must be a string.", param=path)


def _check_include(body: RawBody) -> None:
    include = body.root.get("include")
    if include is None or is_null(include):
        return
    for index, leaf in enumerate(items(include, "include")):
        if not is_string(leaf) or body.text(leaf) not in _INCLUDED_IN_VAIN:
            raise unsupported(f"include[{index}]")


def _effort(root: RawObject) -> Raw | None:
    """Give the effort; a summary is not made here, the reasoning itself is told instead."""
    leaf = root.get("reasoning")
    if leaf is None or is_null(leaf):
        return None
    reasoning = members(leaf, "reasoning")
    refuse_others(reasoning, ("effort", "summary", "generate_summary"), "reasoning")
    effort = reasoning.get("effort")
    return effort if isinstance(effort, Raw) else None
