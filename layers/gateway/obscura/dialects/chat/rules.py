"""The rules of a chat request's fields (OpenAI's API reference, "Create chat completion"; docs/fields-chat.md).

Also of the extensions that servers of this API share: vLLM's and SGLang's, OpenRouter's and Gemini's.
"""

from obscura.dialects.file_parts import FILE_SOURCES
from obscura.dialects.rules.containers import ByKey, ByType, Each, Fields, either
from obscura.dialects.rules.leaves import (
    Rule,
    identifier,
    links,
    number,
    opaque,
    recording,
    replaced,
    schema,
    text,
    unknown,
)
from obscura.dialects.rules.marks import (
    DEFAULT_TTL,
    account_state,
    cache_hint,
    kept_if_true,
    kept_upstream,
    loaded_by_provider,
)

_CACHE_CONTROL = Fields({"type": identifier, "ttl": kept_upstream(identifier, (DEFAULT_TTL,)), "mode": identifier})
_CACHE: dict[str, Rule] = dict.fromkeys(("cache_control", "prompt_cache_breakpoint"), cache_hint(_CACHE_CONTROL))
_IMAGE = Fields({"url": replaced, "detail": identifier, "file_id": replaced}, other=replaced)
_IMAGE_PART = Fields(
    {"type": identifier, "text": text, "image_url": _IMAGE, "detail": identifier, "file_id": replaced}, _CACHE
)
_SOURCES: dict[str, Rule] = dict.fromkeys(FILE_SOURCES, replaced)
_FILE = Fields({"filename": text, "mime_type": identifier, "detail": identifier}, _SOURCES)
_VIDEO = Fields({"url": replaced}, other=replaced)
_FILE_PART = Fields(
    {
        "type": identifier,
        "file": _FILE,
        "input_file": _FILE,
        "filename": text,
        "mime_type": identifier,
        "detail": identifier,
    },
    _SOURCES,
    _CACHE,
)
_TEXT_PART = Fields({"type": identifier, "text": text, "annotations": links}, _CACHE)
PARTS = {
    "text": _TEXT_PART,
    "input_text": _TEXT_PART,
    "output_text": _TEXT_PART,
    "refusal": Fields({"type": identifier, "refusal": text}, _CACHE),
    "image_url": _IMAGE_PART,
    "input_image": _IMAGE_PART,
    "": _IMAGE_PART.with_fields({"video_url": _VIDEO}),
    "video_url": Fields({"type": identifier, "text": text, "video_url": _VIDEO}, _CACHE),
    "input_audio": Fields(
        {"type": identifier, "input_audio": Fields({"data": recording, "format": identifier})}, _CACHE
    ),
    "file": _FILE_PART,
    "input_file": _FILE_PART,
}
"""The parts by type; the media in them were collected, and taken out of the tree, before the rules are applied."""

_CONTENT = either(text, Each(ByType(PARTS, other=unknown)))
_FUNCTION_CALL = Fields({"name": text, "arguments": text})
_THOUGHT = Fields({"google": Fields({"thought_signature": opaque, "thought": identifier})})
_TOOL_CALL = Fields(
    {
        "id": identifier,
        "type": identifier,
        "index": number,
        "function": _FUNCTION_CALL.with_fields({"extra_content": _THOUGHT, "thought_signature": opaque}),
        "custom": Fields({"name": text, "input": text}),
        "extra_content": _THOUGHT,
    }
)
_REASONING = Fields(
    {
        "type": identifier,
        "id": identifier,
        "format": identifier,
        "index": number,
        "text": text,
        "summary": text,
        "thinking": text,
        "data": opaque,
        "signature": opaque,
    }
)
_MESSAGE = Fields(
    {
        "role": identifier,
        "content": _CONTENT,
        "name": text,
        "refusal": text,
        "tool_call_id": identifier,
        "tool_calls": Each(_TOOL_CALL),
        "function_call": _FUNCTION_CALL,
        "audio": Fields({"id": account_state(identifier)}),
        "annotations": links,
        "reasoning": text,
        "reasoning_content": text,
        "reasoning_details": Each(_REASONING),
        "thinking_blocks": Each(_REASONING),
        "extra_content": _THOUGHT,
    },
    _CACHE,
)
_FUNCTION = Fields({"name": text, "description": text, "parameters": schema, "strict": number}, _CACHE)
_GRAMMAR = Fields({"definition": text, "syntax": identifier})
_FORMAT = Fields({"type": identifier, "grammar": _GRAMMAR, "definition": text, "syntax": identifier})
_NAMED = Fields({"name": text})
_TOOL_CHOICE = Fields(
    {
        "type": identifier,
        "function": _NAMED,
        "custom": _NAMED,
        "name": text,
        "allowed_tools": Fields(
            {
                "mode": identifier,
                "tools": Each(Fields({"type": identifier, "function": _NAMED, "custom": _NAMED, "name": text})),
            }
        ),
    },
    other=identifier,
)
_LOCATION = Fields(dict.fromkeys(("city", "country", "region", "timezone"), text))
_WEB_SEARCH = Fields(
    {
        "search_context_size": identifier,
        "user_location": Fields({"type": identifier, "approximate": _LOCATION}),
    }
)
_TOOL = Fields(
    {
        "type": identifier,
        "function": _FUNCTION,
        "custom": Fields({"name": text, "description": text, "format": _FORMAT}),
    },
    _CACHE,
)
_NUMBERS = (
    *(
        "stream",
        "frequency_penalty",
        "presence_penalty",
        "logprobs",
        "top_logprobs",
        "max_completion_tokens",
        "max_tokens",
    ),
    *("n", "seed", "temperature", "top_p", "top_k", "min_p", "parallel_tool_calls"),
)
_IDENTIFIERS = (
    *("model", "models", "modalities", "reasoning_effort", "safety_identifier", "service_tier", "user"),
    *("verbosity", "route", "transforms"),
)
_SERVER_STATE = (
    *("cached_content", "kv_transfer_params", "session_params", "migration_request"),
    *("bootstrap_host", "bootstrap_port", "bootstrap_room"),
)
"""What a server holds of other requests: Gemini's caches, and prefixes in vLLM's, SGLang's and LMDeploy's memory."""
_SCHEMAS = ("guided_json", "guided_regex", "guided_grammar", "guided_choice", "structured_outputs", "json_schema")
_RESPONSE_FORMAT = Fields(
    {
        "type": identifier,
        "json_schema": Fields({"name": text, "description": text, "schema": schema, "strict": number}),
        "schema": schema,
        "grammar": schema,
    }
)


def _by_known_type(types: tuple[str, ...], fields: Fields) -> Rule:
    """Return the rule of an object whose ``type`` is moderated if it is none of ``types``."""
    return ByType(dict.fromkeys(types, fields), other=fields.with_fields({"type": unknown}))


REQUEST = Fields(
    {
        "messages": Each(_MESSAGE),
        "tools": Each(_by_known_type(("function", "custom"), _TOOL)),
        "functions": Each(_FUNCTION),
        "tool_choice": _TOOL_CHOICE,
        "function_call": Fields({"name": text}, other=identifier),
        "response_format": _by_known_type(("text", "json_object", "json_schema", "grammar"), _RESPONSE_FORMAT),
        "prediction": Fields({"type": identifier, "content": _CONTENT}),
        "stop": either(text, Each(text)),
        "metadata": ByKey(unknown),
        "web_search_options": loaded_by_provider("web_search_options", _WEB_SEARCH),
        "audio": Fields({"format": identifier, "voice": Fields({"id": identifier}, other=identifier)}),
        "prompt_cache_options": _CACHE_CONTROL,
        "prompt_cache_key": cache_hint(identifier),
        "prompt_cache_retention": kept_upstream(identifier),
        "store": kept_if_true(number),
        "deferred": kept_if_true(number),
        **dict.fromkeys(_SERVER_STATE, account_state(unknown)),
        "extra_body": Fields({"google": Fields({"cached_content": account_state(unknown)})}),
        "stream_options": Fields({"include_usage": number, "include_obfuscation": number}),
        "chat_template": schema,
        "chat_template_kwargs": links,
        "documents": links,
        **dict.fromkeys(_SCHEMAS, schema),
        **dict.fromkeys(_IDENTIFIERS, identifier),
        **dict.fromkeys(_NUMBERS, number),
        "logit_bias": ByKey(number),
    }
)
