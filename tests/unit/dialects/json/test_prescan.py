"""The first pass over a JSON body: accepted bodies are strict JSON within the bounds."""

import json
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from obscura.dialects.json.prescan import (
    LONG_STRING_BYTES,
    MAX_DEPTH,
    MAX_NUMBER_CHARS,
    MAX_SMALL_BODY_BYTES,
    MAX_VALUES,
    decode_string,
    extract_long_strings,
)
from obscura.dialects.json.raw import RawJson, is_string
from obscura.errors import InvalidJson, InvalidRequest, ObscuraError
from tests.support.json_texts import strictly_read, styles, values, written

LONG = b"A" * (LONG_STRING_BYTES + 1)


def accepted(body: bytes) -> bool:
    try:
        RawJson(body).check_unread()
    except ObscuraError as error:
        assert error.status == 400
        return False
    return True


def is_a_json_object(body: bytes) -> bool:
    try:
        return isinstance(strictly_read(body), dict)
    except ValueError:
        return False


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b'{"a"',
        b'{"a":',
        b'{"a":1',
        b'{"a":"',
        b'{"a":"\\"',
        b'{"a":"\\\\\\"}',
        b'{"a":"%b' % LONG,
        b'{"a":"%b\\"}' % LONG,
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":-Infinity}',
        b'{"a":01}',
        b'{"a":1.}',
        b'{"a":.5}',
        b'{"a":+1}',
        b'{"a":0x10}',
        b"{'a':1}",
        b"{a:1}",
        b'{"a":1,}',
        b'{"a":[1,]}',
        b'{"a":1} x',
        b'{"a":1}{"a":2}',
        b'{"a":1}\x00',
        b'{"a":1}//',
        b'\xef\xbb\xbf{"a":1}',
        '{"a":1}'.encode("utf-16"),
        b'{"a":"\xff"}',
        b'{"\xff":1}',
        b'{"a":"\xc0\x80"}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":"%b\xff"}' % LONG,
        b'{"%b\xff":1}' % LONG,
        b'{"a":"\\ud800"}',
        b'{"a":"\\udc00"}',
        b'{"a":"\\ud800\\u0041"}',
        b'{"a":"%b\\ud800"}' % LONG,
        b'{"\\ud800":1}',
        b'{"a":"\\x41"}',
        b'{"a":"%b\\x41"}' % LONG,
        b'{"a":"\x01"}',
        b'{"a":"line\nfeed"}',
        b'{"a":"%b\n"}' % LONG,
        b'{"b":[{"a":tru}]}',
    ],
    ids=lambda body: repr(body[:12] + b"..." + body[-8:] if len(body) > 40 else body),
)
def test_a_body_that_is_not_strict_json_is_rejected_as_invalid_json(body: bytes) -> None:
    with pytest.raises(InvalidJson):
        RawJson(body).check_unread()


@pytest.mark.parametrize(
    "body", [b"[]", b"1", b'"text"', b"null", b"true", b'"%b"' % LONG, b'"%b"' % (b"[" * 70_000), b'[{"model":"m"}]']
)
def test_json_that_is_no_object_is_an_invalid_request(body: bytes) -> None:
    with pytest.raises(InvalidRequest, match="object"):
        RawJson(body)


@given(values, styles, st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=2)), max_size=3))
@example({"a": "\\"}, None, [(5, b"\\")])
def test_a_body_is_accepted_exactly_if_another_strict_parser_accepts_it(
    value: object, style: Random | None, edits: list[tuple[int, bytes]]
) -> None:
    text = bytearray(b'{"a":"\\\\"}' if style is None else written({"a": value}, style).encode())
    for position, replacement in edits:
        start = position % (len(text) + 1)
        text[start : start + 1] = replacement

    body = bytes(text)

    assert accepted(body) == is_a_json_object(body)


@given(st.text(st.sampled_from('{}[]":,\\ 0e-.tnu\x00'), max_size=24))
def test_punctuation_is_accepted_exactly_if_a_strict_parser_accepts_it(text: str) -> None:
    assert accepted(text.encode()) == is_a_json_object(text.encode())


@given(values, styles, st.text(st.sampled_from('{}[]":,\\ 0'), max_size=24))
def test_small_and_large_bodies_are_accepted_alike(value: object, style: Random, text: str) -> None:
    for body in (written({"a": value}, style).encode(), b'{"a":' + text.encode() + b"}"):
        assert accepted(body) == accepted(body + b" " * MAX_SMALL_BODY_BYTES)


def nested(depth: int) -> bytes:
    """An object around arrays: ``depth`` levels in all."""
    return b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


def test_the_maximum_depth_is_accepted_and_one_more_level_rejected() -> None:
    assert accepted(nested(MAX_DEPTH))

    with pytest.raises(InvalidJson, match=f"{MAX_DEPTH} levels"):
        RawJson(nested(MAX_DEPTH + 1))


@pytest.mark.parametrize("depth", [1_000, 300_000])
@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_endless_nesting_is_rejected_before_any_parser_descends(depth: int, opening: bytes) -> None:
    with pytest.raises(InvalidJson, match="levels deep"):
        RawJson(b'{"a":' + opening * depth)


def test_brackets_in_strings_do_not_count_as_depth() -> None:
    assert accepted(b'{"a":"%b","b":"%b"}' % (b"[" * 1_000, b"{" * 10_000))


def test_many_shallow_objects_do_not_count_as_depth() -> None:
    assert accepted(b'{"a":[%b]}' % b",".join([b"[{}]"] * 1_000))


@pytest.mark.parametrize("number", [b"1" * 10_000, b"0." + b"1" * 10_000, b"1e" + b"1" * 10_000, b"-" * 10_000])
def test_a_number_of_ten_thousand_digits_is_rejected(number: bytes) -> None:
    with pytest.raises(InvalidJson, match=f"{MAX_NUMBER_CHARS} characters"):
        RawJson(b'{"a":[%b]}' % number)


def test_a_number_of_maximum_length_keeps_every_digit() -> None:
    body = b'{"a":%b}' % (b"7" * MAX_NUMBER_CHARS)

    assert RawJson(body).render() == body


def test_digits_in_strings_do_not_count_as_a_number() -> None:
    assert accepted(b'{"a":"%b"}' % (b"1" * 10_000))


def test_the_maximum_of_values_is_accepted_and_more_are_rejected() -> None:
    assert accepted(b'{"a":{"b":[%b]}}' % b",".join([b"1"] * (MAX_VALUES - 2)))

    with pytest.raises(InvalidJson, match="values"):
        RawJson(b'{"a":{"b":[%b]}}' % b",".join([b"1"] * (MAX_VALUES - 1)))


def test_strings_count_as_values() -> None:
    with pytest.raises(InvalidJson, match="values"):
        RawJson(b'{"a":{"b":[%b]}}' % b",".join([b'""'] * (MAX_VALUES + 2)))


@pytest.mark.parametrize("length", [LONG_STRING_BYTES - 1, LONG_STRING_BYTES, LONG_STRING_BYTES + 1])
@pytest.mark.parametrize("end", [b"", b'\\"', b"\\\\", b'\\\\\\"', b"\\\\\\\\", b"\\u0022"], ids=repr)
def test_a_long_string_ends_at_the_quote_that_is_not_escaped(length: int, end: bytes) -> None:
    string = b"A" * (length - len(end)) + end
    body = b'{"a":"%b","b":["%b",1]}' % (string, string)

    prescanned = extract_long_strings(body)

    assert [bytes(one) for one in prescanned.long_strings] == ([string] * 2 if length >= LONG_STRING_BYTES else [])
    assert RawJson(body).render() == body


@pytest.mark.parametrize(
    "text",
    [
        "word " * 300_000,
        "ü" * 700_000,
        "日本語" * 300_000,
        "😀" * 300_000,
        "\\" * 600_001,
        'a"\\\n' * 300_000,
        "😀\\" * 100_000 + "\\ud83d" * 1_000,
    ],
    ids=["ASCII", "two bytes", "three bytes", "four bytes", "backslashes", "escapes", "mixed"],
)
@pytest.mark.parametrize("ascii_only", [True, False], ids=["escaped", "as UTF-8"])
@pytest.mark.parametrize("shift", range(0, 12, 5))
def test_a_long_string_is_decoded_whole_whatever_stands_where_its_chunks_end(
    text: str, *, ascii_only: bool, shift: int
) -> None:
    shifted = "-" * shift + text
    written = json.dumps(shifted, ensure_ascii=ascii_only).encode()[1:-1]

    assert decode_string(memoryview(written)) == shifted


@pytest.mark.parametrize("end", [rb"\ud83d", rb"\u00-", b"\\", b"\xff", rb"\x", rb"\udc00"])
@pytest.mark.parametrize("shift", range(0, 13, 4))
def test_a_malformed_end_of_a_chunk_is_found(end: bytes, shift: int) -> None:
    malformed = b"a" * (512 * 1024 - shift) + end + b"a" * 1_000_000

    with pytest.raises(InvalidJson):
        decode_string(memoryview(malformed))


def test_a_string_of_escapes_ends_at_its_own_quote() -> None:
    for escapes in (300_000, 262_144, 262_143):
        body = b'{"a":"' + b'\\"' * escapes + b'","b":"' + b"\\\\" * escapes + b'"}'

        opened = RawJson(body)
        texts = [opened.text(leaf) for leaf in opened.root.values() if is_string(leaf)]
        assert texts == ['"' * escapes, "\\" * escapes]
