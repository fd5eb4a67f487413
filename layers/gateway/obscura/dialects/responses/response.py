"""A chat completion as a response, and the fields of the response that repeat its request."""

import secrets
import time
from collections.abc import Sequence

from msgspec import Raw

from obscura.dialects.chat.response import ChatMessage, Choice, ToolCall, parse_completion
from obscura.dialects.json.raw import FALSE, NULL, TRUE, Node, RawJson, RawObject, is_null, open_object
from obscura.dialects.responses.called_tools import CalledTools, call_item, finish_call, tool_of
from obscura.dialects.responses.objects import (
    CustomToolCallItem,
    MessageItem,
    OutputItem,
    OutputText,
    Part,
    ReasoningItem,
    ReasoningText,
    Refusal,
    ResponseHead,
    ToolCallItem,
    encode_response,
    incomplete_details,
    logprobs_from_chat,
    usage_from_chat,
)
from obscura.dialects.responses.to_chat.tools import Tools

_REPEATED: RawObject = {
    **dict.fromkeys(
        (
            *("instructions", "max_output_tokens", "max_tool_calls"),
            *("prompt_cache_key", "prompt_cache_retention", "safety_identifier"),
        ),
        NULL,
    ),
    **dict.fromkeys(("frequency_penalty", "presence_penalty"), Raw(b"0.0")),
    **dict.fromkeys(("temperature", "top_p"), Raw(b"1.0")),
    "service_tier": Raw(b'"default"'),
    "top_logprobs": Raw(b"0"),
}
"""The fields that are repeated, and what the API shows where the request has none of them."""
_ALWAYS_NULL = (
    "access_programs",
    "conversation",
    "image",
    "input_transformations",
    "moderation",
    "previous_response_id",
    "prompt",
    "prompt_cache_diagnostics",
    "tool_usage",
)


def request_echo(body: RawJson, tools: Tools) -> bytes:
    """Write the fields of a response that its request decides, as JSON without the braces around them.

    They are all that the API's schema has beside ``ResponseHead``, and what the API shows if they are unset; values
    are the request's own bytes (API reference, "The response object"; Open Responses, "The response object").
    """
    root = body.root
    echo: RawObject = dict.fromkeys(_ALWAYS_NULL, NULL)
    echo |= {key: _value_or(root, key, default) for key, default in _REPEATED.items()}
    echo |= {"user": root["user"]} if not is_null(root.get("user")) else {}
    echo |= {
        "background": FALSE,
        "metadata": _value_or(root, "metadata", Raw(b"{}")),
        "parallel_tool_calls": _value_or(root, "parallel_tool_calls", TRUE),
        "reasoning": _object_of(root, "reasoning", effort=NULL, summary=NULL),
        "store": FALSE,
        "text": _object_of(root, "text", format=Raw(b'{"type":"text"}'), verbosity=Raw(b'"medium"')),
        "tool_choice": _value_or(root, "tool_choice", Raw(b'"auto"')),
        "tools": tools.echo(),
        "truncation": Raw(b'"disabled"'),
    }
    return body.render(echo)[1:-1]


def _value_or(root: RawObject, key: str, default: Node = NULL) -> Node:
    leaf = root.get(key)
    return default if leaf is None or is_null(leaf) else leaf


def _object_of(root: RawObject, key: str, **defaults: Node) -> RawObject:
    leaf = root.get(key)
    fields = {} if leaf is None or is_null(leaf) else open_object(leaf, key)
    return {name: _value_or(fields, name, default) for name, default in defaults.items()}


def to_response(
    completion_body: bytes, model: str, echo: bytes, called: CalledTools, image_tokens: Sequence[int]
) -> bytes:
    """Write a completion as a response: reasoning, then the message, then calls to tools, as ``called`` names them.

    ``model`` is the requested one, named if the upstream names none. Raises UpstreamError if the body is no completion.
    """
    completion, choice, message = parse_completion(completion_body)
    unique_id = secrets.token_hex(24)
    incomplete = incomplete_details(choice.finish_reason)
    output = _output(choice, message, unique_id, called)
    if incomplete and output and not isinstance(output[-1], CustomToolCallItem):
        output[-1].status = "incomplete"
    now = int(time.time())
    head = ResponseHead(
        id=f"resp_{unique_id}",
        created_at=completion.created_at or now,
        model=completion.model or model,
        status="incomplete" if incomplete else "completed",
        output=output,
        completed_at=None if incomplete else now,
        incomplete_details=incomplete,
        usage=usage_from_chat(completion.usage, image_tokens),
    )
    return bytes(encode_response(head, echo))


def _output(choice: Choice, message: ChatMessage, unique_id: str, called: CalledTools) -> list[OutputItem]:
    output: list[OutputItem] = []
    if reasoning := message.reasoning_text:
        output.append(ReasoningItem(f"rs_{unique_id}", "completed", [ReasoningText(reasoning)]))
    content: list[Part] = []
    if message.content:
        content.append(OutputText(message.content, logprobs=logprobs_from_chat(choice.logprobs)))
    if message.refusal:
        content.append(Refusal(message.refusal))
    if content:
        output.append(MessageItem(f"msg_{unique_id}", "completed", content))
    output += [
        _tool_call(call, f"{unique_id}{index:02}", called) for index, call in enumerate(message.tool_calls or ())
    ]
    return output


def _tool_call(call: ToolCall, unique_id: str, called: CalledTools) -> ToolCallItem:
    item = call_item(tool_of(call, called), unique_id, call.id)
    finish_call(item, call.arguments, "completed", as_function=call.function is not None)
    return item
