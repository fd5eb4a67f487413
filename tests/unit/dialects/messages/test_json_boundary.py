"""The end of a JSON text that comes in pieces."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obscura.dialects.messages.stream_blocks import JsonBoundary
from tests.support.json_texts import values, words


def complete_after(*pieces: str) -> list[bool]:
    boundary, complete = JsonBoundary(), []
    for piece in pieces:
        boundary.feed(piece)
        complete.append(boundary.complete)
    return complete


@given(st.dictionaries(words, values, max_size=4) | st.lists(values, max_size=4), st.data())
def test_an_object_or_array_is_complete_with_its_last_character_only(value: object, data: st.DataObject) -> None:
    text = json.dumps(value, ensure_ascii=data.draw(st.booleans()))
    cuts = data.draw(st.lists(st.integers(0, len(text) - 1), max_size=6).map(sorted))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text) - 1], strict=True)]

    assert complete_after(*pieces, text[-1]) == [False] * len(pieces) + [True]


@pytest.mark.parametrize("text", ["", " ", "7", "null", '"a{}"', "{", '{"a":"}', '{"a":"\\"}', "[[]", "}{", "]"])
def test_other_texts_are_never_complete(text: str) -> None:
    assert complete_after(text) == [False]
    assert complete_after(*text) == [False] * len(text)
