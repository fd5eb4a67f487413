"""The rules of input items and content parts (OpenAI's API reference, "Create a model response", input)."""

from obscura.dialects.file_parts import FILE_SOURCES
from obscura.dialects.json.raw import Node, is_null
from obscura.dialects.responses.media_parts import SCREENSHOTS
from obscura.dialects.responses.tools import ENVIRONMENT, REASONING, TEXT_FORMAT, TOOL
from obscura.dialects.responses.unlisted import address, flat, numbers, unlisted, unseen_image, word
from obscura.dialects.rules.containers import ByKey, ByType, Each, Fields, either
from obscura.dialects.rules.leaves import (
    Review,
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
from obscura.dialects.rules.marks import account_state, cache_hint, kept_upstream, stored_unless

_TYPE: dict[str, Rule] = {"type": identifier}
_BREAKPOINT = cache_hint(Fields({"mode": identifier, "ttl": kept_upstream(identifier)}))
_CACHE: dict[str, Rule] = {"type": identifier, "prompt_cache_breakpoint": _BREAKPOINT}
_FILE: dict[str, Rule] = {"filename": text, "mime_type": identifier, "detail": identifier}
_SOURCES: dict[str, Rule] = dict.fromkeys(FILE_SOURCES, replaced)

_ANNOTATIONS = Each(
    Fields(
        {
            **dict.fromkeys(("type", "file_id", "container_id"), identifier),
            **numbers("index", "start_index", "end_index"),
            "filename": text,
            "title": text,
            "url": address,
        }
    )
)
_TOKEN: dict[str, Rule] = {"token": word, "bytes": number, "logprob": number}
_LOGPROBS = Each(Fields(_TOKEN, {"top_logprobs": Each(Fields(_TOKEN))}))

PART = ByType(
    {
        "input_text": Fields({"text": text}, _CACHE),
        "input_image": Fields({"image_url": replaced, "file_id": replaced, "detail": identifier}, _CACHE),
        "input_file": Fields({"input_file": Fields(_FILE, _SOURCES)}, _FILE, _SOURCES, _CACHE),
        "input_audio": Fields({"input_audio": Fields({"data": recording, "format": identifier})}, _CACHE),
        "output_text": Fields({"text": text, "annotations": _ANNOTATIONS, "logprobs": _LOGPROBS}, _CACHE),
        "refusal": Fields({"refusal": text}, _TYPE),
    },
    other=unlisted("input_text, input_image, input_file, input_audio, output_text or refusal parts"),
)
"""The media of the parts were collected, and taken out of the tree, before the rules are applied."""

_CONTENT = either(text, Each(PART))
_CALL: dict[str, Rule] = {
    "type": identifier,
    "id": identifier,
    "call_id": identifier,
    "status": identifier,
    "caller": flat("type", "caller_id"),
}
_TOOL_CALL: dict[str, Rule] = {"name": text, "namespace": unknown, "async": number}
_CHECKS = Each(Fields({"id": identifier, "code": text, "message": text}))
_ACTION = Fields(
    {
        "type": identifier,
        "button": identifier,
        "keys": Each(unknown),
        "path": Each(Fields(numbers("x", "y"))),
        "text": text,
        **numbers("x", "y", "scroll_x", "scroll_y"),
    }
)
_SCREENSHOT = Fields({"image_url": replaced, "file_id": replaced, "current_url": address, "detail": identifier}, _TYPE)
_COMMAND = Fields(
    {
        "type": identifier,
        "command": Each(text),
        "commands": Each(text),
        "env": ByKey(text),
        "user": unknown,
        "working_directory": text,
        "timeout_ms": number,
        "max_output_length": number,
    }
)
_OUTCOME = Fields({"type": identifier, "exit_code": number})
_MCP_CALL: dict[str, Rule] = {"server_label": text, "approval_request_id": identifier, "arguments": text}
_MESSAGE = Fields(
    {"type": identifier, "id": identifier, "role": identifier, "content": _CONTENT, "status": identifier},
    {"phase": identifier},
)

_REFERENCE = Fields({"id": account_state(identifier)}, _TYPE)


def _untyped(node: Node, review: Review) -> None:
    """An item without a type: a message if it has a role, else a reference."""
    is_message = isinstance(node, dict) and not is_null(node.get("role"))
    (_MESSAGE if is_message else _REFERENCE)(node, review)


_ITEMS: dict[str, Rule] = {
    "": _untyped,
    "message": _MESSAGE,
    "item_reference": _REFERENCE,
    "function_call": Fields({"arguments": text}, _TOOL_CALL, _CALL),
    "function_call_output": Fields({"output": _CONTENT}, _TOOL_CALL, _CALL),
    "custom_tool_call": Fields({"input": text}, _TOOL_CALL, _CALL),
    "custom_tool_call_output": Fields({"output": _CONTENT}, _TOOL_CALL, _CALL),
    "reasoning": stored_unless(
        "encrypted_content",
        "content",
        fields=Fields(
            {
                **dict.fromkeys(
                    ("summary", "content"),
                    Each(
                        ByType(
                            dict.fromkeys(("summary_text", "reasoning_text"), Fields({"text": text}, _TYPE)),
                            other=unlisted("summary_text or reasoning_text"),
                        )
                    ),
                ),
                "encrypted_content": opaque,
            },
            _CALL,
        ),
    ),
    "compaction": Fields({"encrypted_content": opaque}, _CALL),
    "compaction_trigger": Fields(_CALL),
    "configuration_update": Fields({"reasoning": REASONING, "text": Fields({"format": TEXT_FORMAT})}, _CALL),
    "computer_call": Fields({"action": _ACTION, "actions": Each(_ACTION), "pending_safety_checks": _CHECKS}, _CALL),
    "computer_call_output": Fields(
        {
            "output": ByType(
                dict.fromkeys(SCREENSHOTS, _SCREENSHOT),
                other=unlisted("a computer_screenshot"),
            ),
            "acknowledged_safety_checks": _CHECKS,
        },
        _CALL,
    ),
    "web_search_call": Fields(
        {
            "action": Fields(
                {
                    "type": identifier,
                    "query": text,
                    "queries": Each(text),
                    "pattern": text,
                    "sources": Each(Fields({"type": identifier, "url": address})),
                    "url": address,
                }
            ),
            "results": links,
        },
        _CALL,
    ),
    "file_search_call": Fields(
        {
            "queries": Each(text),
            "results": Each(
                Fields(
                    {
                        "attributes": ByKey(address),
                        "file_id": identifier,
                        "filename": text,
                        "score": number,
                        "text": text,
                    }
                )
            ),
        },
        _CALL,
    ),
    "code_interpreter_call": Fields(
        {
            "code": text,
            "container_id": account_state(identifier),
            "outputs": Each(
                ByType({"logs": Fields({"logs": text}, _TYPE)}, other=unseen_image("code_interpreter_call"))
            ),
        },
        _CALL,
    ),
    "image_generation_call": stored_unless(
        "result",
        fields=Fields(
            {
                "result": unseen_image("image_generation_call"),
                "revised_prompt": text,
                "error": links,
                "svg_usage": Fields(
                    {"model": identifier}, numbers("input_tokens", "output_tokens", "reasoning_tokens", "total_tokens")
                ),
                **dict.fromkeys(("action", "background", "output_format", "quality", "size"), identifier),
            },
            _CALL,
        ),
    ),
    "local_shell_call": Fields({"action": _COMMAND}, _CALL),
    "local_shell_call_output": Fields({"output": text}, _CALL),
    "shell_call": Fields({"action": _COMMAND, "environment": ENVIRONMENT}, _CALL),
    "shell_call_output": Fields(
        {
            "output": Each(Fields({"stdout": text, "stderr": text, "outcome": _OUTCOME})),
            "max_output_length": number,
        },
        _CALL,
    ),
    "apply_patch_call": Fields({"operation": Fields({"diff": text, "path": text}, _TYPE)}, _CALL),
    "apply_patch_call_output": Fields({"output": text}, _CALL),
    "mcp_list_tools": Fields(
        {
            "server_label": text,
            "tools": Each(Fields({"name": text, "description": text, "input_schema": schema, "annotations": schema})),
            "error": text,
        },
        _CALL,
    ),
    "mcp_approval_request": Fields({"name": text}, _MCP_CALL, _CALL),
    "mcp_approval_response": Fields({"approve": number, "reason": text}, _MCP_CALL, _CALL),
    "mcp_call": Fields(
        {
            "name": text,
            "output": text,
            "error": Fields({"type": identifier, "code": identifier, "message": text, "content": links}),
        },
        _MCP_CALL,
        _CALL,
    ),
    "tool_search_call": Fields({"arguments": schema, "execution": identifier}, _CALL),
    "tool_search_output": Fields({"tools": Each(TOOL), "execution": identifier}, _CALL),
    "additional_tools": Fields({"tools": Each(TOOL), "role": identifier}, _CALL),
    "program": Fields({"code": text, "fingerprint": opaque}, _CALL),
    "program_output": Fields({"result": text}, _CALL),
}
ITEM_TYPES = tuple(filter(None, _ITEMS))
ITEM = ByType(_ITEMS, other=unlisted("message, function_call, function_call_output or reasoning items"))
