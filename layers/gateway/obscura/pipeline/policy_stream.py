"""A streamed answer whose texts a policy scans and restores: each frame is read, held back, and written again."""

import copy
from collections.abc import Collection, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from obscura.dialects.sse import format_event
from obscura.pipeline.policy_answer import AnswerPolicy, read_usage

type Event = dict[str, Any]


@dataclass(slots=True)
class Delta:
    """A string of an event that is a piece of a text: where it is, which text it is of, and whether that is JSON.

    ``is_last`` if the event ends the text with it.
    """

    key: tuple[Hashable, ...]
    holder: dict[str, Any]
    name: str
    in_json: bool = False
    is_last: bool = False


class StreamForm(Protocol):
    """How a dialect's stream has what the model wrote."""

    def begin(self, event: Event) -> None:
        """Note an event before it is changed."""
        ...

    def deltas(self, event: Event) -> Iterator[Delta]:
        """Yield the pieces of texts in an event."""
        ...

    def wholes(self, event: Event) -> Iterator[tuple[Any, Any, bool]]:
        """Yield the whole texts in an event, as ``policy_answer.texts_in``."""
        ...

    def ends_texts(self, event: Event) -> list[tuple[Hashable, ...]]:
        """Return the beginnings of the keys of the texts that end with this event."""
        ...

    def rest(self, key: tuple[Hashable, ...], text: str) -> Event:
        """Return an event with what was held back of a text."""
        ...

    def passed(self, key: tuple[Hashable, ...], text: str) -> None:
        """Note what was passed on of a text."""
        ...

    def number(self, event: Event) -> None:
        """Number an event that is sent, in a dialect that numbers them."""
        ...

    def end(self) -> Iterator[Event | bytes]:
        """Yield the events that end a stream which a policy cuts off."""
        ...


class _Text:
    """One streamed text of the answer."""

    def __init__(self, policy: AnswerPolicy, *, in_json: bool) -> None:
        self._policy = policy
        self._scanner = policy.scanner()
        self._restorer = policy.redactor.stream(in_json=in_json)
        self.ends = False

    def feed(self, chunk: str) -> str:
        """Return what may be passed on after a chunk."""
        released = self._scanner.feed(chunk)
        self._policy.found(released.findings)
        self.ends = released.ends
        self._policy.note(released.text)
        text = self._restorer.feed(released.text)
        return text + self._restorer.finish() if self.ends else text

    def finish(self) -> str:
        """Return the rest."""
        released = self._scanner.finish()
        self._policy.found(released.findings)
        self.ends = released.ends
        self._policy.note(released.text)
        return self._restorer.feed(released.text) + self._restorer.finish()


@dataclass(slots=True)
class ScannedStream:
    """A streamed answer whose texts are scanned and restored."""

    policy: AnswerPolicy
    form: StreamForm
    ended: bool = False
    committed: StreamForm | None = None
    """The form as it was after the last frame that was passed on, for a cut of those that wait."""
    _lines: list[bytes] = field(default_factory=list)
    _texts: dict[tuple[Hashable, ...], _Text] = field(default_factory=dict)

    def feed(self, lines: bytes) -> bytes:
        """Return the events that may be passed on after some whole lines."""
        return b"".join(self.frames(lines))

    def frames(self, lines: bytes) -> Iterator[bytes]:
        """Yield the same one by one."""
        read_usage(lines, self.policy.usage)
        for line in lines.splitlines(keepends=True):
            self._lines.append(line)
            if not line.strip(b"\r\n"):
                event, self._lines = self._lines, []
                yield from self._event(event)
                if self.ended:
                    return

    def commit(self) -> None:
        """Note that every frame so far is passed on."""
        self.committed = copy.deepcopy(self.form)

    def cut(self) -> bytes:
        """Return the end of the stream after the last frame that was passed on."""
        self.form = self.committed or self.form
        return b"".join(self._end())

    def finish(self) -> bytes:
        """Return what was held back, at the end of the stream."""
        if self.ended:
            return b""
        lines, self._lines = self._lines, []
        sent = list(self._event([*lines, b"\n"])) if lines else []
        return b"".join([*sent, *self._flush(())])

    def _event(self, lines: list[bytes]) -> Iterator[bytes]:
        data = b"".join(line[5:].strip() for line in lines if line.startswith(b"data:"))
        try:
            event = msgspec.json.decode(data) if data.startswith(b"{") else None
        except (msgspec.DecodeError, UnicodeDecodeError):
            event = None
        if not isinstance(event, dict):
            if data:
                yield from self._flush(())
            if not self.ended:
                yield b"".join(lines)
            return
        self.form.begin(event)
        deltas = list(self.form.deltas(event))
        last = {delta.key for delta in deltas if delta.is_last}
        for ending in self.form.ends_texts(event):
            yield from self._flush(ending, last)
        if self.ended:
            return
        for holder, key, in_json in self.form.wholes(event):
            holder[key] = self.policy.passed(holder[key], in_json=in_json)
        ends = False
        for delta in deltas:
            text = self._texts.get(delta.key)
            if text is None:
                text = self._texts[delta.key] = _Text(self.policy, in_json=delta.in_json)
            delta.holder[delta.name] = passed = text.feed(delta.holder[delta.name])
            if delta.is_last and not text.ends:
                delta.holder[delta.name] = passed = passed + text.finish()
            self.form.passed(delta.key, passed)
            ends |= text.ends
        # A delta of which all is held back is sent with what comes after it; chat's may say more than its text.
        if not deltas or "choices" in event or any(delta.holder[delta.name] for delta in deltas):
            yield self._written(event)
        if ends:
            yield from self._end()

    def _flush(self, beginning: tuple[Hashable, ...], but: Collection[tuple[Hashable, ...]] = ()) -> Iterator[bytes]:
        """Yield what is held back of the texts whose keys begin so, unless a finding has ended the answer."""
        for key in [key for key in self._texts if key[: len(beginning)] == beginning and key not in but]:
            if self.ended:
                return
            text = self._texts.pop(key)
            rest = text.finish()
            if rest:
                self.form.passed(key, rest)
                yield self._written(self.form.rest(key, rest))
            if text.ends:
                yield from self._end()
                return

    def _end(self) -> Iterator[bytes]:
        self.ended = True
        for event in self.form.end():
            yield event if isinstance(event, bytes) else self._written(event)

    def _written(self, event: Event) -> bytes:
        self.form.number(event)
        # Chat's events have no name; that of the others is their type.
        kind = event.get("type") if "choices" not in event else None
        name = kind if isinstance(kind, str) else None
        return self.policy.spliced(format_event(msgspec.json.encode(event), name))
