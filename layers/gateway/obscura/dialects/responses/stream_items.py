"""The output items of a stream under construction: each delta is appended to its item and yields events."""

from collections.abc import Sequence

from obscura.dialects.chat.response import ChatMessage, TokenLogprob, ToolCall
from obscura.dialects.responses.called_tools import CalledTools, call_item, finish_call, tool_of
from obscura.dialects.responses.events import (
    ArgumentsDelta,
    ArgumentsDone,
    CustomInputDelta,
    CustomInputDone,
    Event,
    EventWriter,
    ItemAdded,
    ItemDone,
    PartAdded,
    PartDone,
    ReasoningDelta,
    ReasoningDone,
    RefusalDelta,
    RefusalDone,
    TextDelta,
    TextDone,
)
from obscura.dialects.responses.objects import (
    CustomToolCallItem,
    FunctionCallItem,
    ItemStatus,
    Logprob,
    MessageItem,
    OutputItem,
    OutputText,
    Part,
    ReasoningItem,
    ReasoningText,
    Refusal,
    ToolCallItem,
    logprobs_from_chat,
)

type PartKind = type[OutputText] | type[Refusal] | type[ReasoningText]


class OpenMessage:
    """A message or a reasoning item; its parts follow each other."""

    def __init__(self, item: MessageItem | ReasoningItem, output_index: int) -> None:
        """Take an ``item`` without parts."""
        self.item = item
        self._output_index = output_index
        self._part_kind: PartKind | None = None
        self._deltas: list[str] = []
        self._logprobs: list[Logprob] = []

    def added(self) -> list[Event]:
        """Return the event that starts the item."""
        return [ItemAdded(self._output_index, self.item)]

    def append(self, kind: PartKind, delta: str, logprobs: Sequence[TokenLogprob] = ()) -> list[Event]:
        """Append text with the log probabilities of its tokens; of another kind than the last, it starts a part."""
        events: list[Event] = []
        if kind is not self._part_kind:
            events += self._end_part()
            self._part_kind = kind
            events.append(PartAdded(*self._location(), kind("")))
        self._deltas.append(delta)
        likely: Sequence[Logprob] = ()
        if logprobs:
            likely = logprobs_from_chat(logprobs)
            self._logprobs += likely
        events.append(self._delta_event(kind, delta, likely))
        return events

    def done(self, status: ItemStatus) -> list[Event]:
        """Return the events that end the item."""
        events = self._end_part()
        self.item.status = status
        return [*events, ItemDone(self._output_index, self.item)]

    def _location(self) -> tuple[str, int, int]:
        return self.item.id, self._output_index, len(self.item.content)

    def _end_part(self) -> list[Event]:
        if self._part_kind is None:
            return []
        part, location = self._part_kind("".join(self._deltas)), self._location()
        if isinstance(part, OutputText):
            part.logprobs = self._logprobs
        self.item.content.append(part)
        self._part_kind, self._deltas, self._logprobs = None, [], []
        return [_part_done(part, location), PartDone(*location, part)]

    def _delta_event(self, kind: PartKind, delta: str, logprobs: Sequence[Logprob]) -> Event:
        location = self._location()
        if kind is OutputText:
            return TextDelta(*location, delta, logprobs)
        return RefusalDelta(*location, delta) if kind is Refusal else ReasoningDelta(*location, delta)


class OpenToolCall:
    """A tool call; several may be open at once, their deltas interleaved.

    The arguments of what the upstream takes for a function, and is none, are read when they are complete.
    """

    def __init__(self, item: ToolCallItem, output_index: int, *, as_function: bool) -> None:
        """``item`` has no arguments yet."""
        self.item = item
        self._output_index = output_index
        self._as_function = as_function
        self._deltas: list[str] = []

    def added(self) -> list[Event]:
        """Return the event that starts the item."""
        return [ItemAdded(self._output_index, self.item)]

    def append(self, delta: str) -> list[Event]:
        """Append to the arguments."""
        self._deltas.append(delta)
        if isinstance(self.item, FunctionCallItem):
            return [ArgumentsDelta(self.item.id, self._output_index, delta)]
        if isinstance(self.item, CustomToolCallItem) and not self._as_function:
            return [CustomInputDelta(self.item.id, self._output_index, delta)]
        return []

    def done(self, status: ItemStatus) -> list[Event]:
        """Return the events that end the item."""
        finish_call(self.item, "".join(self._deltas), status, as_function=self._as_function)
        return [*self._arguments_done(), ItemDone(self._output_index, self.item)]

    def _arguments_done(self) -> list[Event]:
        item, index = self.item, self._output_index
        if isinstance(item, FunctionCallItem):
            return [ArgumentsDone(item.id, index, item.arguments, item.name)]
        if isinstance(item, CustomToolCallItem):
            delta = [CustomInputDelta(item.id, index, item.input)] if self._as_function and item.input else []
            return [*delta, CustomInputDone(item.id, index, item.input)]
        return []


def _part_done(part: Part, location: tuple[str, int, int]) -> Event:
    match part:
        case OutputText():
            return TextDone(*location, part.text, part.logprobs)
        case Refusal():
            return RefusalDone(*location, part.refusal)
        case ReasoningText():
            return ReasoningDone(*location, part.text)


class OutputBuilder:
    """The output of a response: reasoning and messages end when the next item starts, tool calls with the stream.

    The deltas of several calls may be interleaved; each is written with the output index of its call.
    """

    def __init__(self, unique_id: str, writer: EventWriter, called: CalledTools) -> None:
        """Take the response's ``unique_id``, from which those of the items are made, and the tools by name in chat."""
        self.items: list[OutputItem] = []
        self._unique_id = unique_id
        self._writer = writer
        self._called = called
        self._message: OpenMessage | None = None
        self._calls: list[OpenToolCall] = []
        self._call_by_index: dict[int, OpenToolCall] = {}

    def append(self, delta: ChatMessage, logprobs: Sequence[TokenLogprob] = ()) -> None:
        """Write the events of one delta, with the log probabilities of its text.

        Raises UpstreamError for a tool call that starts without a name.
        """
        if reasoning := delta.reasoning_text:
            self._append_text(ReasoningText, reasoning)
        if delta.content:
            self._append_text(OutputText, delta.content, logprobs)
        if delta.refusal:
            self._append_text(Refusal, delta.refusal)
        for call in delta.tool_calls or ():
            self._append_call(call)

    def close(self, last: ItemStatus, others: ItemStatus = "completed") -> None:
        """End all open items, in order: the last item of the output with status ``last``, the rest with ``others``.

        A response that reached its token limit is incomplete in its last item; a failed one, in any.
        """
        still_open: list[OpenToolCall | OpenMessage] = [*self._calls]
        if self._message is not None:
            still_open.append(self._message)
        for item in still_open:
            self._writer.write(*item.done(last if item.item is self.items[-1] else others))

    def _append_text(self, kind: PartKind, delta: str, logprobs: Sequence[TokenLogprob] = ()) -> None:
        item_type = ReasoningItem if kind is ReasoningText else MessageItem
        if self._message is None or not isinstance(self._message.item, item_type):
            self._close_message()
            item = item_type(self._new_id("rs" if item_type is ReasoningItem else "msg"), "in_progress", [])
            self._message = OpenMessage(item, len(self.items))
            self.items.append(item)
            self._writer.write(*self._message.added())
        self._writer.write(*self._message.append(kind, delta, logprobs))

    def _close_message(self) -> None:
        if self._message is not None:
            self._writer.write(*self._message.done("completed"))
            self._message = None

    def _append_call(self, delta: ToolCall) -> None:
        call = self._find_call(delta) or self._open_call(delta)
        if arguments := delta.arguments:
            self._writer.write(*call.append(arguments))

    def _find_call(self, delta: ToolCall) -> OpenToolCall | None:
        """Return the call that a delta belongs to, or None if the delta starts one.

        Some servers omit ``index`` or always send 0; there a new id starts a new call.
        """
        call = self._call_by_index.get(delta.index or 0)
        return None if call is None or (delta.id and delta.id != call.item.call_id) else call

    def _open_call(self, delta: ToolCall) -> OpenToolCall:
        tool = tool_of(delta, self._called)
        self._close_message()
        item = call_item(tool, f"{self._unique_id}{len(self.items):02}", delta.id)
        call = OpenToolCall(item, len(self.items), as_function=delta.function is not None)
        self.items.append(item)
        self._calls.append(call)
        self._call_by_index[delta.index or 0] = call
        self._writer.write(*call.added())
        return call

    def _new_id(self, prefix: str) -> str:
        return f"{prefix}_{self._unique_id}{len(self.items):02}"
