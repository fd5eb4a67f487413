"""The output of a stream under way: which items are open, and when each is done."""

from obscura.errors import UpstreamError
from obscura.wire.chat_answer import Said, ToolCall
from obscura.wire.responses.events import Event, EventWriter
from obscura.wire.responses.objects import (
    FunctionCallItem,
    ItemStatus,
    MessageItem,
    OutputItem,
    OutputText,
    ReasoningItem,
    ReasoningText,
    Refusal,
)
from obscura.wire.responses.open_items import OpenCall, OpenSpeech, PartKind


class GrowingOutput:
    """Reasoning and messages follow each other, so each is done once the next item begins; calls stay open to the end.

    Every event is written as soon as it is known, because the items in it go on growing.
    """

    def __init__(self, number: str, writer: EventWriter) -> None:
        """``number`` makes the items' ids unique."""
        self.items: list[OutputItem] = []
        self._number = number
        self._writer = writer
        self._speech: OpenSpeech | None = None
        self._calls: list[OpenCall] = []
        self._call_at: dict[int, OpenCall] = {}

    def take(self, delta: Said) -> list[bytes]:
        """Write the events of one delta; raises UpstreamError for a call that begins without a name."""
        written: list[bytes] = []
        if reasoning := delta.reasoning_content or delta.reasoning:
            written += self._say(ReasoningText, reasoning)
        if delta.content:
            written += self._say(OutputText, delta.content)
        if delta.refusal:
            written += self._say(Refusal, delta.refusal)
        for call in delta.tool_calls or ():
            written += self._take_call(call)
        return written

    def end(self, status: ItemStatus) -> list[bytes]:
        """Write that everything is done, in order; ``status`` is that of the last item, all others are whole."""
        still_open: list[OpenCall | OpenSpeech] = [*self._calls]
        if self._speech is not None:
            still_open.append(self._speech)
        self._speech, self._calls = None, []
        return [
            self._writer.write(*opened.done(status if opened.item is self.items[-1] else "completed"))
            for opened in still_open
        ]

    def _say(self, kind: PartKind, piece: str) -> list[bytes]:
        written: list[bytes] = []
        belongs = ReasoningItem if kind is ReasoningText else MessageItem
        if self._speech is None or not isinstance(self._speech.item, belongs):
            written += self._end_speech()
            prefix = "rs" if belongs is ReasoningItem else "msg"
            item = belongs(self._new_id(prefix), "in_progress", [])
            self._speech = OpenSpeech(item, len(self.items))
            self.items.append(item)
            written.append(self._writer.write(*self._speech.added()))
        written.append(self._writer.write(*self._speech.say(kind, piece)))
        return written

    def _end_speech(self) -> list[bytes]:
        if self._speech is None:
            return []
        events: list[Event] = self._speech.done("completed")
        self._speech = None
        return [self._writer.write(*events)]

    def _take_call(self, call: ToolCall) -> list[bytes]:
        written: list[bytes] = []
        opened = self._call_of(call)
        if opened is None:
            written += self._end_speech()
            opened = self._open_call(call)
            written.append(self._writer.write(*opened.added()))
        if call.function is not None and call.function.arguments:
            written.append(self._writer.write(*opened.argue(call.function.arguments)))
        return written

    def _call_of(self, call: ToolCall) -> OpenCall | None:
        """Give the call that a piece belongs to, None when it begins one.

        Some servers leave ``index`` out or make it 0 for all; a new id then tells that a new call begins.
        """
        known = self._call_at.get(call.index or 0)
        return None if known is None or (call.id and call.id != known.item.call_id) else known

    def _open_call(self, call: ToolCall) -> OpenCall:
        if call.function is None or not call.function.name:
            raise UpstreamError("The upstream began a tool call without a name. Try again.")
        new_id = self._new_id("fc")
        call_id = call.id or new_id.replace("fc", "call", 1)
        item = FunctionCallItem(new_id, call_id, call.function.name, "", "in_progress")
        opened = OpenCall(item, len(self.items))
        self.items.append(item)
        self._calls.append(opened)
        self._call_at[call.index or 0] = opened
        return opened

    def _new_id(self, prefix: str) -> str:
        return f"{prefix}_{self._number}{len(self.items):02}"
