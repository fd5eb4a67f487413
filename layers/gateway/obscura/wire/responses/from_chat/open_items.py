"""Output items of a stream while they grow: each gives the events that tell its caller so."""

from obscura.wire.responses.from_chat.events import (
    ArgumentsDelta,
    ArgumentsDone,
    Event,
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
from obscura.wire.responses.from_chat.objects import (
    FunctionCallItem,
    ItemStatus,
    MessageItem,
    OutputText,
    Part,
    ReasoningItem,
    ReasoningText,
    Refusal,
)

type PartKind = type[OutputText] | type[Refusal] | type[ReasoningText]


class OpenSpeech:
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
        return [_whole(part, place), PartDone(*place, part)]

    def _delta(self, kind: PartKind, piece: str) -> Event:
        place = self._place()
        if kind is OutputText:
            return TextDelta(*place, piece)
        return RefusalDelta(*place, piece) if kind is Refusal else ReasoningDelta(*place, piece)


class OpenCall:
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


def _whole(part: Part, place: tuple[str, int, int]) -> Event:
    match part:
        case OutputText():
            return TextDone(*place, part.text)
        case Refusal():
            return RefusalDone(*place, part.refusal)
        case ReasoningText():
            return ReasoningDone(*place, part.text)
