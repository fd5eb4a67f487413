"""The rules of a Messages request's fields (API reference, "Create a Message", beta included; docs/fields-messages.md).

The field lists are those of the ``anthropic`` SDK's request types; a test holds them to it.
"""

from obscura.dialects.base import UncheckedPart
from obscura.dialects.json.fields import text_or_empty
from obscura.dialects.json.raw import Node, is_object, open_object
from obscura.dialects.rules.containers import ByType, Each, Fields, either
from obscura.dialects.rules.leaves import (
    Review,
    Rule,
    data,
    identifier,
    links,
    opaque,
    replaced,
    schema,
    secret,
    text,
    unknown,
)
from obscura.errors import UnsupportedOperation


def _ids(*names: str) -> dict[str, Rule]:
    return dict.fromkeys(("type", *names), identifier)


link = either(links, unknown)
"""The URL of a page, or text, which has to be a string."""


def _block(*fields: dict[str, Rule]) -> Fields:
    return Fields(_ids("cache_control"), *fields)


def _content(node: Node, review: Review) -> None:
    """Content again, inside of a block: a text, blocks, or a single block."""
    CONTENT(node, review)


def _document(node: Node, review: Review) -> None:
    """The document in a result of the web fetch tool."""
    _BLOCK(node, review)


_CITATION = Fields(
    _ids("document_index", "search_result_index", "file_id", "start_char_index", "end_char_index"),
    _ids("start_page_number", "end_page_number", "start_block_index", "end_block_index"),
    {"cited_text": text, "document_title": text, "title": text, "url": link, "source": link},
    {"encrypted_index": opaque},
)
_IMAGE_SOURCE = Fields(_ids("media_type"), dict.fromkeys(("data", "url", "file_id"), replaced))
_DOCUMENT_SOURCE = ByType(
    {
        "text": Fields(_ids("media_type"), {"data": text}),
        "content": Fields(_ids("media_type"), {"content": _content}),
    }
)
_CALL = _block(
    _ids("id"),
    {"name": text, "server_name": text, "toolset_name": text, "input": data, "caller": Fields(_ids("tool_id"))},
)
_MCP_TOOL = Fields({"name": text, "description": text, "input_schema": schema})
_TOOL = Fields(
    _ids("cache_control", "caching", "strict", "defer_loading", "allowed_callers", "eager_input_streaming", "model"),
    _ids("max_uses", "max_tokens", "max_characters", "max_content_tokens", "use_cache", "response_inclusion"),
    _ids("display_width_px", "display_height_px", "display_number", "enable_zoom", "configs", "default_config"),
    _ids("citations", "url_sources"),
    {
        "name": text,
        "mcp_server_name": text,
        "description": text,
        "input_schema": schema,
        "input_examples": schema,
    },
    {"allowed_domains": Each(link), "blocked_domains": Each(link), "tools": Each(_MCP_TOOL)},
    {"user_location": Fields(_ids(), dict.fromkeys(("city", "region", "country", "timezone"), text))},
)
_TOOL_CHANGE = _block({"tool": Fields(_ids(), {"name": text, "server_name": text, "definition": _TOOL})})
_CALLER: dict[str, Rule] = {"tool_use_id": identifier, "caller": Fields(_ids("tool_id"))}
_ERROR = Fields(_ids("error_code"), {"error_message": text})


def _result(contents: dict[str, Rule]) -> Fields:
    """The result of a tool of the provider's own: its content by type, or an error."""
    content = ByType(contents, other=_ERROR)
    return _block(_CALLER, {"content": Each(content, other=content)})


_OUTPUT = Fields(
    _ids("return_code"),
    {"stdout": text, "stderr": text, "encrypted_stdout": opaque, "content": Each(Fields(_ids("file_id")))},
)
_VIEW = Fields(_ids("file_type", "num_lines", "start_line", "total_lines"), {"content": text})
_EDITS: dict[str, Rule] = {
    # The content of another file than a text may be its bytes.
    "text_editor_code_execution_view_result": ByType({"text": _VIEW}, other=unknown, key="file_type"),
    "text_editor_code_execution_create_result": Fields(_ids("is_file_update")),
    "text_editor_code_execution_str_replace_result": Fields(
        _ids("old_start", "old_lines", "new_start", "new_lines"), {"lines": Each(text)}
    ),
}
BLOCKS: dict[str, Rule] = {
    "text": _block({"text": text, "citations": Each(_CITATION)}),
    "image": _block({"source": _IMAGE_SOURCE, "transformations": identifier}),
    "document": _block({"source": _DOCUMENT_SOURCE, "title": text, "context": text, "citations": identifier}),
    "search_result": _block({"source": link, "title": text, "content": _content, "citations": identifier}),
    "thinking": _block({"thinking": text, "signature": opaque}),
    "redacted_thinking": _block({"data": opaque}),
    "tool_use": _CALL,
    "server_tool_use": _CALL,
    "mcp_tool_use": _CALL,
    "tool_result": _block(_ids("tool_use_id", "is_error"), {"content": _content, "toolset_name": text}),
    "mcp_tool_result": _block(_ids("tool_use_id", "is_error"), {"content": _content}),
    "web_search_tool_result": _result(
        {"web_search_result": Fields(_ids("page_age"), {"title": text, "url": link, "encrypted_content": opaque})}
    ),
    "web_fetch_tool_result": _result(
        {"web_fetch_result": Fields(_ids("retrieved_at"), {"url": link, "content": _document})}
    ),
    "code_execution_tool_result": _result(
        {"code_execution_result": _OUTPUT, "encrypted_code_execution_result": _OUTPUT}
    ),
    "bash_code_execution_tool_result": _result({"bash_code_execution_result": _OUTPUT}),
    "text_editor_code_execution_tool_result": _result(_EDITS),
    "tool_search_tool_result": _result(
        {"tool_search_tool_search_result": Fields(_ids(), {"tool_references": Each(_block({"tool_name": text}))})}
    ),
    "advisor_tool_result": _result(
        {
            "advisor_result": Fields(_ids("stop_reason"), {"text": text}),
            "advisor_redacted_result": Fields(_ids("stop_reason"), {"encrypted_content": opaque}),
        }
    ),
    "tool_reference": _block({"tool_name": text}),
    "browser_state": _block(
        {
            "tabs": Each(Fields(_ids("tab_id", "active"), {"title": text, "url": link})),
            "state_changes": Each(
                Fields(_ids("tab_id", "download_id", "size_bytes"), {"url": link, "path": text, "error": text})
            ),
        }
    ),
    "compaction": _block(
        {"content": text, "encrypted_content": opaque, "signature": opaque, "tool_changes": Each(_TOOL_CHANGE)}
    ),
    "tool_addition": _TOOL_CHANGE,
    "tool_removal": _TOOL_CHANGE,
    "mcp_tool_listing": _block({"mcp_server_name": text, "tools": Each(_MCP_TOOL)}),
    "fallback": _block(
        {"from": Fields({"model": identifier}), "to": Fields({"model": identifier}), "trigger": unknown}
    ),
}
"""The blocks by type; images were collected, and taken out of the tree, before the rules are applied."""

_BLOCK = ByType(BLOCKS)
CONTENT = either(text, Each(_BLOCK, other=_BLOCK))


def _tool(node: Node, review: Review) -> None:
    """A tool of the caller's own, or one of the provider's; what web fetch loads does not pass by here."""
    opened = open_object(node, review.param) if is_object(node) else node
    if isinstance(opened, dict) and text_or_empty(review.content.body, opened.get("type")).startswith("web_fetch"):
        _add_unmoderated("web_fetch", review)
    _TOOL(opened, review)


def _mcp_server(node: Node, review: Review) -> None:
    """A server that the provider connects to: its URL may hold a credential, and its answers do not pass by here."""
    _add_unmoderated("mcp_servers", review)
    _MCP_SERVER(node, review)


def _add_unmoderated(kind: str, review: Review) -> None:
    path = review.param
    error = UnsupportedOperation(
        f"'{path}' brings in what the provider loads by itself, which cannot be moderated; this deployment, or access "
        "without a key, takes only what is. Load it yourself, and send it as text and images.",
        param=path,
    )
    review.content.unmoderated.append(UncheckedPart(kind, path, error))


TOOLS = Each(_tool)
_MCP_SERVER = Fields(
    _ids(),
    {"name": text, "url": secret, "authorization_token": secret},
    {"tool_configuration": Fields({"enabled": identifier, "allowed_tools": Each(text)})},
)
_FORMAT = Fields(_ids(), {"schema": schema})
_THINKING = Fields(_ids("budget_tokens", "display", "block_binding"))
_OUTPUT_CONFIG = Fields({"effort": identifier, "task_budget": identifier, "format": _FORMAT})
_FALLBACK = Fields(
    {"model": identifier, "max_tokens": identifier, "speed": identifier},
    {"thinking": _THINKING, "output_config": _OUTPUT_CONFIG},
)
_EDIT = Fields(
    _ids("trigger", "keep", "clear_at_least", "clear_tool_inputs", "exclude_tools", "pause_after_compaction"),
    {"instructions": text},
)
_IDENTIFIERS = (
    *("model", "max_tokens", "stream", "temperature", "top_p", "top_k", "cache_control", "container", "diagnostics"),
    *("inference_geo", "service_tier", "speed", "billing_policy", "thread"),
)
REQUEST = Fields(
    {
        "system": CONTENT,
        "messages": Each(
            Fields({"role": identifier, "content": CONTENT, "clear_at": identifier, "output_config": _OUTPUT_CONFIG})
        ),
        "tools": TOOLS,
        "tool_choice": Fields(_ids("disable_parallel_tool_use"), {"name": text}),
        "stop_sequences": Each(text, other=text),
        "metadata": Fields({"user_id": identifier}),
        "thinking": _THINKING,
        "output_config": _OUTPUT_CONFIG,
        "output_format": _FORMAT,
        "context_management": Fields({"edits": Each(_EDIT)}),
        "compaction": Fields(_ids(), {"instructions": text}),
        "mcp_servers": Each(_mcp_server),
        "fallbacks": either(identifier, Each(_FALLBACK)),
        "fallback_credit_token": either(secret, Fields({"token": secret, "mode": identifier})),
        **dict.fromkeys(_IDENTIFIERS, identifier),
    }
)
