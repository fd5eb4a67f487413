"""The strings of a node, of any length and at any depth; what leaves are; what is said of a malformed body."""

from typing import Any

import pytest
from msgspec import Raw

from obscura.dialects.json.prescan import LONG_STRING_BYTES
from obscura.dialects.json.raw import (
    RawJson,
    is_array,
    is_null,
    is_object,
    is_string,
    open_array,
    open_object,
    quoted,
)
from obscura.errors import InvalidJson, InvalidRequest

LONG = "l" * LONG_STRING_BYTES


def strings_of(text: str, *, opened: bool = False) -> list[str]:
    body = RawJson(b'{"a":%b}' % text.encode())
    leaf = body.root["a"]
    return body.strings(open_object(leaf, "a") if opened else leaf)


@pytest.mark.parametrize("opened", [False, True])
@pytest.mark.parametrize("long", ["short", LONG, LONG + r"\"\u00e9"])
def test_every_string_of_a_node_is_decoded_keys_included(long: str, opened: bool) -> None:
    decoded = long.replace(r"\"\u00e9", '"é')

    assert strings_of(f'{{"k": "{long}", "b": ["x\\n", 1, {{"c": "~"}}]}}', opened=opened) == [
        "k", decoded, "b", "x\n", "c", "~",
    ]  # fmt: skip


def test_a_string_that_looks_like_a_placeholder_is_itself() -> None:
    assert strings_of(f'["~{"0" * 24}.0", "{LONG}", "~"]') == [f"~{'0' * 24}.0", LONG, "~"]


def test_each_of_several_long_strings_is_found_by_its_own_number() -> None:
    texts = [letter * LONG_STRING_BYTES for letter in "abcdefghijklm"]
    body = RawJson(b'{"a":[%b]}' % ",".join(f'"{text}"' for text in texts).encode())

    assert body.strings(body.root["a"]) == texts
    assert [body.text(leaf) for leaf in open_array(body.root["a"], "a")] == texts


@pytest.mark.parametrize("malformed", [r'["\x"]', r'["\ud800"]', '["a\tb"]'])
def test_a_malformed_string_of_a_node_is_invalid_json(malformed: str) -> None:
    with pytest.raises(InvalidJson):
        strings_of(malformed)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "The body is empty"),
        (b'{"a":', "it ends too early, or an escape is half of a surrogate pair"),
        (b'{"a":1]', r": object missing comma or '}' \(byte 6\)|: expected ',' or '}' \(byte 6\)"),
        (b'{"a":"%b","b":x}' % LONG.encode(), r": invalid character\."),
        (b'{"a":x}', r": invalid character \(byte 5\)\."),
    ],
)
def test_an_error_says_what_is_malformed_and_where_if_that_is_known(body: bytes, said: str) -> None:
    with pytest.raises(InvalidJson, match=said):
        RawJson(body)


@pytest.mark.parametrize(
    ("leaf", "kinds"),
    [
        (Raw(b'"a"'), (True, False, False, False)),
        (Raw(b"{}"), (False, True, False, False)),
        (Raw(b"[]"), (False, False, True, False)),
        (Raw(b"null"), (False, False, False, True)),
        (Raw(b"1"), (False, False, False, False)),
        (Raw(b"true"), (False, False, False, False)),
        (None, (False, False, False, True)),
        ({}, (False, False, False, False)),
        ([], (False, False, False, False)),
    ],
)
def test_a_leaf_is_of_one_kind_and_an_opened_node_of_none(leaf: Any, kinds: tuple[bool, ...]) -> None:
    assert (is_string(leaf), is_object(leaf), is_array(leaf), is_null(leaf)) == kinds


def test_another_leaf_is_not_opened_and_the_error_has_its_path() -> None:
    for opener, leaf, kind in ((open_object, Raw(b"[]"), "an object"), (open_array, Raw(b"{}"), "an array")):
        with pytest.raises(InvalidRequest, match=rf"^'x\.y' must be {kind}\.$") as refused:
            opener(leaf, "x.y")
        assert refused.value.param == "x.y"


@pytest.mark.parametrize("node", [{}, []])
def test_an_opened_node_is_not_opened_again(node: Any) -> None:
    for opener in (open_object, open_array):
        with pytest.raises(TypeError):
            opener(node, "a")


def test_a_quoted_text_is_rendered_in_its_place() -> None:
    body = RawJson(b'{"a":1,"b":"%b"}' % LONG.encode())
    body.root["a"] = quoted(b"data:x")

    assert body.render() == b'{"a":"data:x","b":"%b"}' % LONG.encode()
    assert body.render(body.root["a"]) == b'"data:x"'


def test_the_name_of_a_key_that_is_there_twice_is_cut_to_100_characters() -> None:
    name = "n" * 150
    with pytest.raises(InvalidRequest) as refused:
        open_object(Raw(f'{{"{name}":1,"{name}":2}}'.encode()), "a")

    assert refused.value.param == "a." + "n" * 100
