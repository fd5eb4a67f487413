"""A chat completion told as a response."""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass

from obscura.errors import UpstreamError
from obscura.wire.chat_answer import Said, ToolCall, read_completion
from obscura.wire.dialect import StreamPassage
from obscura.wire.responses.from_chat.objects import (
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
from obscura.wire.responses.from_chat.passage import ResponsePassage


@dataclass(frozen=True, slots=True)
class TranslatedReply:
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

    def passage(self, image_tokens: Sequence[int]) -> StreamPassage:
        """Open the way for a stream of chunks."""
        return ResponsePassage(self.model, self.echo, image_tokens)


def _output(said: Said, number: str) -> list[OutputItem]:
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
