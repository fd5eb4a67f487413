"""The content blocks of a Messages stream: one is open at a time, although a chat stream mixes text and tool calls."""

import re
from collections import deque

from msgspec import Raw

from obscura.dialects.chat.response import ToolCall
from obscura.dialects.messages import events
from obscura.dialects.messages.response import (
    Block,
    TextBlock,
    ThinkingBlock,
    ToolUseBlock,
    tool_call_id,
    unnamed_tool_call,
)
from obscura.errors import UpstreamError

_OUTSIDE_STRING = re.compile(r'["\[\]{}]')
_INSIDE_STRING = re.compile(r'["\\]')


class JsonBoundary:
    """Finds the end of an object or an array whose text comes in pieces; any other text is never complete."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = self._escaped = False
        self.complete = False

    def feed(self, piece: str) -> None:
        """Scan the next piece."""
        position = 0
        while position < len(piece):
            if self._escaped:
                self._escaped = False
                position += 1
                continue
            match = (_INSIDE_STRING if self._in_string else _OUTSIDE_STRING).search(piece, position)
            if match is None:
                return
            self._on_character(match[0])
            position = match.end()

    def _on_character(self, character: str) -> None:
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
    """A block of text or thinking; it may start and stop at any time."""

    may_start = may_stop = True

    def __init__(self, thinking: bool) -> None:
        self.thinking = thinking
        self.held: list[str] = []

    def start(self) -> Block:
        return ThinkingBlock("") if self.thinking else TextBlock("")

    def delta(self, piece: str) -> events.Delta:
        return events.ThinkingDelta(piece) if self.thinking else events.TextDelta(piece)


class _ToolCallBlock:
    """A tool call; it may start once its tool has a name, and stop once its arguments are complete."""

    def __init__(self, upstream_id: str | None) -> None:
        self.upstream_id = upstream_id
        self.name = ""
        self.stopped = False
        self.held: list[str] = []
        self.arguments = JsonBoundary()

    @property
    def may_start(self) -> bool:
        return bool(self.name)

    @property
    def may_stop(self) -> bool:
        return self.arguments.complete

    def start(self) -> Block:
        if not self.name:
            raise unnamed_tool_call()
        return ToolUseBlock(tool_call_id(self.upstream_id), self.name, _EMPTY_OBJECT)

    def delta(self, piece: str) -> events.Delta:
        return events.InputJsonDelta(piece)


class BlockSequencer:
    """Puts the blocks of one message in the order in which they began; pieces of later blocks are held until then."""

    def __init__(self) -> None:
        self._index = -1
        self._open: _TextBlock | _ToolCallBlock | None = None
        self._waiting: deque[_TextBlock | _ToolCallBlock] = deque()
        self._calls: dict[int, _ToolCallBlock] = {}

    @property
    def has_tool_calls(self) -> bool:
        """Whether there was a tool call."""
        return bool(self._calls)

    def add_text(self, piece: str, *, thinking: bool) -> bytes:
        """Add a piece of text or thinking; return the events that are ready."""
        last = self._waiting[-1] if self._waiting else self._open
        if not isinstance(last, _TextBlock) or last.thinking is not thinking:
            last = _TextBlock(thinking)
            self._waiting.append(last)
        return self._add(last, piece)

    def add_tool_call(self, piece: ToolCall) -> bytes:
        """Add a piece of a tool call; return the events that are ready.

        Raises UpstreamError on arguments for a block that is closed, since they were complete.
        """
        block = self._call_block(piece)
        if piece.function and piece.function.name and not block.name:
            block.name = piece.function.name
        arguments = piece.function.arguments if piece.function else ""
        if block.stopped:
            if arguments.strip():
                raise UpstreamError("The upstream went on with a tool call that was complete. Try again.")
            return b""
        block.arguments.feed(arguments)
        return self._add(block, arguments)

    def close(self) -> bytes:
        """Close every block, those that wait included; return their events."""
        return self._advance(at_the_end=True) + self._stop()

    def _call_block(self, piece: ToolCall) -> _ToolCallBlock:
        """Return the block of a piece's call, by its index; some upstreams send one index for all calls, or none."""
        index = piece.index if piece.index is not None else max(self._calls, default=0)
        block = self._calls.get(index)
        if block is None or _starts_another_call(block, piece):
            block = self._calls[index] = _ToolCallBlock(piece.id or None)
            self._waiting.append(block)
        block.upstream_id = block.upstream_id or piece.id
        return block

    def _add(self, block: _TextBlock | _ToolCallBlock, piece: str) -> bytes:
        if block is not self._open:
            block.held.append(piece)
            return self._advance()
        ready = self._delta(block, piece)
        return ready + self._advance() if self._waiting else ready

    def _advance(self, at_the_end: bool = False) -> bytes:
        """Start the blocks that may start, in order."""
        ready: list[bytes] = []
        while self._waiting:
            upcoming = self._waiting[0]
            free = self._open is None or self._open.may_stop
            if not at_the_end and not (free and upcoming.may_start):
                break
            ready.append(self._stop())
            self._open = self._waiting.popleft()
            self._index += 1
            ready.append(events.encode_event(events.BlockStart(self._index, self._open.start())))
            ready += [self._delta(self._open, piece) for piece in self._open.held]
            self._open.held.clear()
        return b"".join(ready)

    def _delta(self, block: _TextBlock | _ToolCallBlock, piece: str) -> bytes:
        return events.encode_event(events.BlockDelta(self._index, block.delta(piece))) if piece else b""

    def _stop(self) -> bytes:
        block, self._open = self._open, None
        if block is None:
            return b""
        if isinstance(block, _ToolCallBlock):
            block.stopped = True
        signed = isinstance(block, _TextBlock) and block.thinking
        signature = events.encode_event(events.BlockDelta(self._index, events.SignatureDelta(""))) if signed else b""
        return signature + events.encode_event(events.BlockStop(self._index))


def _starts_another_call(block: _ToolCallBlock, piece: ToolCall) -> bool:
    """Whether a piece is another call than the one that has its index so far.

    It is if it names a tool, and has an id of its own or brings arguments although those of ``block`` are complete.
    """
    if piece.function is None or not piece.function.name:
        return False
    other_id = bool(piece.id) and block.upstream_id not in {None, piece.id}
    return other_id or (block.may_stop and bool(piece.function.arguments.strip()))
