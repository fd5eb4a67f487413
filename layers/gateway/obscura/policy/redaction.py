"""Reversible redaction: values become placeholders such as ``{EMAIL_1}``, and come back in the answer.

The values live in the ``Redactor`` of one request and nowhere else: they are never logged, stored or sent.
"""

import json
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from obscura.policy.pii import find_pii
from obscura.policy.secret_patterns import find_secrets
from obscura.policy.terms import ListMatcher, SearchedText

MAX_PLACEHOLDER_CHARS = 32
_PLACEHOLDER = re.compile(r"\{[A-Z][A-Z_]{0,20}_[1-9][0-9]{0,5}\}")
_UNFINISHED = re.compile(r"\{(?:[A-Z][A-Z_]{0,20}(?:_[0-9]{0,6})?)?\Z")


@dataclass(frozen=True, slots=True)
class RedactionRules:
    """What is redacted: kinds of PII, secrets, terms and expressions."""

    pii: Collection[str] = ()
    secrets: bool = False
    matcher: ListMatcher | None = None

    def __bool__(self) -> bool:
        return bool(self.pii) or self.secrets or bool(self.matcher)

    def spans(self, text: SearchedText) -> list[tuple[int, int, str]]:
        """Return the places in the source and their kinds, in order; places that overlap are one."""
        plain = text.plain
        found = [*find_pii(plain.text, text.encoded_plain, self.pii)] if self.pii else []
        if self.secrets:
            found += find_secrets(plain.text, text.encoded_plain)
        spans = [(*plain.source_span(value.start, value.end), value.kind) for value in found]
        if self.matcher:
            spans += [(hit.start, hit.end, "term") for hit in self.matcher.hits(text)]
        return _merged(spans)


def _merged(spans: Iterable[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Return spans in order, those that overlap made one: no part of a value stays."""
    merged: list[tuple[int, int, str]] = []
    for start, end, kind in sorted(spans, key=lambda span: (span[0], -span[1])):
        if merged and start < merged[-1][1]:
            first = merged[-1]
            merged[-1] = (first[0], max(first[1], end), first[2])
        else:
            merged.append((start, end, kind))
    return merged


class Redactor:
    """The redaction of one request. The same value has the same placeholder in all its texts."""

    def __init__(self, rules: RedactionRules, texts: Sequence[str] = ()) -> None:
        """``texts`` are all texts of the request: no placeholder is used that the caller wrote."""
        self._rules = rules
        self._written = {found for text in texts if "{" in text for found in _PLACEHOLDER.findall(text)}
        self._placeholders: dict[tuple[str, str], str] = {}
        self._values: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    @property
    def kinds(self) -> dict[str, int]:
        """How many different values of each kind were redacted."""
        counts: dict[str, int] = {}
        for kind, _ in self._placeholders:
            counts[kind] = counts.get(kind, 0) + 1
        return counts

    def redact(self, text: SearchedText) -> str:
        """Return the text with a placeholder in place of each value."""
        spans = self._rules.spans(text)
        if not spans:
            return text.text
        parts, position = [], 0
        for start, end, kind in spans:
            parts += [text.text[position:start], self._placeholder(kind, text.text[start:end])]
            position = end
        return "".join([*parts, text.text[position:]])

    def redacted(self, text: str, searched: SearchedText) -> str:
        """Return a text redacted; ``searched`` is it without escapes, and in its place only if a value is in it."""
        new = self.redact(searched)
        return text if new == searched.text else new

    def _placeholder(self, kind: str, value: str) -> str:
        known = self._placeholders.get((kind, value))
        if known is not None:
            return known
        while True:
            self._counts[kind] = number = self._counts.get(kind, 0) + 1
            placeholder = f"{{{kind.upper()}_{number}}}"
            if placeholder not in self._written:
                break
        self._placeholders[kind, value] = placeholder
        self._values[placeholder] = value
        return placeholder

    def restore(self, text: str, *, in_json: bool = False) -> str:
        """Return a text of the model with the values put back; ``in_json`` if it is JSON, as tool arguments are."""
        if not self._values or "{" not in text:
            return text

        def value_of(found: re.Match[str]) -> str:
            value = self._values.get(found[0])
            if value is None:
                return found[0]
            return json.dumps(value, ensure_ascii=False)[1:-1] if in_json else value

        return _PLACEHOLDER.sub(value_of, text)

    def stream(self, *, in_json: bool = False) -> "StreamRestorer":
        """Return the restorer of one streamed text of the answer."""
        return StreamRestorer(self, in_json=in_json)


class StreamRestorer:
    """Puts values back in a text that comes in chunks; holds back at most ``MAX_PLACEHOLDER_CHARS`` characters."""

    def __init__(self, redactor: Redactor, *, in_json: bool) -> None:
        """``redactor`` is the request's; one restorer for each text of the answer."""
        self._redactor = redactor
        self._in_json = in_json
        self._held = ""

    def feed(self, chunk: str) -> str:
        """Return what can be passed on: all but the beginning of a placeholder at the end."""
        text = self._held + chunk
        start = text.rfind("{", max(0, len(text) - MAX_PLACEHOLDER_CHARS))
        held = start >= 0 and _UNFINISHED.match(text, start) is not None
        self._held = text[start:] if held else ""
        return self._redactor.restore(text[:start] if held else text, in_json=self._in_json)

    def finish(self) -> str:
        """Return what was held back."""
        held, self._held = self._held, ""
        return self._redactor.restore(held, in_json=self._in_json)


def mask(text: str, rules: RedactionRules) -> tuple[str, list[str]]:
    """Return a text of the model with ``[EMAIL]`` and the like for each value, and the kinds; not reversible."""
    spans = rules.spans(SearchedText(text))
    parts, position = [], 0
    for start, end, kind in spans:
        parts += [text[position:start], f"[{kind.upper()}]"]
        position = end
    return "".join([*parts, text[position:]]), [kind for _, _, kind in spans]
