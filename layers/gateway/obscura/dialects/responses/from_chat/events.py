"""Events as they are framed, and the ``error`` event (API reference, "Streaming events")."""

import msgspec
from msgspec import Raw, Struct

from obscura.dialects.errors import openai_error
from obscura.dialects.responses.from_chat.objects import OutputItem, Part
from obscura.errors import ObscuraError


class _Shape(msgspec.Struct):
    error: Raw


class _ErrorEvent(msgspec.Struct, tag="error", tag_field="type"):
    """``error`` repeats the facts in the shape of an error body: it is what OpenAI's SDKs raise as an APIError."""

    code: str
    message: str
    param: str | None
    sequence_number: int
    error: Raw


def named_event(name: bytes, data: bytes) -> bytes:
    """Frame one event (WHATWG HTML §9.2.6); ``data`` is on one line."""
    return b"event: %b\ndata: %b\n\n" % (name, data)


def error_event(error: ObscuraError, sequence_number: int) -> bytes:
    """Write an error as the event that ends a stream."""
    shape = msgspec.json.decode(openai_error(error), type=_Shape)
    event = _ErrorEvent(error.code, error.message, error.param, sequence_number, shape.error)
    return named_event(b"error", msgspec.json.encode(event))


class Event(Struct, kw_only=True, tag_field="type"):
    """What every event has; the number is set when it is written."""

    sequence_number: int = 0


class Lifecycle(Event):
    """An event that carries the response as it stands."""

    response: Raw


class Created(Lifecycle, tag="response.created"):
    """The first event."""


class InProgress(Lifecycle, tag="response.in_progress"):
    """The second event."""


class Completed(Lifecycle, tag="response.completed"):
    """The last event of an answer that is whole."""


class Incomplete(Lifecycle, tag="response.incomplete"):
    """The last event of an answer that was cut off."""


class Failed(Lifecycle, tag="response.failed"):
    """The last event of an answer but for the error itself."""


class ItemAdded(Event, tag="response.output_item.added"):
    """An item begins."""

    output_index: int
    item: OutputItem


class ItemDone(Event, tag="response.output_item.done"):
    """An item is whole."""

    output_index: int
    item: OutputItem


class InItem(Event):
    """Something about one item."""

    item_id: str
    output_index: int


class InPart(InItem):
    """Something about one content part."""

    content_index: int


class PartAdded(InPart, tag="response.content_part.added"):
    """A part begins."""

    part: Part


class PartDone(InPart, tag="response.content_part.done"):
    """A part is whole."""

    part: Part


class TextDelta(InPart, tag="response.output_text.delta"):
    """A piece of text."""

    delta: str
    logprobs: tuple[()] = ()


class TextDone(InPart, tag="response.output_text.done"):
    """A part's whole text."""

    text: str
    logprobs: tuple[()] = ()


class RefusalDelta(InPart, tag="response.refusal.delta"):
    """A piece of a refusal."""

    delta: str


class RefusalDone(InPart, tag="response.refusal.done"):
    """A part's whole refusal."""

    refusal: str


class ReasoningDelta(InPart, tag="response.reasoning_text.delta"):
    """A piece of reasoning."""

    delta: str


class ReasoningDone(InPart, tag="response.reasoning_text.done"):
    """A part's whole reasoning."""

    text: str


class ArgumentsDelta(InItem, tag="response.function_call_arguments.delta"):
    """A piece of a call's arguments."""

    delta: str


class ArgumentsDone(InItem, tag="response.function_call_arguments.done"):
    """A call's whole arguments."""

    arguments: str


class EventWriter:
    """Numbers events from 0; what is written waits until it is taken, so a failure loses none.

    An event is encoded when it is written, because the items in it go on growing.
    """

    def __init__(self) -> None:
        self.next_number = 0
        self._waiting: list[bytes] = []

    def write(self, *events: Event) -> None:
        """Write events in their order."""
        for event in events:
            event.sequence_number = self.next_number
            self.next_number += 1
            name = str(event.__struct_config__.tag).encode()
            self._waiting.append(named_event(name, msgspec.json.encode(event)))

    def taken(self) -> bytes:
        """Return what was written since the last time."""
        waiting, self._waiting = self._waiting, []
        return b"".join(waiting)
