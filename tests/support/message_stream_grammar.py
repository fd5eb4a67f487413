"""The grammar of a Messages stream (Anthropic's documentation, "Streaming Messages"), checked event by event.

    stream   = message_start (block | ping)* message_delta+ message_stop
             | any beginning of that, and error
    block    = content_block_start (content_block_delta | ping)* content_block_stop

Blocks are numbered from 0 and follow one another; a delta is of its block's kind.
"""

import json
from dataclasses import dataclass, field

DELTAS = {
    "text": {"text_delta": "text"},
    "thinking": {"thinking_delta": "thinking", "signature_delta": "signature"},
    "tool_use": {"input_json_delta": "partial_json"},
}
STOP_REASONS = {"end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal"}


class GrammarError(AssertionError):
    """A violation of the grammar."""


@dataclass
class StreamedBlock:
    """A block assembled from its events; a tool call's ``text`` is its input's JSON."""

    kind: str
    start: dict
    text: str = ""
    closed: bool = False


@dataclass
class StreamedMessage:
    """A message assembled from its stream; ``error`` is the event that ended it early."""

    start: dict = field(default_factory=dict)
    blocks: list[StreamedBlock] = field(default_factory=list)
    delta: dict = field(default_factory=dict)
    usage: dict = field(default_factory=dict)
    stopped: bool = False
    error: dict | None = None

    def texts(self, kind: str = "text") -> list[str]:
        return [block.text for block in self.blocks if block.kind == kind]


def events_of(stream: bytes) -> list[dict]:
    """Read the events of a stream, each exactly a line with its name, a line of data and an empty line."""
    *framed, rest = stream.decode().split("\n\n")
    _must(not rest, f"bytes after the last event: {rest!r}")
    return [_event(event) for event in framed]


def parse_stream(stream: bytes) -> StreamedMessage:
    """Assemble the message of a whole stream; raises GrammarError."""
    response = StreamedMessage()
    for event in events_of(stream):
        _must(not response.stopped and response.error is None, f"{event['type']} after the end")
        _follow(response, event)
    _must(response.stopped or response.error is not None, "it ends without message_stop or error")
    return response


def _event(framed: str) -> dict:
    lines = framed.split("\n")
    _must(len(lines) == 2, f"not two lines: {lines}")
    name, data = lines[0].removeprefix("event: "), json.loads(lines[1].removeprefix("data: "))
    _must(lines == [f"event: {name}", lines[1]] and lines[1].startswith("data: "), f"framing: {lines}")
    _must(data["type"] == name, f"{name} has the type {data['type']}")
    return data


def _follow(response: StreamedMessage, event: dict) -> None:
    kind = event["type"]
    if kind == "error":
        _must({"type", "message"} <= event["error"].keys(), f"an error without type or message: {event}")
        response.error = event
        return
    _must(bool(response.start) == (kind != "message_start"), f"{kind} before or after message_start")
    open_block = response.blocks[-1] if response.blocks and not response.blocks[-1].closed else None
    match kind:
        case "message_start":
            _begin(response, event["message"])
        case "ping":
            pass
        case "content_block_start":
            _must(open_block is None and not response.delta, "a block begins in another, or after message_delta")
            _must(
                event["index"] == len(response.blocks), f"block {len(response.blocks)} has the number {event['index']}"
            )
            response.blocks.append(_block(event["content_block"]))
        case "content_block_delta":
            _must(open_block is not None and event["index"] == len(response.blocks) - 1, f"no such open block: {event}")
            assert open_block is not None
            _add(open_block, event["delta"])
        case "content_block_stop":
            _must(open_block is not None and event["index"] == len(response.blocks) - 1, f"no such open block: {event}")
            open_block.closed = True
        case "message_delta":
            _must(open_block is None, "message_delta in an open block")
            _must(event["delta"]["stop_reason"] in STOP_REASONS, f"stop reason: {event['delta']}")
            response.delta, response.usage = event["delta"], event["usage"]
        case "message_stop":
            _must(bool(response.delta), "message_stop without message_delta")
            response.stopped = True
        case _:
            raise GrammarError(f"no such event: {kind}")


def _begin(response: StreamedMessage, message: dict) -> None:
    _must(message["type"] == "message" and message["role"] == "assistant", f"no message: {message}")
    _must(message["content"] == [] and message["stop_reason"] is None, f"it has content before its start: {message}")
    _must({"input_tokens", "output_tokens"} <= message["usage"].keys(), f"usage: {message['usage']}")
    response.start = message


def _block(start: dict) -> StreamedBlock:
    _must(start["type"] in DELTAS, f"no such block: {start}")
    _must(not any(start.get(key) for key in ("text", "thinking", "signature", "input")), f"not empty: {start}")
    return StreamedBlock(start["type"], start)


def _add(block: StreamedBlock, delta: dict) -> None:
    keys = DELTAS[block.kind]
    _must(delta["type"] in keys, f"{delta['type']} in a block of {block.kind}")
    piece = delta[keys[delta["type"]]]
    _must(isinstance(piece, str), f"a piece that is no string: {delta}")
    block.text += piece


def _must(holds: bool, otherwise: str) -> None:
    if not holds:
        raise GrammarError(otherwise)
