"""Usage out of answers, whichever dialect they are in (API references of OpenAI and Anthropic, "usage")."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import Raw

from obscura.usage.base import Tokens

COST_FIELD = "estimated_cost_usd"
BYTES_PER_TOKEN = 4
FRAME_PART = 8
"""A streamed event has about so many bytes for one token's worth of text, framing included."""

_fields = msgspec.json.Decoder(dict[str, Raw])
_MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class UsageReader:
    """The tokens of one answer as the upstream counts them, or an estimate by the bytes that have passed."""

    def __init__(self, input_estimate: int, image_tokens: int) -> None:
        """``input_estimate`` are the tokens of the request as the gateway counts them, ``image_tokens`` among them."""
        self._input: int | None = None
        self._output: int | None = None
        self._cached = 0
        self._input_estimate = input_estimate
        self._image_tokens = image_tokens
        self._bytes = 0

    def add_bytes(self, count: int) -> None:
        """Count bytes of the answer, for the estimate."""
        self._bytes += count

    def count_images(self, tokens: int) -> None:
        """Take the upstream's own count of the tokens of images."""
        self._image_tokens = tokens

    def read(self, usage: object) -> None:
        """Read one ``usage``; the counts of a stream grow from event to event."""
        if not isinstance(usage, dict):
            return
        # Anthropic's input_tokens are those that no cache had; OpenAI's are all of them.
        own = _count(usage.get("cache_read_input_tokens")) + _count(usage.get("cache_creation_input_tokens"))
        for name in ("prompt_tokens", "input_tokens"):
            if name in usage:
                self._input = max(self._input or 0, _count(usage[name]) + own)
        for name in ("completion_tokens", "output_tokens"):
            if name in usage:
                self._output = max(self._output or 0, _count(usage[name]))
        details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
        cached = details.get("cached_tokens") if isinstance(details, dict) else usage.get("cache_read_input_tokens")
        self._cached = max(self._cached, _count(cached))

    @property
    def tokens(self) -> Tokens:
        """What was counted; what the upstream did not say is estimated."""
        output = self._bytes // FRAME_PART // BYTES_PER_TOKEN if self._output is None else self._output
        count = self._input_estimate if self._input is None else self._input
        return Tokens(count, output, min(self._cached, count), min(self._image_tokens, count))


def _count(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and 0 < value < 1e15 else 0


def read_answer(body: bytes, reader: UsageReader) -> None:
    """Read the usage of a whole answer."""
    reader.add_bytes(len(body) * FRAME_PART)
    try:
        usage = _fields.decode(body).get("usage")
        reader.read(None if usage is None else msgspec.json.decode(usage))
    except _MALFORMED:
        pass


def read_line(line: bytes, reader: UsageReader) -> None:
    """Read the usage of one line of a stream: of chat, of messages (in two events), of responses."""
    if not line.startswith(b"data:") or b'"usage"' not in line:
        return
    try:
        event = _fields.decode(line.removeprefix(b"data:"))
        for holder in (event, _inner(event, "message"), _inner(event, "response")):
            if holder is not None and "usage" in holder:
                reader.read(msgspec.json.decode(holder["usage"]))
    except _MALFORMED:
        pass


def with_cost(answer: bytes, cost_usd: float) -> bytes:
    """Return a JSON object with ``estimated_cost_usd`` in its usage, or that of its response; else as it was."""

    def add(usage: dict[str, Raw]) -> None:
        usage[COST_FIELD] = Raw(msgspec.json.encode(cost_usd))

    return _with_usage(answer, add, ("response",))


def with_tokens(answer: bytes, tokens: Tokens) -> bytes:
    """Return a JSON object with ``tokens`` added to the counts of its usage, those that it has; else as it was."""
    if not tokens.total:
        return answer
    added = {
        "prompt_tokens": tokens.input,
        "input_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "output_tokens": tokens.output,
        "total_tokens": tokens.total,
    }

    def add(usage: dict[str, Raw]) -> None:
        for name in added.keys() & usage.keys():
            count = msgspec.json.decode(usage[name])
            if isinstance(count, int):
                usage[name] = Raw(msgspec.json.encode(count + added[name]))

    return _with_usage(answer, add, ("response", "message"))


def _with_usage(answer: bytes, change: Callable[[dict[str, Raw]], None], inner: Sequence[str]) -> bytes:
    """Return a JSON object whose usage is changed, its own or that of the object under one of the keys ``inner``."""
    try:
        fields = _fields.decode(answer)
        key = next((key for key in inner if _inner(fields, key) is not None), None)
        holder = fields if key is None else _inner(fields, key) or {}
        usage = _inner(holder, "usage")
        if usage is None:
            return answer
        change(usage)
        holder["usage"] = Raw(msgspec.json.encode(usage))
        if key is not None:
            fields[key] = Raw(msgspec.json.encode(holder))
        return msgspec.json.encode(fields)
    except _MALFORMED:
        return answer


def line_with_cost(line: bytes, cost_usd: float) -> bytes:
    """Return a line of a stream with the cost, if it is an event that has the usage of what is complete."""
    return _changed_line(line, lambda data: with_cost(data, cost_usd))


def line_with_tokens(line: bytes, tokens: Tokens) -> bytes:
    """Return a line of a stream with ``tokens`` added to its usage, if it is an event that has one."""
    return _changed_line(line, lambda data: with_tokens(data, tokens))


def _changed_line(line: bytes, change: Callable[[bytes], bytes]) -> bytes:
    if not line.startswith(b"data:") or b'"usage"' not in line:
        return line
    data = line.removeprefix(b"data:").strip()
    changed = change(data)
    return line if changed is data else b"data: %b%b" % (changed, line[len(line.rstrip(b"\r\n")) :])


def _inner(fields: dict[str, Raw], key: str) -> dict[str, Raw] | None:
    leaf = fields.get(key)
    return _fields.decode(leaf) if leaf is not None and memoryview(leaf)[0] == ord("{") else None
