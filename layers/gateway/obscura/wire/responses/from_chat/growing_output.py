"""The output of a stream under way: which items are open, and when each is done."""

from obscura.errors import UpstreamError
from obscura.wire.chat_answer import Said, ToolCall
from obscura.wire.responses.from_chat.events import EventWriter
from obscura.wire.responses.from_chat.objects import (
    FunctionCallItem,
    ItemStatus,
    MessageItem,
    OutputItem,
    OutputText,
    ReasoningItem,
    ReasoningText,
    Refusal,
)
from obscura.wire.responses.from_chat.open_items import OpenCall, OpenSpeech, PartKind


class GrowingOutput:
    """Reasoning and messages follow each other, so each is done once the next item begins; calls stay open to the end.

    Pieces of several calls may come mixed: each is told under the place of its own call.
    """

    def __init__(self, number: str, writer: EventWriter) -> None:
        """``number`` makes the items' ids unique."""
        self.items: list[OutputItem] = []
        self._number = number
        self._writer = writer
        self._speech: OpenSpeech | None = None
        self._calls: list[OpenCall] = []
        self._call_at: dict[int, OpenCall] = {}

    def take(self, delta: Said) -> None:
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
        still_open: list[OpenCall | OpenSpeech] = [*self._calls]
        if self._speech is not None:
            still_open.append(self._speech)
        for opened in still_open:
            self._writer.write(*opened.done(last if opened.item is self.items[-1] else others))

    def _say(self, kind: PartKind, piece: str) -> None:
        belongs = ReasoningItem if kind is ReasoningText else MessageItem
        if self._speech is None or not isinstance(self._speech.item, belongs):
            self._end_speech()
            item = belongs(self._new_id("rs" if belongs is ReasoningItem else "msg"), "in_progress", [])
            self._speech = OpenSpeech(item, len(self.items))
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

    def _call_of(self, call: ToolCall) -> OpenCall | None:
        """Give the call that a piece belongs to, None when it begins one.

        Some servers leave ``index`` out or make it 0 for all; a new id then tells that a new call begins.
        """
        known = self._call_at.get(call.index or 0)
        return None if known is None or (call.id and call.id != known.item.call_id) else known

    def _open_call(self, call: ToolCall) -> OpenCall:
        if call.function is None or not call.function.name:
            raise UpstreamError("The upstream began a tool call without a name. Try again.")
        self._end_speech()
        new_id = self._new_id("fc")
        call_id = call.id or new_id.replace("fc", "call", 1)
        item = FunctionCallItem(new_id, call_id, call.function.name, "", "in_progress")
        opened = OpenCall(item, len(self.items))
        self.items.append(item)
        self._calls.append(opened)
        self._call_at[call.index or 0] = opened
        self._writer.write(*opened.added())
        return opened

    def _new_id(self, prefix: str) -> str:
        return f"{prefix}_{self._number}{len(self.items):02}"
