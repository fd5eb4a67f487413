"""Generated JSON texts: any value, with any whitespace, any escapes, and strings long enough to be cut out."""

import json
import re
from random import Random

from hypothesis import strategies as st

LONG_FROM = 4096
SHORT_ESCAPES = {'"': '\\"', "\\": "\\\\", "/": "\\/", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
SPACES = ("", "", " ", "\n", "\t", "\r\n  ")

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
awkward_ends = st.text(st.sampled_from(['"', "\\", "/", "é", "😀", "\n", "a", "\x7f"]), max_size=6)
long_strings = st.builds(
    lambda start, filling, length, end: start + (filling * length)[:length] + end,
    awkward_ends,
    st.sampled_from(["A", "ab", 'x"', "\\", "é", "ab\\"]),
    st.integers(LONG_FROM - 8, LONG_FROM + 8),
    awkward_ends,
)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), words, long_strings
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4), max_leaves=12
)
styles = st.randoms(use_true_random=False)


def written(value: object, style: Random) -> str:
    """Write a value in one of the many notations that mean the same."""
    match value:
        case str():
            return written_string(value, style)
        case dict():
            members = [
                f"{written_string(key, style)}{_space(style)}:{_padded(one, style)}" for key, one in value.items()
            ]
            return "{" + ",".join(_space(style) + member for member in members) + _space(style) + "}"
        case list():
            return "[" + ",".join(_padded(one, style) for one in value) + _space(style) + "]"
        case _:
            return json.dumps(value)


def written_string(text: str, style: Random) -> str:
    """Write a string with some of its characters escaped; a long one in few ways, for speed."""
    if len(text) > 100:
        return json.dumps(text, ensure_ascii=style.random() < 0.5)
    return '"' + "".join(_character(character, style) for character in text) + '"'


def _character(character: str, style: Random) -> str:
    must = character in '"\\' or character < " "
    if not must and style.random() < 0.7:
        return character
    if character in SHORT_ESCAPES and style.random() < 0.5:
        return SHORT_ESCAPES[character]
    units = character.encode("utf-16-be")
    escaped = "%04x" if style.random() < 0.5 else "%04X"
    return "".join("\\u" + escaped % int.from_bytes(units[at : at + 2]) for at in range(0, len(units), 2))


def _padded(value: object, style: Random) -> str:
    return _space(style) + written(value, style) + _space(style)


def _space(style: Random) -> str:
    return style.choice(SPACES)


def strictly_read(text: bytes) -> object:
    """Parse JSON strictly (RFC 8259) with another parser than the product's; raises ValueError."""
    value = json.loads(text.decode("utf-8"), parse_constant=_no_constant)
    json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(name)


def pairs_of(text: bytes) -> list[tuple[str, object]]:
    """Every member of every object in a JSON text, duplicates included."""
    members: list[tuple[str, object]] = []

    def keep(pairs: list[tuple[str, object]]) -> dict[str, object]:
        members.extend(pairs)
        return dict(pairs)

    json.loads(text, object_pairs_hook=keep)
    return members


def data_urls_in(text: bytes) -> list[bytes]:
    """The data URLs in a JSON text, in order."""
    return re.findall(rb'"(data:image/[^"]*)"', text)
