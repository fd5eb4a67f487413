"""The text of an answer, scanned in windows as it comes, with a bounded hold-back."""

from collections.abc import Sequence
from dataclasses import dataclass

from obscura.policy.decision import Decision, Finding, Layer
from obscura.policy.redaction import RedactionRules
from obscura.policy.terms import ListMatcher, SearchedText

HOLD_BACK_CHARS = 256
"""Characters at the end of what has come that are not passed on yet: what is longer may have begun to pass."""
STEP_CHARS = 64
"""New characters after which a window is scanned: each costs a scan of the hold-back too."""
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
        # What has passed stays in view as far as a word's edge needs it.
        offset = len(self._context)
        window = SearchedText(self._context + self._held)
        spans = self._masked.spans(window) if self._masked else []
        limit = len(window.text) if is_last else max(offset, self._safe_end(window.text, spans))
        findings, end = self._denied(window, limit, offset)
        cut = limit if end is None else end
        self._ended = end is not None
        kinds = [kind for start, stop, kind in spans if offset <= start and stop <= cut]
        if kinds:
            findings += self._masked_finding(kinds)
        text = _masked(window.text, [span for span in spans if span[1] > offset and span[0] < cut], offset, cut)
        self._context = window.text[max(0, cut - 1) : cut]
        self._held = "" if self._ended else window.text[cut:]
        return Released(text, tuple(findings), self._ended)

    def _safe_end(self, text: str, spans: Sequence[tuple[int, int, str]]) -> int:
        """Return the end of what passes: before the hold-back, and not inside of a value that is masked."""
        end = len(text) - HOLD_BACK_CHARS
        for start, stop, _ in spans:
            if start < end < stop or (stop == len(text) and start < end):
                end = start if len(text) - start <= MAX_HELD_CHARS else end
        return end

    def _denied(self, window: SearchedText, limit: int, offset: int) -> tuple[list[Finding], int | None]:
        """Return findings of entries not reported before, and where the text ends if one of them ends it."""
        findings: list[Finding] = []
        ends: list[int] = []
        for layer, denylist in self._denylists:
            hits = [hit for hit in denylist.hits(window) if hit.end > offset]
            new = dict.fromkeys(hit.name for hit in hits if f"{layer.name}:{hit.name}" not in self._reported)
            if not new:
                continue
            finding = layer.found("denylist", "in the answer", hits=tuple(new), param=None)
            if finding.decision.reaches_model:
                new = dict.fromkeys(hit.name for hit in hits if hit.end <= limit and hit.name in new)
                finding = layer.found("denylist", "in the answer", hits=tuple(new))
            else:
                ends.append(min(max(hit.start, offset) for hit in hits))
            if new:
                self._reported |= {f"{layer.name}:{name}" for name in new}
                findings.append(finding)
        return findings, min(ends, default=None)

    def _masked_finding(self, kinds: Sequence[str]) -> list[Finding]:
        new = [kind for kind in dict.fromkeys(kinds) if f"mask:{kind}" not in self._reported]
        self._reported |= {f"mask:{kind}" for kind in new}
        detail = f"masked in the answer: {', '.join(new)}"
        return [Finding("output.redact", Decision.REDACT, "REDACT", detail)] if new else []


def _masked(text: str, spans: Sequence[tuple[int, int, str]], start: int, end: int) -> str:
    parts, position = [], start
    for first, stop, kind in spans:
        parts += [text[position : max(first, position)], f"[{kind.upper()}]"]
        position = stop
    return "".join([*parts, text[position:end]])
