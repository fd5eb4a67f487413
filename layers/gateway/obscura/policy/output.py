"""The text of an answer, scanned in windows as it comes, with a bounded hold-back."""

from collections.abc import Sequence
from dataclasses import dataclass

from obscura.policy.decision import Decision, Finding, Layer
from obscura.policy.redaction import RedactionRules
from obscura.policy.terms import Hit, ListMatcher, SearchedText

HOLD_BACK_CHARS = 256
"""Characters at the end of what has come that are not passed on yet: what is longer may have begun to pass."""
STEP_CHARS = 64
"""New characters after which a window is scanned: each costs a scan of the hold-back too."""
CONTEXT_CHARS = 64
"""Characters that have passed and stay in view, for what begins at the edge of a word or of a number."""
MAX_HELD_CHARS = 8_192


@dataclass(frozen=True, slots=True)
class Released:
    """What may be passed on, and what was found in it; ``ends`` if nothing after it may."""

    text: str
    findings: tuple[Finding, ...] = ()
    ends: bool = False


class OutputScanner:
    """Scans one text of the answer by the denylist, and masks values (``[EMAIL]``), before placeholders come back.

    With a decision that does not reach the model (block, escalate, rewrite, summarize) the text ends before the hit:
    what was passed on stays. At most ``MAX_HELD_CHARS`` characters are held.
    """

    def __init__(self, denylists: Sequence[tuple[Layer, ListMatcher]], masked: RedactionRules) -> None:
        """Without lists and rules, everything passes as it comes."""
        self._denylists = denylists
        self._masked = masked
        self._is_idle = not denylists and not masked
        self._context = ""
        self._held = ""
        self._unscanned = 0
        self._reported: set[str] = set()
        self._ended = False

    def feed(self, chunk: str) -> Released:
        """Return what may be passed on after ``chunk`` has come."""
        if self._is_idle:
            return Released(chunk)
        if self._ended:
            return Released("", ends=True)
        self._held += chunk
        self._unscanned += len(chunk)
        if self._unscanned < STEP_CHARS or len(self._held) <= HOLD_BACK_CHARS:
            return Released("")
        return self._scan(is_last=False)

    def finish(self) -> Released:
        """Return the rest."""
        if self._is_idle or self._ended:
            return Released("", ends=self._ended)
        return self._scan(is_last=True)

    def _scan(self, *, is_last: bool) -> Released:
        self._unscanned = 0
        offset = len(self._context)
        window = SearchedText(self._context + self._held)
        length = len(window.text)
        spans = self._masked.spans(window) if self._masked else []
        # What touches the end may go on in the next chunk, and so be something else.
        hits = [
            (layer, hit)
            for layer, denylist in self._denylists
            for hit in denylist.hits(window)
            if hit.end > offset and (is_last or hit.end < length)
        ]
        cut = length
        if not is_last:
            places = [(start, stop) for start, stop, _ in spans] + [(hit.start, hit.end) for _, hit in hits]
            cut = max(offset, _before_all(length - HOLD_BACK_CHARS, length, places))
        findings, end = self._denied(hits, cut, offset)
        if end is not None:
            self._ended, cut = True, end
        passed = [span for span in spans if span[1] > offset and span[0] < cut]
        findings += self._masked_finding([kind for _, _, kind in passed])
        text = _masked(window.text, passed, offset, cut)
        self._context = window.text[max(0, cut - CONTEXT_CHARS) : cut]
        self._held = "" if self._ended else window.text[cut:]
        return Released(text, tuple(findings), self._ended)

    def _denied(self, hits: Sequence[tuple[Layer, Hit]], cut: int, offset: int) -> tuple[list[Finding], int | None]:
        """Return findings of entries not reported before, and where the text ends if one of them ends it."""
        names: dict[Layer, dict[str, int]] = {}
        for layer, hit in hits:
            names.setdefault(layer, {}).setdefault(hit.name, hit.start)
        findings, ends = [], []
        for layer, starts in names.items():
            finding = layer.found("denylist", "in the answer", hits=tuple(starts))
            if not finding.decision.reaches_model:
                ends.append(max(offset, min(starts.values())))
                findings.append(finding)
                continue
            new = [
                name for name, start in starts.items() if start < cut and f"{layer.name}:{name}" not in self._reported
            ]
            self._reported |= {f"{layer.name}:{name}" for name in new}
            if new:
                findings.append(layer.found("denylist", "in the answer", hits=tuple(new)))
        return findings, min(ends, default=None)

    def _masked_finding(self, kinds: Sequence[str]) -> list[Finding]:
        new = [kind for kind in dict.fromkeys(kinds) if f"mask:{kind}" not in self._reported]
        self._reported |= {f"mask:{kind}" for kind in new}
        detail = f"masked in the answer: {', '.join(new)}"
        return [Finding("output.redact", Decision.REDACT, "REDACT", detail)] if new else []


def _before_all(end: int, length: int, places: Sequence[tuple[int, int]]) -> int:
    """Return ``end``, or the start of the first place that it would cut or that may go on, if that is not too far."""
    starts = [start for start, stop in places if start < end < stop or (stop == length and start < end)]
    first = min(starts, default=end)
    return first if length - first <= MAX_HELD_CHARS else end


def _masked(text: str, spans: Sequence[tuple[int, int, str]], start: int, end: int) -> str:
    parts, position = [], start
    for first, stop, kind in spans:
        parts += [text[position : max(first, position)], f"[{kind.upper()}]"]
        position = stop
    return "".join([*parts, text[position:end]])
