"""A body that is opened and rendered is the same document; unopened nodes keep their bytes."""

import json
import tracemalloc
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obscura.dialects.base import ContentLimits, RequestHead
from obscura.dialects.chat.request import ChatDialect
from obscura.dialects.json.fields import raw_string_at
from obscura.dialects.json.prescan import LONG_STRING_BYTES, extract_long_strings
from obscura.dialects.json.raw import RawJson, open_array, open_object, quoted
from obscura.errors import InvalidJson
from tests.support.json_texts import long_strings, styles, values, words, written, written_string

MEBIBYTE = 1024 * 1024


def opened(value: Any, leaf: Any, style: Random) -> Any:
    """Open a leaf and, at random, the nodes in it, as a dialect does."""
    if isinstance(value, dict) and style.random() < 0.7:
        return {key: opened(value[key], one, style) for key, one in open_object(leaf, "a").items()}
    if isinstance(value, list) and style.random() < 0.7:
        return [opened(one, inner, style) for one, inner in zip(value, open_array(leaf, "a"), strict=True)]
    return leaf


@given(st.dictionaries(words, values, max_size=5), styles)
def test_any_object_in_any_notation_is_rendered_as_an_equal_document(value: dict, style: Random) -> None:
    body = RawJson(written(value, style).encode())
    body.root = {key: opened(value[key], leaf, style) for key, leaf in body.root.items()}

    body.check_unread()

    assert json.loads(body.render()) == value


@given(st.dictionaries(words, values, max_size=5), styles)
def test_unopened_nodes_are_rendered_byte_for_byte(value: dict, style: Random) -> None:
    sent = {key: written(one, style).encode() for key, one in value.items()}
    body = b",".join(b"%b:%b" % (written_string(key, style).encode(), one) for key, one in sent.items())

    rendered = RawJson(b"{%b}" % body).render()

    left = msgspec.json.decode(rendered, type=dict[str, msgspec.Raw])
    assert {key: bytes(one) for key, one in left.items()} == sent


@given(st.lists(long_strings | words, min_size=1, max_size=4), styles)
def test_a_string_is_decoded_whatever_escapes_it_has(strings: list[str], style: Random) -> None:
    body = RawJson(written({"a": strings}, style).encode())

    assert [body.text(leaf) for leaf in open_array(body.root["a"], "a")] == strings


@given(st.dictionaries(long_strings, values, min_size=1, max_size=3), styles)
@settings(max_examples=30)
def test_long_keys_are_rendered_as_sent(value: dict, style: Random) -> None:
    assert json.loads(RawJson(written({"a": value}, style).encode()).render()) == {"a": value}


def test_a_placeholder_cannot_be_guessed() -> None:
    long = b'"%b"' % (b"A" * LONG_STRING_BYTES)
    seen = {extract_long_strings(b"[%b]" % long).placeholder for _ in range(50)}

    assert len(seen) == 50
    assert all(len(placeholder) >= 24 for placeholder in seen)


def test_a_placeholder_of_another_request_is_a_string_like_any_other() -> None:
    old = extract_long_strings(b'["%b"]' % (b"A" * LONG_STRING_BYTES)).placeholder
    sent = b'{"a":"%b0","b":"%b","%b1":"%b7"}' % (old, b"B" * LONG_STRING_BYTES, old, old)
    body = RawJson(sent)

    assert body.text(raw_string_at(body.root, "a")) == f"{old.decode()}0"
    assert body.render() == sent


def test_a_replaced_long_string_leaves_an_equal_one_as_it_was() -> None:
    long = b"A" * LONG_STRING_BYTES
    body = RawJson(b'{"a":"%b","b":"%b"}' % (long, long))

    body.root["a"] = quoted(b"data:new")

    assert body.render() == b'{"a":"data:new","b":"%b"}' % long


@pytest.mark.parametrize("malformed", [b"\xff", b"\\x", b"\n", b"\\ud83d"])
def test_a_malformed_long_string_is_found_even_if_it_is_not_read(malformed: bytes) -> None:
    body = RawJson(b'{"x":[{"y":"%b%b"}]}' % (b"A" * LONG_STRING_BYTES, malformed))

    with pytest.raises(InvalidJson):
        body.check_unread()


def test_an_image_of_15_mb_is_a_view_of_the_body_and_never_copied() -> None:
    image = b"data:image/png;base64," + b"AAAA" * (5 * MEBIBYTE)
    body = (
        b'{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"\xc3\xa9"},'
        b'{"type":"image_url","image_url":{"url":"%b"}}]}]}' % image
    )
    tracemalloc.start()
    parsed_request = ChatDialect().parse(RequestHead(), RawJson(body), ContentLimits())
    parsing_bytes = tracemalloc.get_traced_memory()[1]
    (slot,) = parsed_request.images
    slot.replace(b"data:image/png;base64,AAAA")
    to_upstream = parsed_request.to_upstream()
    rendering_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert slot.source.obj is body
    assert slot.source == image
    assert len(to_upstream.body) < 1_000
    assert parsing_bytes < MEBIBYTE
    assert rendering_bytes < MEBIBYTE
