"""What Messages answers are made of (Anthropic's API reference, "Messages", response)."""

import secrets
from collections.abc import Sequence

import msgspec
from msgspec import Raw

from obscura.wire import chat_answer


class TextBlock(msgspec.Struct, tag_field="type", tag="text"):
    """What the model says."""

    text: str


class ThinkingBlock(msgspec.Struct, tag_field="type", tag="thinking"):
    """What the model thinks; only Anthropic signs thinking, so the signature is empty."""

    thinking: str
    signature: str = ""


class ToolUseBlock(msgspec.Struct, tag_field="type", tag="tool_use"):
    """A tool call; ``input`` is a JSON object."""

    id: str
    name: str
    input: Raw


type Block = TextBlock | ThinkingBlock | ToolUseBlock


class OutputDetails(msgspec.Struct):
    """What the output tokens went into."""

    thinking_tokens: int


class Usage(msgspec.Struct, omit_defaults=True):
    """Tokens: the prompt's are the sum of the three input counts; ``image_tokens`` are among them."""

    input_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int
    output_tokens: int
    output_tokens_details: OutputDetails | None = None
    image_tokens: int | None = None


class Message(msgspec.Struct, kw_only=True):
    """The answer, or its beginning in a stream."""

    id: str
    type: str = "message"
    role: str = "assistant"
    model: str
    content: Sequence[Block]
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: Usage


def usage_of(told: chat_answer.Usage | None, image_tokens: Sequence[int]) -> Usage:
    """Give the usage of a chat answer, zeros where the upstream told none; cached tokens are counted apart."""
    usage = told or chat_answer.Usage()
    return Usage(
        input_tokens=max(0, usage.input_tokens - usage.cached_tokens),
        cache_creation_input_tokens=0,
        cache_read_input_tokens=usage.cached_tokens,
        output_tokens=usage.output_tokens,
        output_tokens_details=OutputDetails(usage.reasoning_tokens) if usage.reasoning_told else None,
        image_tokens=sum(image_tokens) if image_tokens else None,
    )


def message_id(chat_id: str | None) -> str:
    """Give the message's id: the completion's under Anthropic's prefix, or a new one."""
    return f"msg_{(chat_id or '').removeprefix('chatcmpl-') or secrets.token_hex(12)}"


def call_id(chat_id: str | None) -> str:
    """Give a tool call's id: the upstream's, which must come back with the result, or a new one."""
    return chat_id or f"toolu_{secrets.token_hex(12)}"
