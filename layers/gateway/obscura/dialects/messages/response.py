"""A chat completion as a message (Anthropic's API reference, "Messages", response)."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from msgspec import UNSET, Raw, UnsetType

from obscura.dialects.chat.response import ChatMessage, ChatUsage, Choice, ToolCall, parse_completion
from obscura.errors import UpstreamError


class TextBlock(msgspec.Struct, tag_field="type", tag="text"):
    """The model's text; a chat completion cites nothing that Anthropic's citations could name."""

    text: str
    citations: tuple[()] = ()


class ThinkingBlock(msgspec.Struct, tag_field="type", tag="thinking"):
    """The model's thinking; only Anthropic signs thinking, so the signature is empty."""

    thinking: str
    signature: str = ""


class DirectCaller(msgspec.Struct, tag_field="type", tag="direct", frozen=True):
    """The caller of a tool that the model itself calls, and no code of a server."""


class ToolUseBlock(msgspec.Struct, tag_field="type", tag="tool_use"):
    """A tool call; ``input`` is a JSON object."""

    id: str
    name: str
    input: Raw
    caller: DirectCaller = DirectCaller()


type Block = TextBlock | ThinkingBlock | ToolUseBlock


class OutputDetails(msgspec.Struct):
    """The output tokens by their use."""

    thinking_tokens: int


# @anthropic-ai/sdk 1.14, resources/messages: what is nullable is required all the same (ADR 135).
class DeltaUsage(msgspec.Struct):
    """Tokens of ``message_delta``: the prompt's are the sum of the three input counts, ``image_tokens`` among them."""

    input_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int
    output_tokens: int
    output_tokens_details: OutputDetails | None
    image_tokens: int | UnsetType
    server_tool_use: None = None


class Usage(DeltaUsage):
    """Tokens of a message; where and how it was computed is Anthropic's to say, and null here."""

    cache_creation: None = None
    inference_geo: None = None
    service_tier: None = None
    speed: None = None


class Message(msgspec.Struct, kw_only=True):
    """A whole message, or its start in a stream; what only Anthropic's own servers have is null."""

    id: str
    type: str = "message"
    role: str = "assistant"
    model: str
    content: Sequence[Block]
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: None = None
    container: None = None
    diagnostics: None = None
    usage: Usage


_NO_USAGE = ChatUsage()


def usage_from_chat[U: DeltaUsage](form: type[U], chat_usage: ChatUsage | None, image_tokens: Sequence[int]) -> U:
    """Return the usage of a chat completion, zeros if it has none; cached tokens are counted apart."""
    usage = chat_usage or _NO_USAGE
    return form(
        input_tokens=max(0, usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens),
        cache_creation_input_tokens=usage.cache_write_tokens,
        cache_read_input_tokens=usage.cached_tokens,
        output_tokens=usage.output_tokens,
        output_tokens_details=OutputDetails(usage.reasoning_tokens) if usage.counts_reasoning else None,
        image_tokens=sum(image_tokens) if image_tokens else UNSET,
    )


def message_id(chat_id: str | None) -> str:
    """Return the message's id: the completion's under Anthropic's prefix, or a new one."""
    return f"msg_{(chat_id or '').removeprefix('chatcmpl-') or secrets.token_hex(12)}"


def tool_call_id(chat_id: str | None) -> str:
    """Return a tool call's id: the upstream's, which must come back with the result, or a new one."""
    return chat_id or f"toolu_{secrets.token_hex(12)}"


@dataclass(frozen=True, slots=True)
class Stop:
    """Why the model stopped; ``sequence`` only if the reason is stop_sequence."""

    reason: str
    sequence: str | None = None


def matched_sequence(choice: Choice, stop_sequences: Sequence[str]) -> str | None:
    """Return the stop sequence that a choice names; most upstreams do not name it."""
    for matched in (choice.stop_reason, choice.matched_stop):
        if isinstance(matched, str) and matched in stop_sequences:
            return matched
    return None


def stop_reason(finish_reason: str | None, has_tool_calls: bool, has_refusal: bool, sequence: str | None) -> Stop:
    """Return the stop reason; a matched ``sequence`` counts only if nothing else ended the message."""
    if finish_reason == "length":
        return Stop("max_tokens")
    if has_refusal or finish_reason == "content_filter":
        return Stop("refusal")
    if has_tool_calls:
        return Stop("tool_use")
    return Stop("stop_sequence", sequence) if sequence is not None else Stop("end_turn")


UNPARSED_INPUT = "_raw"
_object_decoder = msgspec.json.Decoder(dict[str, Raw])


def to_message(
    completion: bytes, model: str, stop_sequences: Sequence[str], thinking_shown: bool, image_tokens: Sequence[int]
) -> bytes:
    """Render a completion as a message: thinking, then text, then tool calls; raises UpstreamError if it is none."""
    chat, choice, chat_message = parse_completion(completion)
    stop = stop_reason(
        choice.finish_reason,
        bool(chat_message.tool_calls),
        bool(chat_message.refusal),
        matched_sequence(choice, stop_sequences),
    )
    message = Message(
        id=message_id(chat.id),
        model=model,
        content=_blocks(chat_message, thinking_shown),
        stop_reason=stop.reason,
        stop_sequence=stop.sequence,
        usage=usage_from_chat(Usage, chat.usage, image_tokens),
    )
    return msgspec.json.encode(message)


def unnamed_tool_call() -> UpstreamError:
    """Return the error for a tool call without the tool's name."""
    return UpstreamError("The upstream called a tool without naming it. Try again.")


def _blocks(message: ChatMessage, thinking_shown: bool) -> list[Block]:
    blocks: list[Block] = []
    if message.reasoning_text and thinking_shown:
        blocks.append(ThinkingBlock(message.reasoning_text))
    blocks += [TextBlock(text) for text in (message.content, message.refusal) if text]
    blocks += [_tool_use(call) for call in message.tool_calls or ()]
    return blocks


def _tool_use(call: ToolCall) -> ToolUseBlock:
    if call.function is None or not call.function.name:
        raise unnamed_tool_call()
    return ToolUseBlock(tool_call_id(call.id), call.function.name, _input(call.function.arguments or "{}"))


def _input(arguments: str) -> Raw:
    """Return arguments as they came if they are an object; otherwise (cut off, for instance) as text in an object."""
    text = arguments.strip() or "{}"
    try:
        _object_decoder.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return Raw(msgspec.json.encode({UNPARSED_INPUT: arguments}))
    return Raw(text.encode())
