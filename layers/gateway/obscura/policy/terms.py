"""Allow and deny lists: which of up to 10,000 terms and expressions a text has, and where."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

from obscura.policy.document import Regex
from obscura.policy.folding import View, fold, folded_view, plain_view
from obscura.policy.regexes import RegexError, compile_bytes, compile_regex
from obscura.policy.utf8 import Offsets, utf8

MAX_LIST_BYTES = 256 * 1024
"""UTF-8 of one list's terms, folded: 10,000 terms of 20 characters. It compiles in a second."""
MAX_MEMORY_BYTES = 128 * 1024 * 1024
"""What an automaton may take: 64 bytes for a byte of pattern, for a policy's and a floor's terms together."""
MAX_NAMED_HITS = 100
"""Hits of one text that are named; what follows has no effect on a decision."""

_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_EDGE = rf"(?:[^\pL\pN\pM]|[{_UNSPACED}])"
"""What a word ends at: no letter, digit or mark, or a letter of a script that is written without spaces."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A term or an expression in a text, at ``text[start:end]`` of the source."""

    name: str
    start: int
    end: int


def list_bytes(terms: Sequence[str]) -> int:
    """Return what the terms of a list take of ``MAX_LIST_BYTES``."""
    return sum(len(utf8(fold(term))) for term in terms)


class TermMatcher:
    """Terms compiled into one automaton for each kind of edge: linear in the text, whatever the number of terms.

    A term is a whole word or several; ``*`` at its beginning or end opens that edge. At each place the longest term is
    found, and the search goes on after it.
    """

    def __init__(self, terms: Sequence[str]) -> None:
        """Compile; takes about 50 ms for 1,000 terms."""
        kinds: dict[tuple[str, str], dict[str, str]] = {}
        for term in terms:
            words = " ".join(fold(term.strip("*")).split())
            left = "" if term.startswith("*") or not _is_spaced(words[0]) else _EDGE
            right = "" if term.endswith("*") or not _is_spaced(words[-1]) else _EDGE
            kinds.setdefault((left, right), {}).setdefault(words, term)
        self._kinds = [(_automaton(left, right, named), named) for (left, right), named in kinds.items()]

    def hits(self, view: View, encoded: bytes) -> Iterator[Hit]:
        """Yield the hits in a folded view; ``encoded`` is its text in UTF-8 between two spaces."""
        for automaton, named in self._kinds:
            position, offsets = 0, Offsets(encoded)
            while (found := automaton.search(encoded, position)) is not None:
                start, position = found.span(1)
                term = named[" ".join(found.group(1).decode().split())]
                # The text begins after a space.
                yield Hit(term, *view.source_span(offsets.character(start) - 1, offsets.character(position) - 1))


@dataclass(frozen=True, slots=True)
class RegexMatcher:
    """Expressions of a document, each searched by itself in the plain text."""

    regexes: Sequence[tuple[str, Any]]
    any_of_them: Any

    @classmethod
    def of(cls, regexes: Sequence[Regex]) -> "RegexMatcher":
        """Compile expressions that have been accepted, each and all of them in one."""
        compiled = [(regex.name, compile_regex(regex.regex)) for regex in regexes]
        in_one = "|".join(f"(?:{regex.regex})" for regex in regexes)
        try:
            return cls(compiled, compile_bytes(f"(?i){in_one}", max_memory_bytes=MAX_MEMORY_BYTES) if regexes else None)
        except RegexError:
            # Two that name a group alike, or too large in one: each is searched by itself.
            return cls(compiled, None)

    def names(self, encoded: bytes) -> list[str]:
        """Return the names of those that a plain text, in UTF-8, has a match of."""
        if self.any_of_them is not None and self.any_of_them.search(encoded) is None:
            return []
        return [name for name, compiled in self.regexes if compiled.search(encoded) is not None]

    def hits(self, view: View, encoded: bytes) -> Iterator[Hit]:
        """Yield every match."""
        for name, compiled in self.regexes:
            offsets = Offsets(encoded)
            for found in compiled.finditer(encoded):
                start, end = offsets.character(found.start()), offsets.character(found.end())
                if end > start:
                    yield Hit(name, *view.source_span(start, end))


class ListMatcher:
    """One list: its terms and its expressions."""

    def __init__(self, terms: Sequence[str], regexes: Sequence[Regex] = ()) -> None:
        """Compile both."""
        self._terms = TermMatcher(terms) if terms else None
        self._regexes = RegexMatcher.of(regexes)

    def __bool__(self) -> bool:
        return self._terms is not None or bool(self._regexes.regexes)

    def names(self, text: "SearchedText") -> list[str]:
        """Return what is hit, each once, terms first."""
        hits = self._terms.hits(text.folded, text.encoded_folded) if self._terms else iter(())
        terms = [hit.name for hit in islice(hits, MAX_NAMED_HITS)]
        regexes = self._regexes.names(text.encoded_plain) if self._regexes.regexes else ()
        return list(dict.fromkeys([*terms, *regexes]))

    def hits(self, text: "SearchedText") -> list[Hit]:
        """Return every hit with its place."""
        terms = self._terms.hits(text.folded, text.encoded_folded) if self._terms else ()
        regexes = self._regexes.hits(text.plain, text.encoded_plain) if self._regexes.regexes else ()
        return [*terms, *regexes]


class SearchedText:
    """A text with the forms in which it is searched, each made once, when it is first needed."""

    def __init__(self, text: str) -> None:
        """``text`` is as the caller wrote it."""
        self.text = text
        self._folded: tuple[View, bytes] | None = None
        self._plain: tuple[View, bytes] | None = None

    @property
    def folded(self) -> View:
        """The text as terms are compared."""
        return self._folded_forms()[0]

    @property
    def encoded_folded(self) -> bytes:
        """The folded text in UTF-8, with a space before and after it, at which words end."""
        return self._folded_forms()[1]

    @property
    def plain(self) -> View:
        """The text without invisible characters and compatibility forms."""
        return self._plain_forms()[0]

    @property
    def encoded_plain(self) -> bytes:
        """The plain text in UTF-8."""
        return self._plain_forms()[1]

    def _folded_forms(self) -> tuple[View, bytes]:
        if self._folded is None:
            view = folded_view(self.text)
            self._folded = view, b" %b " % utf8(view.text)
        return self._folded

    def _plain_forms(self) -> tuple[View, bytes]:
        if self._plain is None:
            view = plain_view(self.text)
            self._plain = view, utf8(view.text)
        return self._plain


def _automaton(left: str, right: str, named: dict[str, str]) -> Any:
    import re

    longest_first = sorted(named, key=len, reverse=True)
    escaped = (re.escape(words).replace("\\ ", " +").replace("/", r"\/") for words in longest_first)
    return compile_bytes(f"{left}({'|'.join(escaped)}){right}", captures=True, max_memory_bytes=MAX_MEMORY_BYTES)


def _is_spaced(character: str) -> bool:
    """Whether a word that begins or ends with this character ends where another letter begins."""
    return character.isalnum() and (character.isascii() or _unspaced_letter().search(character.encode()) is None)


@lru_cache(maxsize=1)
def _unspaced_letter() -> Any:
    return compile_bytes(f"[{_UNSPACED}]")
