"""The answer under a policy: its texts scanned and restored, the decision in it and in every frame of its stream."""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import msgspec

from obscura.dialects.sse import LineSplitter
from obscura.policy.decision import Finding
from obscura.policy.engine import CompiledPolicy
from obscura.policy.output import OutputScanner, Released
from obscura.policy.redaction import Redactor
from obscura.policy.render import Shown, splice, splice_events, with_failed_checks, with_output, with_shadow_output
from obscura.policy.rollout import Outcome

CONTENT_KEYS = ("choices", "content", "output")
"""Where a whole answer of a dialect has what the model wrote: chat, messages, responses."""

TEXT_KEYS = frozenset(
    {"text", "content", "refusal", "reasoning_content", "reasoning", "thinking", "transcript", "code"}
)
JSON_KEYS = frozenset({"arguments", "partial_json"})
"""Strings that are JSON text: values put back into them are escaped."""

INPUT_KEY = "input"
"""Of a tool call: an object, or the text of a custom tool."""

BYTES_PER_TOKEN = 4
CHARS_PER_TOKEN = 4


class Usage:
    """The tokens of an answer as the upstream counts them, or an estimate by what has passed."""

    def __init__(self, input_estimate: int) -> None:
        """``input_estimate`` are the tokens of the request, estimated."""
        self._input: int | None = None
        self._output: int | None = None
        self._estimate = input_estimate

    def read(self, answer: dict[str, Any]) -> None:
        """Read a whole answer, or an event: the usage of chat, of messages (in two events), of responses."""
        for holder in (answer, answer.get("message"), answer.get("response")):
            usage = holder.get("usage") if isinstance(holder, dict) else None
            if isinstance(usage, dict):
                for key in ("prompt_tokens", "input_tokens"):
                    self._input = max(self._input or 0, _count(usage.get(key))) if key in usage else self._input
                for key in ("completion_tokens", "output_tokens"):
                    self._output = max(self._output or 0, _count(usage.get(key))) if key in usage else self._output

    def add_output_bytes(self, count: int) -> None:
        """Count bytes of the answer for the estimate."""
        self._estimate += count // BYTES_PER_TOKEN

    @property
    def tokens(self) -> int | None:
        """The tokens of both, None if the upstream did not say."""
        return None if self._input is None or self._output is None else self._input + self._output

    @property
    def estimate(self) -> int:
        """What is counted where the upstream says nothing."""
        return self._estimate


def _count(value: object) -> int:
    return int(value) if isinstance(value, int | float) and value > 0 else 0


@dataclass(frozen=True, slots=True)
class WholeAnswer:
    """An answer as it was read, where it has texts, and these as the scan leaves them."""

    answer: dict[str, Any]
    places: Sequence[tuple[Any, Any, bool]]
    texts: Sequence[str]
    body: bytes


class TextScanner(Protocol):
    """Scans one text of an answer as it comes."""

    def feed(self, chunk: str) -> Released:
        """Return what may be passed on after ``chunk`` has come."""
        ...

    def finish(self) -> Released:
        """Return the rest."""
        ...


class _Shadowed:
    """A text that the version that holds scans, and one in shadow reads."""

    def __init__(self, scanner: OutputScanner, shadow: OutputScanner, answer: "AnswerPolicy") -> None:
        self._scanner = scanner
        self._shadow = shadow
        self._answer = answer

    def feed(self, chunk: str) -> Released:
        """Return what the version that holds releases."""
        self._answer.found_in_shadow(self._shadow.feed(chunk).findings)
        return self._scanner.feed(chunk)

    def finish(self) -> Released:
        """Return the rest of it."""
        self._answer.found_in_shadow(self._shadow.finish().findings)
        return self._scanner.finish()


class AnswerPolicy:
    """What a policy does to one answer."""

    def __init__(
        self,
        policy: CompiledPolicy,
        redactor: Redactor,
        shown: Shown,
        usage: Usage,
        shadow: CompiledPolicy | None = None,
    ) -> None:
        """``policy`` is the one that holds, ``redactor`` the request's; ``shadow`` reads the texts without effect."""
        self._policy = policy
        self._shadow = shadow
        self.redactor = redactor
        self.shown = shown
        self.usage = usage
        self._json = shown.json()
        self.reviews = policy.moderates_output or bool(policy.output_checks)
        self.changes_texts = policy.scans_output or bool(redactor.kinds) or self.reviews
        self.reads_texts = self.changes_texts or shadow is not None
        self.failed_checks: dict[str, str] = {}
        """The checks of the answer that had no result, by their rule, and what became of it."""
        self.findings: list[Finding] = []
        """Of the answer, each once."""
        self.unreviewed: list[str] = []
        """What a stream has released of the model's texts since the last review."""

    def found(self, findings: tuple[Finding, ...]) -> None:
        """Add findings in the answer to the decision, for what is sent from here on."""
        self.findings += [found for found in findings if found not in self.findings]
        if findings:
            self._show(with_output(self.shown.outcome, findings))

    def found_in_shadow(self, findings: tuple[Finding, ...]) -> None:
        """Add what a version in shadow finds to what is reported."""
        self.findings += [found for found in findings if found not in self.findings]
        if findings:
            self._show(with_shadow_output(self.shown.outcome, findings))

    def failed(self, checks: Sequence[tuple[str, str]]) -> None:
        """Add checks of the answer that had no result."""
        new = {name: reason for name, reason in checks if name not in self.failed_checks}
        if new:
            self.failed_checks |= new
            self._show(with_failed_checks(self.shown.outcome, new))

    def _show(self, outcome: Outcome) -> None:
        self.shown = replace(self.shown, outcome=outcome)
        self._json = self.shown.json()

    def spliced(self, events: bytes) -> bytes:
        """Return whole lines of a stream with the decision as it stands in each frame."""
        return splice_events(events, self._json)

    def scanned(self, body: bytes) -> "WholeAnswer":
        """Read a whole answer, and scan its texts; the decision may be a refusal by then."""
        answer = msgspec.json.decode(body)
        self.usage.read(answer)
        self.usage.add_output_bytes(len(body))
        if not self.reads_texts:
            return WholeAnswer(answer, (), (), body)
        places = tuple(texts_of(answer))
        return WholeAnswer(answer, places, tuple(self._scanned(holder[key]) for holder, key, _ in places), body)

    def whole(self, scanned: "WholeAnswer", texts: Sequence[str]) -> bytes:
        """Return a whole answer with these texts, restored, and with the decision."""
        body = scanned.body
        if self.changes_texts:
            for (holder, key, in_json), text in zip(scanned.places, texts, strict=True):
                holder[key] = self.redactor.restore(text, in_json=in_json)
            body = msgspec.json.encode(scanned.answer)
        return splice(body, self._json)

    def _scanned(self, text: str) -> str:
        scanner = self.scanner()
        first = scanner.feed(text)
        last = scanner.finish()
        self.found((*first.findings, *last.findings))
        return first.text + last.text

    def passed(self, text: str, *, in_json: bool) -> str:
        """Return a whole text of the model as the caller gets it."""
        scanned = self._scanned(text)
        self.note(scanned)
        return self.redactor.restore(scanned, in_json=in_json)

    def note(self, text: str) -> None:
        """Note a text that is released, for the review; what nothing reviews is not kept."""
        if self.reviews and text:
            self.unreviewed.append(text)

    def scanner(self) -> TextScanner:
        """Return the scanner of one text."""
        scanner = self._policy.output_scanner()
        return scanner if self._shadow is None else _Shadowed(scanner, self._shadow.output_scanner(), self)


def texts_of(answer: dict[str, Any]) -> Iterator[tuple[Any, Any, bool]]:
    """Yield where a whole answer has what the model wrote: the holder, its key, and whether the string is JSON."""
    for key in CONTENT_KEYS:
        yield from texts_in(answer.get(key))


def texts_in(node: Any) -> Iterator[tuple[Any, Any, bool]]:
    """Yield the same for a part of an answer."""
    if isinstance(node, list):
        for value in node:
            yield from texts_in(value)
    elif isinstance(node, dict):
        for key, value in list(node.items()):
            if key == INPUT_KEY and value:
                yield from _strings_in(node, key)
            elif isinstance(value, str):
                if key in TEXT_KEYS or key in JSON_KEYS:
                    yield node, key, key in JSON_KEYS
            else:
                yield from texts_in(value)


def _strings_in(holder: Any, key: Any) -> Iterator[tuple[Any, Any, bool]]:
    value = holder[key]
    if isinstance(value, str):
        yield holder, key, False
    elif isinstance(value, dict | list):
        for inner in value if isinstance(value, dict) else range(len(value)):
            yield from _strings_in(value, inner)


class StreamedAnswer(Protocol):
    """A streamed answer under a policy, frame by frame."""

    ended: bool
    """Whether a finding ended it: nothing more is read of the upstream."""

    def feed(self, lines: bytes) -> bytes:
        """Return what may be passed on after some whole lines."""
        ...

    def finish(self) -> bytes:
        """Return what was held back."""
        ...


class SplicedStream:
    """A streamed answer whose texts no rule changes: only the decision is added, and the usage read."""

    def __init__(self, policy: AnswerPolicy) -> None:
        self._policy = policy
        self.ended = False

    def feed(self, lines: bytes) -> bytes:
        """Return the lines with the decision."""
        read_usage(lines, self._policy.usage)
        return self._policy.spliced(lines)

    def finish(self) -> bytes:
        """Return nothing: nothing is held back."""
        return b""


def read_usage(lines: bytes, usage: Usage) -> None:
    """Read the usage in whole lines of a stream, and count their bytes for the estimate."""
    usage.add_output_bytes(len(lines) // 8)  # a frame has about so many bytes around one of text
    if b'"usage"' in lines:
        for line in lines.splitlines():
            if line.startswith(b"data:") and b'"usage"' in line:
                try:
                    event = msgspec.json.decode(line[5:])
                except (msgspec.DecodeError, UnicodeDecodeError):
                    continue
                if isinstance(event, dict):
                    usage.read(event)


async def stream_under(chunks: AsyncIterator[bytes], answer: StreamedAnswer) -> AsyncIterator[bytes]:
    """Yield a stream as the caller gets it; it ends early if a finding ends the answer."""
    lines = LineSplitter()
    async for chunk in chunks:
        whole = lines.feed(chunk)
        if whole and (passed := answer.feed(whole)):
            yield passed
        if answer.ended:
            return
    rest = lines.finish()
    last = (answer.feed(rest) if rest else b"") + answer.finish()
    if last:
        yield last
