"""Text folded against evasions: case, compatibility forms, invisible characters, marks, lookalikes (ADR 92).

Both a term and the text are folded, each character by itself, so that what is equal stays equal and every folded
character comes from a known place. Sources: Unicode Standard Annex 15 (NFKD), the invisible characters of UAX 44
(general category Cf and ignorable ones), the letters of living scripts that Technical Standard 39 calls lookalikes.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

MAX_CACHED_CHARACTERS = 20_000
MAX_REPLACEMENTS = 100

_LOOKALIKES = (
    "аaвbеeкkмmнhоoрpсcтtуyхxіiјjѕsһhԁdԛqԝwӏlєeүyҳxқkңhәeөo"  # Cyrillic
    "αaβbεeιiκkνvοoρpτtυyχxηhζzμmγyωw"  # Greek
    "օoսuհhոnցgլlքpզqյjտsվu"  # Armenian
    "ɑaɡgıiȷjɩiɪiʟlᴀaʙbᴄcᴅdᴇeꜰfɢgʜhᴊjᴋkᴍmɴnᴏoᴘpʀrꜱsᴛtᴜuᴠvᴡwʏyᴢzøođdłlŧtħhƒfɨiƀbɐaǝeɔcʌv"  # Latin
)
_LOOKALIKE = dict(zip(_LOOKALIKES[::2], _LOOKALIKES[1::2], strict=True))

_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180e\u180f\u2800\u3164\uffa0")
_DASHES = frozenset("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d")

_TAGS = re.compile("[\U000e0020-\U000e007e]")
"""Tag characters: an invisible ASCII that models read (Unicode Standard, section 23.9)."""


def _is_invisible(character: str) -> bool:
    code = ord(character)
    return (
        unicodedata.category(character) == "Cf"
        or character in _INVISIBLE
        or 0xFE00 <= code <= 0xFE0F  # variation selectors
        or 0xE0000 <= code <= 0xE0FFF
    )


def _is_optional_mark(character: str) -> bool:
    """Whether a mark may be left out of a word without making it another: not those that are vowels of a script."""
    code = ord(character)
    return unicodedata.category(character) in {"Mn", "Me"} and (
        0x0300 <= code <= 0x036F
        or 0x0483 <= code <= 0x0489
        or 0x0591 <= code <= 0x05C7
        or 0x064B <= code <= 0x065F
        or code == 0x0670
        or 0x06D6 <= code <= 0x06ED
        or 0x1AB0 <= code <= 0x1AFF
        or 0x1DC0 <= code <= 0x1DFF
        or 0x20D0 <= code <= 0x20FF
        or 0xFE20 <= code <= 0xFE2F
    )


def _plain_character(character: str) -> str:
    """Return what a reader sees, case and accents kept."""
    if _is_invisible(character):
        return ""
    if character.isspace():
        return " "
    if character in _DASHES:
        return "-"
    if character.isdecimal() and not character.isascii():
        return str(unicodedata.decimal(character))
    return unicodedata.normalize("NFKC", character)


def _folded_character(character: str) -> str:
    """Return the plain character without case, optional marks and the script it is written in."""
    code = ord(character)
    if _is_optional_mark(character):
        return ""
    if 0x1F1E6 <= code <= 0x1F1FF:  # regional indicators
        return chr(code - 0x1F1E6 + 0x61)
    for squared in (0x1F130, 0x1F150, 0x1F170):  # letters in squares and discs
        if squared <= code < squared + 26:
            return chr(code - squared + 0x61)
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", _plain_character(character)).casefold())
    kept = (part for part in decomposed if not _is_optional_mark(part) and not _is_invisible(part))
    return "".join(" " if part.isspace() else _LOOKALIKE.get(part, part) for part in kept)


class _Table(dict[int, str]):
    """A table for ``str.translate`` that is filled as characters turn up; its size is bounded."""

    def __init__(self, character: Callable[[str], str]) -> None:
        super().__init__()
        self._character = character

    def __missing__(self, code: int) -> str:
        translated = self._character(chr(code))
        if len(self) < MAX_CACHED_CHARACTERS:
            self[code] = translated
        return translated


_PLAIN = _Table(_plain_character)
_FOLDED = _Table(_folded_character)
_ASCII_SPACES = "\t\n\v\f\r\x1c\x1d\x1e\x1f"


def fold(text: str) -> str:
    """Return the text as terms are compared."""
    if not text.isascii():
        return _translated(text, _FOLDED)
    folded = text.lower()
    for space in _ASCII_SPACES:
        folded = folded.replace(space, " ")
    return folded


def _translated(text: str, table: _Table) -> str:
    """Return ``text.translate(table)``, in a third of its time where few different characters change."""
    changes = {character: table[ord(character)] for character in set(text)}
    changes = {character: to for character, to in changes.items() if to != character}
    if len(changes) > MAX_REPLACEMENTS or not changes.keys().isdisjoint("".join(changes.values())):
        return text.translate(table)
    for character, to in changes.items():
        text = text.replace(character, to)
    return text


@dataclass(frozen=True, slots=True)
class View:
    """A text in another form; ``origins[i]`` is where character ``i`` is in the source, None if all are at ``i``."""

    text: str
    origins: list[int] | None
    source_chars: int

    def source_span(self, start: int, end: int) -> tuple[int, int]:
        """Return the span of the source that ``text[start:end]`` comes from; it is not empty."""
        if self.origins is None:
            return start, end
        return self.origins[start], max(self.origins[end - 1], self.origins[start]) + 1


def folded_view(text: str) -> View:
    """Return the text as terms are compared, with the source of each character."""
    return _view(text, fold(text), _FOLDED)


def plain_view(text: str) -> View:
    """Return the text without invisible characters and compatibility forms, with the source of each character.

    For what has a form of its own: numbers, addresses, keys.
    """
    return View(text, None, len(text)) if text.isascii() else _view(text, _translated(text, _PLAIN), _PLAIN)


def _view(text: str, translated: str, table: _Table) -> View:
    if text.isascii():
        return View(translated, None, len(text))
    tags = [found.start() for found in _TAGS.finditer(text)]
    if not tags and all(len(table[ord(character)]) == 1 for character in set(text)):
        return View(translated, None, len(text))
    origins = [index for index, character in enumerate(text) for _ in table[ord(character)]]
    if tags:
        # What they spell stands after the text: mixed into it, they would part its words.
        written = "".join(chr(ord(text[index]) - 0xE0000) for index in tags)
        read = [(" ", len(text) - 1), *zip(written, tags, strict=True)]
        translated += "".join(_FOLDED[ord(character)] if table is _FOLDED else character for character, _ in read)
        origins += [index for _, index in read]
    return View(translated, origins, len(text))
