"""Ordinary Messages: Anthropic's examples, agents, prompt caching, thinking sent back, citations."""

from typing import Any

from tests.security.shapes.ordinary import (
    AGENT_TEXTS,
    JPEG,
    PDF,
    PNG,
    SCHEMAS,
    SIGNATURE,
    USER_HASH,
    Ordinary,
    each,
    named,
)

EPHEMERAL: dict[str, Any] = {"cache_control": {"type": "ephemeral"}}


def ask(*messages: Any, **fields: Any) -> dict[str, Any]:
    """Return a request; strings are the user's and the assistant's turns, the last one the user's."""
    turns = messages or ("Hello, Claude",)
    made = [
        {"role": "user" if index % 2 == 0 else "assistant", "content": turn} if not isinstance(turn, dict) else turn
        for index, turn in enumerate(turns)
    ]
    return {"model": "m", "max_tokens": 1024, "messages": made} | fields


def text(words: str = "What is this?", **more: Any) -> dict[str, Any]:
    """Return a text block."""
    return {"type": "text", "text": words} | more


def image_block(data: str = PNG, media_type: str = "image/png", **more: Any) -> dict[str, Any]:
    """Return an image block."""
    return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}} | more


def tool(schema: Any, **more: Any) -> dict[str, Any]:
    """Return a tool of the caller's."""
    return {"name": "get", "description": "Gets.", "input_schema": schema} | more


def tool_turn(arguments: Any, content: Any, **more: Any) -> dict[str, Any]:
    """Return an agent's conversation: a call and its result."""
    call = {"type": "tool_use", "id": "toolu_1", "name": "get", "input": arguments}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": content} | more
    return ask("Do it.", [text("I will."), call], [result], tools=[tool(SCHEMAS["plain"])])


def document(source: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a question about a document."""
    return ask([{"type": "document", "source": source} | more, text()])


_PLAIN = {
    "one question": ask(),
    "blocks": ask([text("Hello"), text("there")]),
    "several turns": ask("Hello", "Hi! How can I help?", "Explain LLMs."),
    "system": ask(system="You are terse."),
    "system blocks": ask(system=[text("You are terse."), text("A long book. " * 500, **EPHEMERAL)]),
    "caching": ask([text("A long book. " * 500, **EPHEMERAL), text()], cache_control={"type": "ephemeral"}),
    "caching for an hour": ask([text("A book.", cache_control={"type": "ephemeral", "ttl": "1h"}), text()]),
    "cached tools": ask(tools=[tool(SCHEMAS["plain"], **EPHEMERAL)]),
    "sampling": ask(temperature=0.5, top_p=0.9, top_k=40),
    "stop sequences": ask(stop_sequences=["\n\nHuman:", "</answer>"]),
    "user id": ask(metadata={"user_id": USER_HASH}),
    "stream": ask(stream=True),
    "service tier": ask(service_tier="auto"),
    "thinking": ask(thinking={"type": "enabled", "budget_tokens": 2048}, max_tokens=4096),
    "adaptive thinking": ask(thinking={"type": "adaptive"}, output_config={"effort": "medium"}),
    "thinking sent back": ask(
        "Hi", [{"type": "thinking", "thinking": "The user greets.", "signature": SIGNATURE}, text("Hello!")], "Go on."
    ),
    "redacted thinking sent back": ask(
        "Hi", [{"type": "redacted_thinking", "data": SIGNATURE}, text("Hello!")], "Go on."
    ),
    "tool choice": ask(tools=[tool(SCHEMAS["plain"])], tool_choice={"type": "tool", "name": "get"}),
    "any tool": ask(tools=[tool(SCHEMAS["plain"])], tool_choice={"type": "any", "disable_parallel_tool_use": True}),
    "custom type": ask(tools=[tool(SCHEMAS["plain"], type="custom")]),
    "structured answer": ask(output_config={"format": {"type": "json_schema", "schema": SCHEMAS["pydantic"]}}),
    "tool error": tool_turn({}, "ConnectionError: https://example.com timed out", is_error=True),
    "tool result without content": tool_turn({}, []),
    "a URL in the question": ask("Summarise https://example.com/cat.png please."),
    "base64 in the question": ask(f"Decode this: {SIGNATURE}"),
    "long conversation": ask(*["Hello there."] * 121),
}
_NATIVE = {
    "prefill": ask("Is it a cat?", "The answer is ("),
    "web search": ask(
        tools=[{"type": "web_search_20250305", "name": "web_search", "max_uses": 5, "allowed_domains": ["example.com"]}]
    ),
    "web fetch": ask(tools=[{"type": "web_fetch_20250910", "name": "web_fetch", "max_uses": 5}]),
    "code execution": ask(tools=[{"type": "code_execution_20250825", "name": "code_execution"}]),
    "bash and editor": ask(
        tools=[
            {"type": "bash_20250124", "name": "bash"},
            {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"},
        ]
    ),
    "computer": ask(
        tools=[{"type": "computer_20250124", "name": "computer", "display_width_px": 1024, "display_height_px": 768}]
    ),
    "memory": ask(tools=[{"type": "memory_20250818", "name": "memory"}]),
    "input examples": ask(tools=[tool(SCHEMAS["plain"], input_examples=[{"city": "Paris"}])]),
    "search results": ask(
        [
            {
                "type": "search_result",
                "source": "https://docs.example.com/guide",
                "title": "Guide",
                "content": [text("Settings are in the menu.")],
                "citations": {"enabled": True},
            },
            text(),
        ]
    ),
    "search results of a tool": tool_turn(
        {}, [{"type": "search_result", "source": "https://example.com", "title": "T", "content": [text("Yes.")]}]
    ),
    "web search sent back": ask(
        "Search.",
        [
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "cats"}},
            {
                "type": "web_search_tool_result",
                "tool_use_id": "srvtoolu_1",
                "content": [
                    {
                        "type": "web_search_result",
                        "url": "https://example.com/cats",
                        "title": "Cats",
                        "encrypted_content": SIGNATURE,
                        "page_age": "April 30, 2026",
                    }
                ],
            },
            text(
                "Cats sleep.",
                citations=[
                    {
                        "type": "web_search_result_location",
                        "url": "https://example.com/cats",
                        "title": "Cats",
                        "encrypted_index": SIGNATURE,
                        "cited_text": "Cats sleep for 15 hours.",
                    }
                ],
            ),
        ],
        "Go on.",
    ),
    "citations sent back": ask(
        [
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "Grass is green."},
                "citations": {"enabled": True},
            }
        ],
        [
            text(
                "Green.",
                citations=[
                    {
                        "type": "char_location",
                        "cited_text": "Grass is green.",
                        "document_index": 0,
                        "document_title": None,
                        "start_char_index": 0,
                        "end_char_index": 15,
                    }
                ],
            )
        ],
        "Why?",
    ),
    "text document with citations": document(
        {"type": "text", "media_type": "text/plain", "data": "The grass is green."}, citations={"enabled": True}
    ),
    "context management": ask(context_management={"edits": [{"type": "clear_tool_uses_20250919"}]}),
}
_DOCUMENTS = {
    "text document": document({"type": "text", "media_type": "text/plain", "data": "The grass is green."}),
    "text document with title": document(
        {"type": "text", "media_type": "text/plain", "data": "The grass is green."},
        title="Grass",
        context="A memo.",
        **EPHEMERAL,
    ),
    "content document": document(
        {"type": "content", "content": [text("The grass is green."), text("The sky is blue.")]}
    ),
    "content document as a string": document({"type": "content", "content": "The grass is green."}),
}
_IMAGES = {
    "an image": ask([image_block(), text()]),
    "JPEG": ask([image_block(JPEG, "image/jpeg"), text()]),
    "two images": ask([text("Image 1:"), image_block(), text("Image 2:"), image_block(JPEG, "image/jpeg"), text()]),
    "cached image": ask([image_block(**EPHEMERAL), text()]),
    "image of an earlier turn": ask([image_block(), text()], "A cat.", "What colour?"),
    "image in a tool result": tool_turn({"action": "screenshot"}, [image_block()]),
    "image and text in a tool result": tool_turn({}, [text("The screenshot:"), image_block(JPEG, "image/jpeg")]),
    "PDF": document({"type": "base64", "media_type": "application/pdf", "data": PDF}),
    "PDF with title": document(
        {"type": "base64", "media_type": "application/pdf", "data": PDF}, title="Draft", **EPHEMERAL
    ),
}
_NATIVE_IMAGES = {
    "image in a content document": document({"type": "content", "content": [text(), image_block()]}),
    "PDF in a tool result": tool_turn(
        {}, [{"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}}]
    ),
}


def requests() -> list[Ordinary]:
    """Return all of them."""
    return [
        *named("messages", _PLAIN),
        *named("messages", _NATIVE, native_only=True),
        *named("messages", _DOCUMENTS),
        *named("messages", _IMAGES, images=1),
        *named("messages", _NATIVE_IMAGES, native_only=True, images=1),
        *each("messages", "tool", SCHEMAS, lambda schema: ask(tools=[tool(schema)])),
        *each("messages", "tool result", AGENT_TEXTS, lambda words: tool_turn({"q": "x"}, words)),
        *each("messages", "tool result in blocks", AGENT_TEXTS, lambda words: tool_turn({}, [text(words or "-")])),
        *each(
            "messages", "arguments", AGENT_TEXTS, lambda words: tool_turn({"content": words, "more": [words]}, "done")
        ),
    ]
