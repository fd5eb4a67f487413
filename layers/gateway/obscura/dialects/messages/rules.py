"""The rules of a Messages request's fields (API reference, "Create a Message", beta included; docs/fields-messages.md).

The field lists are those of the ``anthropic`` SDK's request types; a test holds them to it. An object of a type that is
not listed is ``unknown`` where the API has several types.
"""

from obscura.dialects.json.raw import Node
from obscura.dialects.messages.tool_rules import (
    CACHE_CONTROL,
    CALLER,
    CHANGED_TOOL,
    CITATIONS_CONFIG,
    MCP_TOOL,
    TOOL_CHOICE,
    TOOLS,
    by_type,
    ids,
    link,
    numbers,
    texts,
)
from obscura.dialects.rules.containers import ByType, Each, Fields, either
from obscura.dialects.rules.leaves import (
    Review,
    Rule,
    credential,
    data,
    identifier,
    number,
    opaque,
    replaced,
    schema,
    server_address,
    text,
    unknown,
)
from obscura.dialects.rules.marks import account_state, kept_upstream, loaded_by_provider


def _block(*fields: dict[str, Rule]) -> Fields:
    return Fields(ids(), {"cache_control": CACHE_CONTROL}, *fields)


def _content(node: Node, review: Review) -> None:
    """Content again, inside of a block: a text, or blocks."""
    CONTENT(node, review)


def _blocks(node: Node, review: Review) -> None:
    """Blocks inside of a block that has no plain text in their place."""
    _BLOCKS(node, review)


def _document(node: Node, review: Review) -> None:
    """The document in a result of the web fetch tool."""
    _BLOCK(node, review)


_CITED: dict[str, Rule] = {**ids(), **texts("cited_text", "title")}
_OF_DOCUMENT: dict[str, Rule] = {**ids(), **texts("cited_text", "document_title"), "document_index": number}
_BLOCK_RANGE = numbers("start_block_index", "end_block_index")
_CITATION = ByType(
    {
        "char_location": Fields(_OF_DOCUMENT, numbers("start_char_index", "end_char_index")),
        "page_location": Fields(_OF_DOCUMENT, numbers("start_page_number", "end_page_number")),
        "content_block_location": Fields(_OF_DOCUMENT, _BLOCK_RANGE),
        "web_search_result_location": Fields(_CITED, {"url": link, "encrypted_index": opaque}),
        "search_result_location": Fields(_CITED, _BLOCK_RANGE, {"source": link, "search_result_index": number}),
    }
)
_IMAGE_SOURCE = Fields(ids("media_type"), dict.fromkeys(("data", "url", "file_id"), replaced))
_DOCUMENT_SOURCE = ByType(
    {
        "text": Fields(ids("media_type"), {"data": text}),
        "content": Fields(ids("media_type"), {"content": _content}),
    }
)
_CALL: dict[str, Rule] = {**ids("id"), "name": text, "input": data}
_TOOL_CHANGE = _block({"tool": CHANGED_TOOL})


def _result(kind: str, contents: dict[str, Rule], *, listed: bool = False) -> Fields:
    """The result of a tool of the provider's own: its content by type, or an error."""
    error = {f"{kind}_error": Fields(ids("error_code"), {"error_message": text})}
    content = Each(ByType(contents), other=ByType(error)) if listed else ByType(contents | error)
    return _block({"tool_use_id": identifier, "caller": CALLER, "content": content})


def _output(kind: str) -> Fields:
    """What a run of code wrote, and the ids of the files that it made, which no model loads."""
    return Fields(
        ids(),
        texts("stdout", "stderr"),
        {"encrypted_stdout": opaque, "return_code": number, "content": Each(ByType({kind: Fields(ids("file_id"))}))},
    )


_VIEW = Fields(ids("file_type"), numbers("num_lines", "start_line", "total_lines"), {"content": text})
_EDITS: dict[str, Rule] = {
    # The content of another file than a text may be its bytes.
    "text_editor_code_execution_view_result": ByType({"text": _VIEW}, other=unknown, key="file_type"),
    "text_editor_code_execution_create_result": Fields(ids(), numbers("is_file_update")),
    "text_editor_code_execution_str_replace_result": Fields(
        ids(), numbers("old_start", "old_lines", "new_start", "new_lines"), {"lines": Each(text)}
    ),
}
_DOWNLOAD: dict[str, Rule] = {**ids("download_id"), "url": link}
BLOCKS: dict[str, Rule] = {
    "text": _block({"text": text, "citations": Each(_CITATION)}),
    "image": _block({"source": _IMAGE_SOURCE, "transformations": Fields({"oversized_image": identifier})}),
    "document": _block({"source": _DOCUMENT_SOURCE, "title": text, "context": text, "citations": CITATIONS_CONFIG}),
    "search_result": _block({"source": link, "title": text, "content": _blocks, "citations": CITATIONS_CONFIG}),
    "thinking": _block({"thinking": text, "signature": opaque}),
    "redacted_thinking": _block({"data": opaque}),
    "tool_use": _block(_CALL, {"toolset_name": text, "caller": CALLER}),
    "server_tool_use": _block(_CALL, {"name": unknown, "caller": CALLER}),
    "mcp_tool_use": _block(_CALL, {"server_name": text}),
    "tool_result": _block(ids("tool_use_id"), {"is_error": number, "content": _content, "toolset_name": text}),
    "mcp_tool_result": _block(ids("tool_use_id"), {"is_error": number, "content": _content}),
    "web_search_tool_result": _result(
        "web_search_tool_result",
        {"web_search_result": Fields(ids(), texts("title", "page_age"), {"url": link, "encrypted_content": opaque})},
        listed=True,
    ),
    "web_fetch_tool_result": _result(
        "web_fetch_tool_result",
        {"web_fetch_result": Fields(ids(), {"retrieved_at": text, "url": link, "content": _document})},
    ),
    "code_execution_tool_result": _result(
        "code_execution_tool_result",
        by_type("code_execution_result", "encrypted_code_execution_result", fields=_output("code_execution_output")),
    ),
    "bash_code_execution_tool_result": _result(
        "bash_code_execution_tool_result", {"bash_code_execution_result": _output("bash_code_execution_output")}
    ),
    "text_editor_code_execution_tool_result": _result("text_editor_code_execution_tool_result", _EDITS),
    "tool_search_tool_result": _result(
        "tool_search_tool_result",
        {"tool_search_tool_search_result": Fields(ids(), {"tool_references": Each(_block({"tool_name": text}))})},
    ),
    "advisor_tool_result": _result(
        "advisor_tool_result",
        {
            "advisor_result": Fields(ids(), texts("text", "stop_reason")),
            "advisor_redacted_result": Fields(ids(), {"encrypted_content": opaque, "stop_reason": text}),
        },
    ),
    "tool_reference": _block({"tool_name": text}),
    "browser_state": _block(
        {
            "tabs": Each(Fields({"tab_id": identifier, "active": number, "title": text, "url": link})),
            "state_changes": Each(
                ByType(
                    {
                        "tab_opened": Fields(ids("tab_id")),
                        "download_started": Fields(_DOWNLOAD),
                        "download_completed": Fields(_DOWNLOAD, {"path": text, "size_bytes": number}),
                        "download_failed": Fields(_DOWNLOAD, {"error": text}),
                    }
                )
            ),
        }
    ),
    "compaction": _block(
        {"content": text, "encrypted_content": opaque, "signature": opaque},
        {"tool_changes": Each(ByType(by_type("tool_addition", "tool_removal", fields=_TOOL_CHANGE)))},
    ),
    "tool_addition": _TOOL_CHANGE,
    "tool_removal": _TOOL_CHANGE,
    "mcp_tool_listing": _block({"mcp_server_name": text, "tools": Each(MCP_TOOL)}),
    "fallback": _block(
        {"from": Fields({"model": identifier}), "to": Fields({"model": identifier}), "trigger": unknown}
    ),
}
"""The blocks by type; images were collected, and taken out of the tree, before the rules are applied."""

_BLOCK = ByType(BLOCKS)
_BLOCKS = Each(_BLOCK)
CONTENT = either(text, Each(_BLOCK, other=_BLOCK))
_MCP_SERVER = Fields(
    ids(),
    {"name": text, "url": server_address, "authorization_token": credential},
    {"tool_configuration": Fields({"enabled": number, "allowed_tools": Each(text)})},
)
_FORMAT = Fields(ids(), {"schema": schema})
_BINDING: dict[str, Rule] = {"block_binding": Fields({"prefix_mismatch_behavior": identifier})}
_THINKING = ByType(
    {
        "enabled": Fields(ids("display"), numbers("budget_tokens"), _BINDING),
        "adaptive": Fields(ids("display"), _BINDING),
    }
    | by_type("disabled", "between_tools", fields=Fields(ids()))
)
_OUTPUT_CONFIG = Fields(
    {"effort": identifier, "task_budget": Fields(ids(), numbers("total", "remaining")), "format": _FORMAT}
)
_FALLBACK = Fields(
    {"model": identifier, "max_tokens": number, "speed": identifier},
    {"thinking": _THINKING, "output_config": _OUTPUT_CONFIG},
)
_AMOUNT = ByType(
    by_type("input_tokens", "tool_uses", "thinking_turns", fields=Fields(ids(), numbers("value")))
    | {"all": Fields(ids())}
)
_EDIT = ByType(
    {
        "clear_tool_uses_20250919": Fields(
            ids(),
            {"clear_at_least": _AMOUNT, "keep": _AMOUNT, "trigger": _AMOUNT},
            {"clear_tool_inputs": Each(text, other=number), "exclude_tools": Each(text)},
        ),
        "clear_thinking_20251015": Fields(ids(), {"keep": either(identifier, _AMOUNT)}),
        "compact_20260112": Fields(ids(), {"instructions": text, "pause_after_compaction": number, "trigger": _AMOUNT}),
    }
)
_SKILL = ByType(
    {"anthropic": Fields(ids("skill_id", "version"))},
    other=Fields(ids("version"), {"skill_id": account_state(identifier), "type": unknown}),
)
"""A skill of Anthropic's own is public, any other is the account's."""
_ACCOUNT_ID = account_state(identifier)
_CONTINUED = Fields(ids(), {"previous_message_id": _ACCOUNT_ID})
_ROOT: dict[str, Rule] = {
    **dict.fromkeys(("model", "inference_geo", "service_tier", "speed"), identifier),
    **numbers("max_tokens", "stream", "temperature", "top_p", "top_k"),
    "cache_control": CACHE_CONTROL,
    "container": kept_upstream(either(_ACCOUNT_ID, Fields({"id": _ACCOUNT_ID, "skills": Each(_SKILL)}))),
    "diagnostics": Fields({"previous_message_id": _ACCOUNT_ID}),
    "billing_policy": Fields(ids("bill_to")),
    "thread": kept_upstream(
        # A thread is of no use to a caller who may not name its messages later.
        ByType(
            {"create": account_state(Fields(ids())), "continue": _CONTINUED},
            other=_CONTINUED.with_fields({"type": unknown}),
        )
    ),
}
REQUEST = Fields(
    _ROOT,
    {
        "system": CONTENT,
        "messages": Each(
            Fields({"role": identifier, "content": CONTENT, "clear_at": identifier, "output_config": _OUTPUT_CONFIG})
        ),
        "tools": TOOLS,
        "tool_choice": TOOL_CHOICE,
        "stop_sequences": Each(text),
        "metadata": Fields({"user_id": identifier}),
        "thinking": _THINKING,
        "output_config": _OUTPUT_CONFIG,
        "output_format": _FORMAT,
        "context_management": Fields({"edits": Each(_EDIT)}),
        "compaction": Fields(ids(), {"instructions": text}),
        "mcp_servers": Each(loaded_by_provider("mcp_servers", _MCP_SERVER)),
        "fallbacks": either(identifier, Each(_FALLBACK)),
        "fallback_credit_token": either(credential, Fields({"token": credential, "mode": identifier})),
    },
)
