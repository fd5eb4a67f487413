"""The events of a response stream (API reference, "Streaming events") and the writer that numbers them."""

from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct

from obscura.dialects.errors import openai_error
from obscura.dialects.responses.objects import Logprob, OutputItem, Part
from obscura.dialects.sse import format_event
from obscura.errors import ObscuraError


class _ErrorBody(msgspec.Struct):
    error: Raw


class _ErrorEvent(msgspec.Struct, tag="error", tag_field="type"):
    """``error`` repeats the fields as an error body has them: OpenAI's SDKs raise it as an APIError."""

    code: str
    message: str
    param: str | None
    sequence_number: int
    error: Raw


def error_event(error: ObscuraError, sequence_number: int) -> bytes:
    """Write an error as the event that ends a stream."""
    body = msgspec.json.decode(openai_error(error), type=_ErrorBody)
    event = _ErrorEvent(error.response_code, error.message, error.param, sequence_number, body.error)
    return format_event(msgspec.json.encode(event), "error")


class Event(Struct, kw_only=True, tag_field="type"):
    """The field that every event has; the writer sets the number."""

    sequence_number: int = 0


class Lifecycle(Event):
    """An event that carries the response in its current state."""

    response: Raw


class Created(Lifecycle, tag="response.created"):
    """The first event."""


class InProgress(Lifecycle, tag="response.in_progress"):
    """The second event."""


class Completed(Lifecycle, tag="response.completed"):
    """The last event of a complete response."""


class Incomplete(Lifecycle, tag="response.incomplete"):
    """The last event of a response that was cut off."""


class Failed(Lifecycle, tag="response.failed"):
    """The last event of a failed response, before the error event."""


class ItemAdded(Event, tag="response.output_item.added"):
    """An item begins."""

    output_index: int
    item: OutputItem


class ItemDone(Event, tag="response.output_item.done"):
    """An item is complete."""

    output_index: int
    item: OutputItem


class InItem(Event):
    """An event of one item."""

    item_id: str
    output_index: int


class InPart(InItem):
    """An event of one content part."""

    content_index: int


class PartAdded(InPart, tag="response.content_part.added"):
    """A part begins."""

    part: Part


class PartDone(InPart, tag="response.content_part.done"):
    """A part is complete."""

    part: Part


class TextDelta(InPart, tag="response.output_text.delta"):
    """A delta of text."""

    delta: str
    logprobs: Sequence[Logprob] = ()


class TextDone(InPart, tag="response.output_text.done"):
    """The complete text of a part."""

    text: str
    logprobs: Sequence[Logprob] = ()


class RefusalDelta(InPart, tag="response.refusal.delta"):
    """A delta of a refusal."""

    delta: str


class RefusalDone(InPart, tag="response.refusal.done"):
    """The complete refusal."""

    refusal: str


class ReasoningDelta(InPart, tag="response.reasoning_text.delta"):
    """A delta of reasoning."""

    delta: str


class ReasoningDone(InPart, tag="response.reasoning_text.done"):
    """The complete reasoning of a part."""

    text: str


class ArgumentsDelta(InItem, tag="response.function_call_arguments.delta"):
    """A delta of a call's arguments."""

    delta: str


class ArgumentsDone(InItem, tag="response.function_call_arguments.done"):
    """The complete arguments of a call."""

    arguments: str
    name: str


class CustomInputDelta(InItem, tag="response.custom_tool_call_input.delta"):
    """A delta of a custom tool's input."""

    delta: str


class CustomInputDone(InItem, tag="response.custom_tool_call_input.done"):
    """The complete input of a custom tool."""

    input: str


STREAM_END = b"data: [DONE]\n\n"
"""What ends a stream in Open Responses (specification, "Streaming"); OpenAI's SDKs stop at it as well."""


class EventWriter:
    """Numbers events from 0 and keeps them until ``drain``, so that a failure in between loses none.

    An event is encoded when it is written, because its items keep growing.
    """

    def __init__(self) -> None:
        self.next_number = 0
        self._written: list[bytes] = []

    def write(self, *events: Event) -> None:
        """Write events in their order."""
        for event in events:
            event.sequence_number = self.next_number
            self.next_number += 1
            name = str(event.__struct_config__.tag)
            self._written.append(format_event(msgspec.json.encode(event), name))

    def end(self) -> None:
        """Write the end of the stream."""
        self._written.append(STREAM_END)

    def drain(self) -> bytes:
        """Return the events written since the last call."""
        written, self._written = self._written, []
        return b"".join(written)
