"""What a response repeats of its request: every other field that the API's own schema has, null where unset."""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import Raw

from obscura.dialects.base import StreamTranslator
from obscura.dialects.chat.response import ChatMessage, ToolCall, read_completion
from obscura.dialects.json.raw import Node, RawJson, RawObject, is_null, open_object
from obscura.dialects.responses.from_chat.objects import (
    FunctionCallItem,
    MessageItem,
    OutputItem,
    OutputText,
    Part,
    ReasoningItem,
    ReasoningText,
    Refusal,
    ResponseHead,
    incomplete_details,
    response,
    response_usage,
)
from obscura.dialects.responses.from_chat.stream import ResponsesStream
from obscura.dialects.responses.to_chat.tools import Tools
from obscura.errors import UpstreamError

_NULL = Raw(b"null")
_AS_SENT = (
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "temperature",
    "top_p",
    "user",
)
_NEVER_SET = (
    "access_programs",
    "conversation",
    "image",
    "input_transformations",
    "moderation",
    "previous_response_id",
    "prompt",
    "prompt_cache_diagnostics",
    "prompt_cache_options",
    "tool_usage",
    "top_logprobs",
)


def request_echo(body: RawJson, tools: Tools) -> bytes:
    """Write the members of a response that its request decides, as JSON without the braces around them.

    Values are the caller's own bytes (API reference, "The response object").
    """
    root = body.root
    echo: RawObject = dict.fromkeys(_NEVER_SET, _NULL)
    echo |= {key: _sent(root, key) for key in _AS_SENT}
    echo |= {
        "background": Raw(b"false"),
        "metadata": _sent(root, "metadata", Raw(b"{}")),
        "parallel_tool_calls": _sent(root, "parallel_tool_calls", Raw(b"true")),
        "reasoning": _chosen(root, "reasoning", effort=_NULL, summary=_NULL),
        "store": Raw(b"false"),
        "text": _chosen(root, "text", format=Raw(b'{"type":"text"}'), verbosity=_NULL),
        "tool_choice": _sent(root, "tool_choice", Raw(b'"auto"')),
        "tools": tools.echo(),
        "truncation": Raw(b'"disabled"'),
    }
    return body.render(echo)[1:-1]


def _sent(root: RawObject, key: str, default: Node = _NULL) -> Node:
    leaf = root.get(key)
    return default if leaf is None or is_null(leaf) else leaf


def _chosen(root: RawObject, key: str, **defaults: Node) -> RawObject:
    leaf = root.get(key)
    sent = {} if leaf is None or is_null(leaf) else open_object(leaf, key)
    return {name: _sent(sent, name, default) for name, default in defaults.items()}


@dataclass(frozen=True, slots=True)
class ResponsesTranslator:
    """How a chat upstream's answer is told; ``echo`` are the members of the response that repeat the request."""

    model: str
    echo: bytes

    def answer(self, upstream_body: bytes, image_tokens: Sequence[int]) -> bytes:
        """Write a whole completion as a response; raises UpstreamError when it is none."""
        completion, choice, said = read_completion(upstream_body)
        number = secrets.token_hex(24)
        incomplete = incomplete_details(choice.finish_reason)
        output = _output(said, number)
        if incomplete and output:
            output[-1].status = "incomplete"
        now = int(time.time())
        head = ResponseHead(
            id=f"resp_{number}",
            created_at=completion.created_at or now,
            model=completion.model or self.model,
            status="incomplete" if incomplete else "completed",
            output=output,
            completed_at=None if incomplete else now,
            incomplete_details=incomplete,
            usage=response_usage(completion.usage, image_tokens),
        )
        return bytes(response(head, self.echo))

    def stream(self, image_tokens: Sequence[int]) -> StreamTranslator:
        """Open the way for a stream of chunks."""
        return ResponsesStream(self.model, self.echo, image_tokens)


def _output(said: ChatMessage, number: str) -> list[OutputItem]:
    output: list[OutputItem] = []
    if reasoning := said.reasoning_content or said.reasoning:
        output.append(ReasoningItem(f"rs_{number}", "completed", [ReasoningText(reasoning)]))
    content: list[Part] = []
    if said.content:
        content.append(OutputText(said.content))
    if said.refusal:
        content.append(Refusal(said.refusal))
    if content:
        output.append(MessageItem(f"msg_{number}", "completed", content))
    output += [_call(call, f"{number}{index:02}") for index, call in enumerate(said.tool_calls or ())]
    return output


def _call(call: ToolCall, number: str) -> FunctionCallItem:
    if call.function is None or not call.function.name:
        raise UpstreamError("The upstream's answer has a tool call without a name. Try again.")
    call_id = call.id or f"call_{number}"
    return FunctionCallItem(f"fc_{number}", call_id, call.function.name, call.function.arguments or "", "completed")
