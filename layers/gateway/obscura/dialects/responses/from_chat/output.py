"""Output items of a stream while they grow: each gives the events that tell its caller so."""

from obscura.dialects.chat.response import ChatMessage, ToolCall
from obscura.dialects.responses.from_chat.events import (
    ArgumentsDelta,
    ArgumentsDone,
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
from obscura.dialects.responses.from_chat.objects import (
    FunctionCallItem,
    ItemStatus,
    MessageItem,
    OutputItem,
    OutputText,
    Part,
    ReasoningItem,
    ReasoningText,
    Refusal,
)
from obscura.errors import UpstreamError

type PartKind = type[OutputText] | type[Refusal] | type[ReasoningText]


class OpenMessage:
    """A message or a reasoning item; its parts come one after the other."""

    def __init__(self, item: MessageItem | ReasoningItem, output_index: int) -> None:
        """``item`` has no parts yet."""
        self.item = item
        self._output_index = output_index
        self._kind: PartKind | None = None
        self._pieces: list[str] = []

    def added(self) -> list[Event]:
        """Tell that it begins."""
        return [ItemAdded(self._output_index, self.item)]

    def say(self, kind: PartKind, piece: str) -> list[Event]:
        """Tell another piece; of another kind than the last, it begins another part."""
        events: list[Event] = []
        if kind is not self._kind:
            events += self._end_part()
            self._kind = kind
            events.append(PartAdded(*self._place(), kind("")))
        self._pieces.append(piece)
        return [*events, self._delta(kind, piece)]

    def done(self, status: ItemStatus) -> list[Event]:
        """Tell that it is whole, or as whole as it will be."""
        events = self._end_part()
        self.item.status = status
        return [*events, ItemDone(self._output_index, self.item)]

    def _place(self) -> tuple[str, int, int]:
        return self.item.id, self._output_index, len(self.item.content)

    def _end_part(self) -> list[Event]:
        if self._kind is None:
            return []
        part, place = self._kind("".join(self._pieces)), self._place()
        self.item.content.append(part)
        self._kind, self._pieces = None, []
        return [_part_done(part, place), PartDone(*place, part)]

    def _delta(self, kind: PartKind, piece: str) -> Event:
        place = self._place()
        if kind is OutputText:
            return TextDelta(*place, piece)
        return RefusalDelta(*place, piece) if kind is Refusal else ReasoningDelta(*place, piece)


class OpenToolCall:
    """A call of a function; many may be open at once, their pieces mixed."""

    def __init__(self, item: FunctionCallItem, output_index: int) -> None:
        """``item`` has no arguments yet."""
        self.item = item
        self._output_index = output_index
        self._pieces: list[str] = []

    def added(self) -> list[Event]:
        """Tell that it begins."""
        return [ItemAdded(self._output_index, self.item)]

    def argue(self, piece: str) -> list[Event]:
        """Tell another piece of the arguments."""
        self._pieces.append(piece)
        return [ArgumentsDelta(self.item.id, self._output_index, piece)]

    def done(self, status: ItemStatus) -> list[Event]:
        """Tell that it is whole, or as whole as it will be."""
        self.item.arguments = "".join(self._pieces)
        self.item.status = status
        whole = ArgumentsDone(self.item.id, self._output_index, self.item.arguments)
        return [whole, ItemDone(self._output_index, self.item)]


def _part_done(part: Part, place: tuple[str, int, int]) -> Event:
    match part:
        case OutputText():
            return TextDone(*place, part.text)
        case Refusal():
            return RefusalDone(*place, part.refusal)
        case ReasoningText():
            return ReasoningDone(*place, part.text)


class OutputBuilder:
    """Reasoning and messages follow each other, so each is done once the next item begins; calls stay open to the end.

    Pieces of several calls may come mixed: each is told under the place of its own call.
    """

    def __init__(self, number: str, writer: EventWriter) -> None:
        """``number`` makes the items' ids unique."""
        self.items: list[OutputItem] = []
        self._number = number
        self._writer = writer
        self._speech: OpenMessage | None = None
        self._calls: list[OpenToolCall] = []
        self._call_at: dict[int, OpenToolCall] = {}

    def take(self, delta: ChatMessage) -> None:
        """Write the events of one delta; raises UpstreamError for a call that begins without a name."""
        if reasoning := delta.reasoning_content or delta.reasoning:
            self._say(ReasoningText, reasoning)
        if delta.content:
            self._say(OutputText, delta.content)
        if delta.refusal:
            self._say(Refusal, delta.refusal)
        for call in delta.tool_calls or ():
            self._take_call(call)

    def end(self, last: ItemStatus, others: ItemStatus = "completed") -> None:
        """Write that everything is done, in order; ``last`` is the last item's status, ``others`` of those still open.

        An answer that was cut off for its length was cut off in its last item; one that failed, anywhere.
        """
        still_open: list[OpenToolCall | OpenMessage] = [*self._calls]
        if self._speech is not None:
            still_open.append(self._speech)
        for opened in still_open:
            self._writer.write(*opened.done(last if opened.item is self.items[-1] else others))

    def _say(self, kind: PartKind, piece: str) -> None:
        belongs = ReasoningItem if kind is ReasoningText else MessageItem
        if self._speech is None or not isinstance(self._speech.item, belongs):
            self._end_speech()
            item = belongs(self._new_id("rs" if belongs is ReasoningItem else "msg"), "in_progress", [])
            self._speech = OpenMessage(item, len(self.items))
            self.items.append(item)
            self._writer.write(*self._speech.added())
        self._writer.write(*self._speech.say(kind, piece))

    def _end_speech(self) -> None:
        if self._speech is not None:
            self._writer.write(*self._speech.done("completed"))
            self._speech = None

    def _take_call(self, call: ToolCall) -> None:
        opened = self._call_of(call) or self._open_call(call)
        if call.function is not None and call.function.arguments:
            self._writer.write(*opened.argue(call.function.arguments))

    def _call_of(self, call: ToolCall) -> OpenToolCall | None:
        """Return the call that a piece belongs to, None when it begins one.

        Some servers leave ``index`` out or make it 0 for all; a new id then tells that a new call begins.
        """
        known = self._call_at.get(call.index or 0)
        return None if known is None or (call.id and call.id != known.item.call_id) else known

    def _open_call(self, call: ToolCall) -> OpenToolCall:
        if call.function is None or not call.function.name:
            raise UpstreamError("The upstream began a tool call without a name. Try again.")
        self._end_speech()
        new_id = self._new_id("fc")
        call_id = call.id or new_id.replace("fc", "call", 1)
        item = FunctionCallItem(new_id, call_id, call.function.name, "", "in_progress")
        opened = OpenToolCall(item, len(self.items))
        self.items.append(item)
        self._calls.append(opened)
        self._call_at[call.index or 0] = opened
        self._writer.write(*opened.added())
        return opened

    def _new_id(self, prefix: str) -> str:
        return f"{prefix}_{self._number}{len(self.items):02}"
