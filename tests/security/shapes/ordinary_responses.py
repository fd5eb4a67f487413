"""Ordinary Responses: OpenAI's examples, agents, reasoning sent back, files."""

import json
from typing import Any

from tests.security.shapes.ordinary import (
    AGENT_TEXTS,
    JPEG_URL,
    PDF_URL,
    PNG_URL,
    SCHEMAS,
    SIGNATURE,
    USER_HASH,
    WAVE,
    Ordinary,
    each,
    named,
)


def create(*items: Any, **fields: Any) -> dict[str, Any]:
    """Return a request; without items its input is a string."""
    return {"model": "m", "input": list(items) or "Tell me a story about a unicorn."} | fields


def user(*content: Any) -> dict[str, Any]:
    """Return a user message of parts."""
    return {"role": "user", "content": list(content)}


def text(words: str = "What is this?") -> dict[str, Any]:
    """Return a text part."""
    return {"type": "input_text", "text": words}


def image_part(url: str = PNG_URL, **more: Any) -> dict[str, Any]:
    """Return an image part."""
    return {"type": "input_image", "image_url": url} | more


def tool(schema: Any, **more: Any) -> dict[str, Any]:
    """Return a function tool."""
    return {"type": "function", "name": "get", "description": "Gets.", "parameters": schema, "strict": False} | more


def tool_turn(arguments: str, output: Any) -> dict[str, Any]:
    """Return an agent's conversation: a call and its output."""
    call = {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "call_1",
        "name": "get",
        "arguments": arguments,
        "status": "completed",
    }
    result = {"type": "function_call_output", "call_id": "call_1", "output": output}
    return create({"role": "user", "content": "Do it."}, call, result, tools=[tool(SCHEMAS["plain"])])


def output_message(words: str, **more: Any) -> dict[str, Any]:
    """Return the model's own message, as it is sent back."""
    part = {"type": "output_text", "text": words, "annotations": [], "logprobs": []} | more
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}


_HI = {"role": "user", "content": "Hi"}
_PLAIN = {
    "a string": create(),
    "a message": create(_HI),
    "a message with its type": create({"type": "message", "role": "user", "content": [text("Hi")]}),
    "developer": create({"role": "developer", "content": "Talk like a pirate."}, _HI),
    "system": create({"role": "system", "content": "Be brief."}, _HI),
    "instructions": create(_HI, instructions="You are a coding assistant that talks like a pirate."),
    "several turns": create(_HI, {"role": "assistant", "content": "Hello!"}, _HI),
    "output sent back": create(_HI, output_message("Hello!"), _HI),
    "phases": create(_HI, output_message("Hello!") | {"phase": "final_answer"}, _HI),
    "refusal sent back": create(
        _HI,
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "refusal", "refusal": "No."}],
        },
        _HI,
    ),
    "citations sent back": create(
        _HI,
        output_message(
            "Cats sleep.",
            annotations=[
                {
                    "type": "url_citation",
                    "url": "https://example.com/cats",
                    "title": "Cats",
                    "start_index": 0,
                    "end_index": 11,
                }
            ],
        ),
        _HI,
    ),
    "reasoning sent back": create(
        _HI,
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "Greeting."}],
            "encrypted_content": SIGNATURE,
        },
        output_message("Hello!"),
        _HI,
        include=["reasoning.encrypted_content"],
    ),
    "reasoning text sent back": create(
        _HI,
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": "Greeting."}],
        },
        output_message("Hello!"),
        _HI,
    ),
    "reasoning": create(reasoning={"effort": "low", "summary": "auto"}),
    "verbosity": create(text={"verbosity": "low"}),
    "plain text": create(text={"format": {"type": "text"}}),
    "JSON": create(text={"format": {"type": "json_object"}}),
    "sampling": create(temperature=0.3, top_p=0.8, max_output_tokens=500),
    "metadata": create(metadata={"run_id": "run_8f14e45f", "env": "prod"}),
    "user": create(user=USER_HASH, safety_identifier=USER_HASH, prompt_cache_key="tenant-17:v3"),
    "cache": create(prompt_cache_retention="24h", service_tier="auto"),
    "not stored": create(store=False, background=False, truncation="disabled", parallel_tool_calls=True),
    "nulls": create(
        instructions=None, previous_response_id=None, conversation=None, prompt=None, tools=[], metadata=None
    ),
    "stream": create(stream=True, stream_options={"include_obfuscation": False}),
    "tool choice": create(tools=[tool(SCHEMAS["plain"])], tool_choice={"type": "function", "name": "get"}),
    "allowed tools": create(
        tools=[tool(SCHEMAS["plain"])],
        tool_choice={"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "get"}]},
    ),
    "a URL": create("https://example.com/cat.png") | {"input": "https://example.com/cat.png"},
    "base64": create() | {"input": f"Decode this: {SIGNATURE}"},
    "long conversation": create(*[_HI] * 120),
}
_NATIVE = {
    "web search": create(
        tools=[{"type": "web_search", "filters": {"allowed_domains": ["example.com"]}, "search_context_size": "low"}]
    ),
    "file search": create(tools=[{"type": "file_search", "vector_store_ids": ["vs_123"], "max_num_results": 5}]),
    "code interpreter": create(tools=[{"type": "code_interpreter", "container": {"type": "auto"}}]),
    "custom tool": create(
        tools=[{"type": "custom", "name": "sql", "description": "Runs SQL.", "format": {"type": "text"}}]
    ),
    "MCP": create(
        tools=[
            {
                "type": "mcp",
                "server_label": "deepwiki",
                "server_url": "https://mcp.deepwiki.com/mcp",
                "require_approval": "never",
            }
        ]
    ),
    "MCP calls sent back": create(
        _HI,
        {
            "type": "mcp_call",
            "id": "mcp_1",
            "server_label": "deepwiki",
            "name": "ask",
            "arguments": '{"q": "x"}',
            "output": "See https://example.com.",
        },
        _HI,
    ),
    "web search sent back": create(
        _HI,
        {
            "type": "web_search_call",
            "id": "ws_1",
            "status": "completed",
            "action": {
                "type": "search",
                "query": "cats",
                "sources": [{"type": "url", "url": "https://example.com/cats"}],
            },
        },
        output_message("Cats sleep."),
        _HI,
    ),
    "opened page sent back": create(
        _HI,
        {
            "type": "web_search_call",
            "id": "ws_1",
            "status": "completed",
            "action": {"type": "open_page", "url": "https://example.com/cats"},
        },
        _HI,
    ),
    "code sent back": create(
        _HI,
        {
            "type": "code_interpreter_call",
            "id": "ci_1",
            "container_id": "cntr_1",
            "code": "print(1)",
            "status": "completed",
            "outputs": [{"type": "logs", "logs": "1"}],
        },
        _HI,
    ),
    "shell sent back": create(
        _HI,
        {
            "type": "local_shell_call",
            "id": "ls_1",
            "call_id": "call_1",
            "status": "completed",
            "action": {"type": "exec", "command": ["ls", "-la"], "env": {"A": "1"}},
        },
        {"type": "local_shell_call_output", "id": "call_1", "output": "total 0"},
    ),
    "compaction sent back": create(_HI, {"type": "compaction", "id": "cmp_1", "encrypted_content": SIGNATURE}, _HI),
    "custom call sent back": create(
        _HI,
        {"type": "custom_tool_call", "call_id": "call_1", "name": "sql", "input": "SELECT 1"},
        {"type": "custom_tool_call_output", "call_id": "call_1", "output": "1"},
    ),
}
_IMAGES = {
    "an image": create(user(text(), image_part())),
    "JPEG with detail": create(user(text(), image_part(JPEG_URL, detail="high"))),
    "detail without image first": create(user(image_part(detail="auto"), text())),
    "image in an output": tool_turn("{}", [text("The screenshot:"), image_part()]),
    "image of an earlier turn": create(user(text(), image_part()), output_message("A cat."), _HI),
    "file that is an image": create(user(text(), {"type": "input_file", "filename": "cat.png", "file_data": PNG_URL})),
    "PDF": create(user(text(), {"type": "input_file", "filename": "draft.pdf", "file_data": PDF_URL})),
    "PDF in an output": tool_turn("{}", [{"type": "input_file", "filename": "draft.pdf", "file_data": PDF_URL}]),
}
_NATIVE_IMAGES = {
    "screenshot": create(
        _HI,
        {
            "type": "computer_call",
            "id": "cu_1",
            "call_id": "call_1",
            "action": {"type": "screenshot"},
            "pending_safety_checks": [],
            "status": "completed",
        },
        {
            "type": "computer_call_output",
            "call_id": "call_1",
            "output": {"type": "computer_screenshot", "image_url": PNG_URL},
        },
    )
}
_CLIPS = {"sound": create(user(text(), {"type": "input_audio", "input_audio": {"data": WAVE, "format": "wav"}}))}


def requests() -> list[Ordinary]:
    """Return all of them."""
    return [
        *named("responses", _PLAIN),
        *named("responses", _NATIVE, native_only=True),
        *named("responses", _IMAGES, images=1),
        *named("responses", _NATIVE_IMAGES, native_only=True, images=1),
        *named("responses", _CLIPS),
        *each("responses", "tool", SCHEMAS, lambda schema: create(tools=[tool(schema)])),
        *each("responses", "answer", SCHEMAS, lambda schema: create(text={"format": _format(schema)})),
        *each("responses", "output", AGENT_TEXTS, lambda words: tool_turn('{"q": "x"}', words)),
        *each("responses", "output in parts", AGENT_TEXTS, lambda words: tool_turn("{}", [text(words or "-")])),
        *each("responses", "arguments", AGENT_TEXTS, lambda words: tool_turn(json.dumps({"content": words}), "done")),
    ]


def _format(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "name": "answer", "schema": schema, "strict": True}
