"""What Messages answers are made of (Anthropic's API reference, "Messages", response)."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from msgspec import Raw

from obscura.dialects.chat import response as chat_answer
from obscura.dialects.chat.response import ChatMessage, Choice, ToolCall, read_completion
from obscura.errors import UpstreamError


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


def usage_from_chat(told: chat_answer.Usage | None, image_tokens: Sequence[int]) -> Usage:
    """Return the usage of a chat answer, zeros where the upstream told none; cached tokens are counted apart."""
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
    """Return the message's id: the completion's under Anthropic's prefix, or a new one."""
    return f"msg_{(chat_id or '').removeprefix('chatcmpl-') or secrets.token_hex(12)}"


def call_id(chat_id: str | None) -> str:
    """Return a tool call's id: the upstream's, which must come back with the result, or a new one."""
    return chat_id or f"toolu_{secrets.token_hex(12)}"


@dataclass(frozen=True, slots=True)
class Stop:
    """``sequence`` only where the reason is stop_sequence."""

    reason: str
    sequence: str | None = None


def matched_sequence(choice: Choice, stop_sequences: Sequence[str]) -> str | None:
    """Return the stop sequence that a choice says it met; most upstreams do not tell, and the answer just ended."""
    for told in (choice.stop_reason, choice.matched_stop):
        if isinstance(told, str) and told in stop_sequences:
            return told
    return None


def stop_reason(finish_reason: str | None, called: bool, refused: bool, sequence: str | None) -> Stop:
    """Return the stop reason: ``called`` when there are tool calls, ``refused`` when there is a refusal's text."""
    if finish_reason == "length":
        return Stop("max_tokens")
    if refused or finish_reason == "content_filter":
        return Stop("refusal")
    if called:
        return Stop("tool_use")
    return Stop("stop_sequence", sequence) if sequence is not None else Stop("end_turn")


UNPARSED_INPUT = "_raw"
_object = msgspec.json.Decoder(dict[str, Raw])


def to_message(
    completion: bytes, model: str, stop_sequences: Sequence[str], thinking_shown: bool, image_tokens: Sequence[int]
) -> bytes:
    """Write a completion as a message: thinking, then text, then tool calls; raises UpstreamError when it is none."""
    answer, choice, said = read_completion(completion)
    stop = stop_reason(
        choice.finish_reason, bool(said.tool_calls), bool(said.refusal), matched_sequence(choice, stop_sequences)
    )
    message = Message(
        id=message_id(answer.id),
        model=model,
        content=_blocks(said, thinking_shown),
        stop_reason=stop.reason,
        stop_sequence=stop.sequence,
        usage=usage_from_chat(answer.usage, image_tokens),
    )
    return msgspec.json.encode(message)


def unnamed_tool_call() -> UpstreamError:
    """Make the error for a tool call that says no tool."""
    return UpstreamError("The upstream called a tool without naming it. Try again.")


def _blocks(said: ChatMessage, thinking_shown: bool) -> list[Block]:
    blocks: list[Block] = []
    thought = said.reasoning_content or said.reasoning
    if thought and thinking_shown:
        blocks.append(ThinkingBlock(thought))
    blocks += [TextBlock(text) for text in (said.content, said.refusal) if text]
    blocks += [_tool_use(call) for call in said.tool_calls or ()]
    return blocks


def _tool_use(call: ToolCall) -> ToolUseBlock:
    if call.function is None or not call.function.name:
        raise unnamed_tool_call()
    return ToolUseBlock(call_id(call.id), call.function.name, _input(call.function.arguments or "{}"))


def _input(arguments: str) -> Raw:
    """Return arguments as they came when they are an object; else, as a cut-off answer's may be, as text in one."""
    text = arguments.strip() or "{}"
    try:
        _object.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return Raw(msgspec.json.encode({UNPARSED_INPUT: arguments}))
    return Raw(text.encode())
