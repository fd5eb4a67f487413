"""Text in pieces: all of it is covered, in overlapping pieces below the limit, and every text follows its context."""

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from obscura.moderation.pieces import MAX_PIECE_CHARS, OVERLAP_CHARS, SEPARATOR, JoinedTexts, contexts_of, join

MAX_TOKENS = 32_768
words = st.text(st.sampled_from("ab é漢😀"), min_size=1, max_size=250)
long_texts = st.builds(lambda text, times: text * times, words, st.integers(1, 400))
short_texts = st.text(min_size=1, max_size=30)
conversations = st.lists(st.one_of(long_texts, short_texts), min_size=1, max_size=8)


@st.composite
def some_of_a_conversation(draw: st.DrawFn) -> tuple[list[str], list[int]]:
    texts = draw(conversations)
    numbers = draw(st.sets(st.integers(0, len(texts) - 1), min_size=1))
    return texts, sorted(numbers)


def join_some(texts: list[str], numbers: list[int]) -> JoinedTexts:
    return join(texts, contexts_of(texts), numbers)


def contents(joined: JoinedTexts) -> list[str]:
    return [joined.text[piece.start : piece.end] for piece in joined.pieces]


@given(some_of_a_conversation())
def test_the_pieces_cover_all_text_below_the_limit_and_overlap(given: tuple[list[str], list[int]]) -> None:
    joined = join_some(*given)

    assert joined.pieces[0].start == 0
    assert joined.pieces[-1].end == len(joined.text)
    assert all(0 < len(content) <= MAX_PIECE_CHARS for content in contents(joined))
    for piece, following in pairwise(joined.pieces):
        assert piece.start < following.start <= piece.end - OVERLAP_CHARS


@given(some_of_a_conversation())
def test_every_word_is_whole_in_one_piece(given: tuple[list[str], list[int]]) -> None:
    joined = join_some(*given)

    for word in re.finditer(r"\S+", joined.text):
        if len(word[0]) <= OVERLAP_CHARS:
            assert any(piece.start <= word.start() and word.end() <= piece.end for piece in joined.pieces)


@given(some_of_a_conversation())
def test_every_run_as_long_as_the_overlap_is_whole_in_one_piece(given: tuple[list[str], list[int]]) -> None:
    joined = join_some(*given)

    for cut in (position for piece in joined.pieces for position in (piece.start, piece.end)):
        for start in range(max(0, cut - OVERLAP_CHARS), min(cut, len(joined.text) - OVERLAP_CHARS)):
            end = start + OVERLAP_CHARS
            assert any(piece.start <= start and end <= piece.end for piece in joined.pieces)


@given(some_of_a_conversation())
def test_each_text_is_whole_and_follows_its_context(given: tuple[list[str], list[int]]) -> None:
    texts, numbers = given
    contexts = contexts_of(texts)
    joined = join_some(texts, numbers)

    for number in numbers:
        before = contexts[number]
        assert before == SEPARATOR.join(texts[:number])[-OVERLAP_CHARS:]
        assert (before + SEPARATOR + texts[number] if before else texts[number]) in joined.text


@given(some_of_a_conversation())
def test_a_text_belongs_to_the_pieces_that_hold_any_of_it(given: tuple[list[str], list[int]]) -> None:
    texts, numbers = given
    joined = join_some(texts, numbers)

    for position, number in enumerate(numbers):
        own = [piece for piece in joined.pieces if position in piece.texts]
        held = joined.text[own[0].start : own[-1].end]
        assert texts[number] in held
        assert [piece for piece in joined.pieces if own[0].start <= piece.start <= own[-1].start] == own


def test_a_short_text_is_one_piece_without_more() -> None:
    assert contents(join_some(["be kind", "look"], [0, 1])) == ["be kind\n\nlook"]


def test_a_known_text_is_left_out_but_for_its_end() -> None:
    texts = ["a" * 5000, "b" * 600, "c"]

    assert contents(join_some(texts, [2])) == ["b" * 400 + "\n\nc"]


def test_cuts_are_at_white_space_if_there_is_any_near() -> None:
    first, second = contents(join_some(["seven " * 2000], [0]))

    assert first.endswith("seven ")
    assert second.startswith("seven ")


def test_a_piece_of_any_script_is_below_the_models_limit_of_tokens() -> None:
    assert MAX_PIECE_CHARS * len("😀".encode()) < MAX_TOKENS
