"""A whole chat completion as a message."""

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from obscura.errors import UpstreamError
from obscura.wire.chat_answer import Said, ToolCall, read_completion
from obscura.wire.messages.shapes import (
    Block,
    Message,
    TextBlock,
    ThinkingBlock,
    ToolUseBlock,
    call_id,
    message_id,
    usage_of,
)
from obscura.wire.messages.stopping import matched_sequence, stop_of

UNPARSED = "_raw"
_object = msgspec.json.Decoder(dict[str, Raw])


def message_of(
    completion: bytes, model: str, stop_sequences: Sequence[str], thinking_shown: bool, image_tokens: Sequence[int]
) -> bytes:
    """Write a completion as a message: thinking, then text, then tool calls; raises UpstreamError when it is none."""
    answer, choice, said = read_completion(completion)
    stop = stop_of(
        choice.finish_reason, bool(said.tool_calls), bool(said.refusal), matched_sequence(choice, stop_sequences)
    )
    message = Message(
        id=message_id(answer.id),
        model=model,
        content=_blocks(said, thinking_shown),
        stop_reason=stop.reason,
        stop_sequence=stop.sequence,
        usage=usage_of(answer.usage, image_tokens),
    )
    return msgspec.json.encode(message)


def nameless_call() -> UpstreamError:
    """Make the error for a tool call that says no tool."""
    return UpstreamError("The upstream called a tool without naming it. Try again.")


def _blocks(said: Said, thinking_shown: bool) -> list[Block]:
    blocks: list[Block] = []
    thought = said.reasoning_content or said.reasoning
    if thought and thinking_shown:
        blocks.append(ThinkingBlock(thought))
    blocks += [TextBlock(text) for text in (said.content, said.refusal) if text]
    blocks += [_tool_use(call) for call in said.tool_calls or ()]
    return blocks


def _tool_use(call: ToolCall) -> ToolUseBlock:
    if call.function is None or not call.function.name:
        raise nameless_call()
    return ToolUseBlock(call_id(call.id), call.function.name, _input(call.function.arguments or "{}"))


def _input(arguments: str) -> Raw:
    """Give arguments as they came when they are an object; else, as a cut-off answer's may be, as text in one."""
    text = arguments.strip() or "{}"
    try:
        _object.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return Raw(msgspec.json.encode({UNPARSED: arguments}))
    return Raw(text.encode())
