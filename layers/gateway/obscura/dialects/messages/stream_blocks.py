"""Where a JSON text that comes in pieces is complete."""

import re
from collections import deque

from msgspec import Raw

from obscura.dialects.chat.response import ToolCall
from obscura.dialects.messages import events
from obscura.dialects.messages.response import Block, TextBlock, ThinkingBlock, ToolUseBlock, call_id, unnamed_tool_call
from obscura.errors import UpstreamError

_OUTSIDE = re.compile(r'["\[\]{}]')
_INSIDE = re.compile(r'["\\]')


class JsonBoundary:
    """Follows an object's or an array's text piece by piece; any other text is never complete."""

    def __init__(self) -> None:
        """Start before the first character."""
        self._depth = 0
        self._in_string = self._escaped = False
        self.complete = False

    def feed(self, piece: str) -> None:
        """Take the next piece."""
        position = 0
        while position < len(piece):
            if self._escaped:
                self._escaped = False
                position += 1
                continue
            found = (_INSIDE if self._in_string else _OUTSIDE).search(piece, position)
            if found is None:
                return
            self._take(found[0])
            position = found.end()

    def _take(self, character: str) -> None:
        match character:
            case "\\":
                self._escaped = True
            case '"':
                self._in_string = not self._in_string
            case "[" | "{":
                self._depth += 1
            case _:
                self._depth -= 1
                self.complete = self.complete or self._depth == 0


_EMPTY_OBJECT = Raw(b"{}")


class _TextBlock:
    """A block of text or thinking."""

    may_begin = may_end = True

    def __init__(self, thinking: bool) -> None:
        self.thinking = thinking
        self.held: list[str] = []

    def start(self) -> Block:
        return ThinkingBlock("") if self.thinking else TextBlock("")

    def delta(self, piece: str) -> events.Delta:
        return events.ThinkingDelta(piece) if self.thinking else events.TextDelta(piece)


class _ToolCallBlock:
    """A tool call; it may begin once its tool has a name."""

    def __init__(self, upstream_id: str | None) -> None:
        self.upstream_id = upstream_id
        self.name = ""
        self.closed = False
        self.held: list[str] = []
        self._end = JsonBoundary()

    @property
    def may_begin(self) -> bool:
        return bool(self.name)

    @property
    def may_end(self) -> bool:
        return self._end.complete

    def start(self) -> Block:
        if not self.name:
            raise unnamed_tool_call()
        return ToolUseBlock(call_id(self.upstream_id), self.name, _EMPTY_OBJECT)

    def delta(self, piece: str) -> events.Delta:
        return events.InputJsonDelta(piece)

    def follow(self, piece: str) -> None:
        self._end.feed(piece)


class BlockSequencer:
    """The blocks of one answer, in the order in which they began."""

    def __init__(self) -> None:
        """Start without any; ``called`` says whether there was a tool call."""
        self._index = -1
        self._open: _TextBlock | _ToolCallBlock | None = None
        self._waiting: deque[_TextBlock | _ToolCallBlock] = deque()
        self._calls: dict[int, _ToolCallBlock] = {}

    @property
    def called(self) -> bool:
        """Whether there was a tool call."""
        return bool(self._calls)

    def speak(self, piece: str, *, thinking: bool) -> bytes:
        """Take a piece of text or thinking; gives the events that are ready."""
        last = self._waiting[-1] if self._waiting else self._open
        if not isinstance(last, _TextBlock) or last.thinking is not thinking:
            last = _TextBlock(thinking)
            self._waiting.append(last)
        return self._take(last, piece)

    def call(self, piece: ToolCall) -> bytes:
        """Take a piece of a tool call; gives the events that are ready.

        Raises UpstreamError on arguments that go on after their end, when the block is closed.
        """
        called = self._called(piece)
        if piece.function and piece.function.name and not called.name:
            called.name = piece.function.name
        arguments = (piece.function.arguments if piece.function else None) or ""
        if called.closed:
            if arguments.strip():
                raise UpstreamError("The upstream went on with a tool call that was complete. Try again.")
            return b""
        called.follow(arguments)
        return self._take(called, arguments)

    def end(self) -> bytes:
        """Close everything, what was held included."""
        told = self._advance(at_the_end=True)
        return told + self._close()

    def _called(self, piece: ToolCall) -> _ToolCallBlock:
        """Find a piece's call by its index; some upstreams give all calls one index, or none."""
        index = piece.index if piece.index is not None else max(self._calls, default=0)
        called = self._calls.get(index)
        if called is None or _starts_another_call(called, piece):
            called = self._calls[index] = _ToolCallBlock(piece.id or None)
            self._waiting.append(called)
        called.upstream_id = called.upstream_id or piece.id
        return called

    def _take(self, block: _TextBlock | _ToolCallBlock, piece: str) -> bytes:
        if block is not self._open:
            block.held.append(piece)
            return self._advance()
        told = self._delta(block, piece)
        return told + self._advance() if self._waiting else told

    def _advance(self, at_the_end: bool = False) -> bytes:
        """Open what may be opened, in order."""
        told: list[bytes] = []
        while self._waiting:
            upcoming = self._waiting[0]
            free = self._open is None or self._open.may_end
            if not at_the_end and not (free and upcoming.may_begin):
                break
            told.append(self._close())
            self._open = self._waiting.popleft()
            self._index += 1
            told.append(events.encode_event(events.BlockStart(self._index, self._open.start())))
            told += [self._delta(self._open, piece) for piece in self._open.held]
            self._open.held.clear()
        return b"".join(told)

    def _delta(self, block: _TextBlock | _ToolCallBlock, piece: str) -> bytes:
        return events.encode_event(events.BlockDelta(self._index, block.delta(piece))) if piece else b""

    def _close(self) -> bytes:
        block, self._open = self._open, None
        if block is None:
            return b""
        if isinstance(block, _ToolCallBlock):
            block.closed = True
        signed = isinstance(block, _TextBlock) and block.thinking
        signature = events.encode_event(events.BlockDelta(self._index, events.SignatureDelta(""))) if signed else b""
        return signature + events.encode_event(events.BlockStop(self._index))


def _starts_another_call(called: _ToolCallBlock, piece: ToolCall) -> bool:
    """Whether a piece under the same index is another call.

    It is when it names a tool, and has an id of its own or brings arguments although those of ``called`` are complete.
    """
    if piece.function is None or not piece.function.name:
        return False
    other_id = bool(piece.id) and called.upstream_id not in {None, piece.id}
    return other_id or (called.may_end and bool((piece.function.arguments or "").strip()))
