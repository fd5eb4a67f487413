"""Text in pieces under the moderation API's limit: each character is in one, no short run is cut (ADR 68).

OpenAI documents no limit of a text input; catalogs of its models list 32,768 tokens for ``omni-moderation-latest``. A
token is at least one byte and a character at most four bytes of UTF-8, so that ``MAX_PIECE_CHARS`` characters of any
script stay below that. Shorter pieces would cost more calls, longer ones hide more: its guide says that accuracy falls
with length (platform.openai.com, "Moderation").
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MAX_PIECE_CHARS = 8_000
OVERLAP_CHARS = 400
SEPARATOR = "\n\n"

_LAST_SPACE = re.compile(r"\s\S*\Z")


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a joined, from ``start`` up to ``end``, and the numbers of the texts that have a part in it."""

    start: int
    end: int
    texts: range


@dataclass(frozen=True, slots=True)
class JoinedTexts:
    """Texts joined for moderation, in pieces of at most ``MAX_PIECE_CHARS`` characters that cover all of it.

    Every run of up to ``OVERLAP_CHARS`` characters is whole in one of the pieces. ``pieces_of_text`` counts, for each
    text, the pieces that have a part of it.
    """

    text: str
    pieces: Sequence[Piece]
    pieces_of_text: Sequence[int]


def contexts_of(texts: Sequence[str]) -> list[str]:
    """Return, for each text, the last ``OVERLAP_CHARS`` characters of what stands before it."""
    contexts = []
    before = ""
    for text in texts:
        contexts.append(before)
        before = text[-OVERLAP_CHARS:] if len(text) >= OVERLAP_CHARS else _tail(before, text)
    return contexts


def _tail(before: str, text: str) -> str:
    return (before + SEPARATOR + text if before else text)[-OVERLAP_CHARS:]


def join(texts: Sequence[str], contexts: Sequence[str], numbers: Sequence[int]) -> JoinedTexts:
    """Join the texts of these numbers, which rise, each directly after its context.

    ``Piece.texts`` counts along ``numbers``.
    """
    parts: list[str] = []
    spans: list[tuple[int, int]] = []
    end = 0

    def add(part: str) -> None:
        nonlocal end
        end += len(part) + (len(SEPARATOR) if parts else 0)
        parts.append(part)

    previous = -1
    for number in numbers:
        if number != previous + 1 and contexts[number]:
            add(contexts[number])
        add(texts[number])
        spans.append((end - len(texts[number]), end))
        previous = number
    text = SEPARATOR.join(parts)
    pieces = list(_with_texts(cut(text), spans))
    pieces_of_text = [0] * len(numbers)
    for piece in pieces:
        for number in piece.texts:
            pieces_of_text[number] += 1
    return JoinedTexts(text, pieces, pieces_of_text)


def cut(text: str) -> Iterator[tuple[int, int]]:
    """Yield the start and the end of each piece, cut at white space if there is any near."""
    start = 0
    while len(text) - start > MAX_PIECE_CHARS:
        end = _near_space(text, start + MAX_PIECE_CHARS)
        yield start, end
        start = _near_space(text, end - OVERLAP_CHARS)
    yield start, len(text)


def _near_space(text: str, index: int) -> int:
    """Return the index after the last white space in the ``OVERLAP_CHARS`` before ``index``, or ``index``."""
    window_start = index - OVERLAP_CHARS
    space = _LAST_SPACE.search(text[window_start:index])
    return window_start + space.start() + 1 if space else index


def _with_texts(pieces: Iterator[tuple[int, int]], spans: Sequence[tuple[int, int]]) -> Iterator[Piece]:
    first = 0
    for start, end in pieces:
        while first < len(spans) and spans[first][1] <= start:
            first += 1
        after = first
        while after < len(spans) and spans[after][0] < end:
            after += 1
        yield Piece(start, end, range(first, after))
