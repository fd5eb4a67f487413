"""A key that is sent twice leaves once, with the value that was read: what was checked is what the upstream sees."""

import json

import pytest

from obscura.dialects.base import ContentLimits
from obscura.dialects.chat.request import ChatDialect, ChatRequest
from obscura.dialects.json.raw import RawJson
from tests.support.json_texts import pairs_of

LONG = "A" * 5000


def parsed(text: str) -> ChatRequest:
    return ChatDialect().parse(RawJson(text.encode()), ContentLimits())


def a_request(content: str) -> str:
    return f'{{"model":"m","messages":[{{"role":"user","content":{content}}}]}}'


def a_part(members: str) -> str:
    return a_request(f"[{{{members}}}]")


IMAGES_SENT_TWICE = {
    "url": a_part('"type":"image_url","image_url":{"url":"data:FIRST","url":"data:LAST"}'),
    "escaped url": a_part('"type":"image_url","image_url":{"url":"data:FIRST","u\\u0072l":"data:LAST"}'),
    "url escaped first": a_part('"type":"image_url","image_url":{"\\u0075rl":"data:FIRST","url":"data:LAST"}'),
    "image_url": a_part('"type":"image_url","image_url":{"url":"data:FIRST"},"image_url":{"url":"data:LAST"}'),
    "image_url of two kinds": a_part('"image_url":"data:FIRST","image_url":{"url":"data:LAST"}'),
    "escaped image_url": a_part('"image_url":{"url":"data:FIRST"},"im\\u0061ge_url":{"url":"data:LAST"}'),
    "image_url all in escapes": a_part(
        '"image_url":"data:FIRST","\\u0069\\u006d\\u0061\\u0067\\u0065\\u005f\\u0075\\u0072\\u006c":"data:LAST"'
    ),
    "long urls": a_part(f'"image_url":{{"url":"data:FIRST{LONG}","url":"data:LAST"}}'),
    "content": '{"model":"m","messages":[{"role":"user","content":[{"image_url":"data:FIRST"}],'
    '"content":[{"image_url":"data:LAST"}]}]}',
    "escaped content": '{"model":"m","messages":[{"role":"user","content":[{"image_url":"data:FIRST"}],'
    '"\\u0063ontent":[{"image_url":"data:LAST"}]}]}',
    "messages": '{"model":"m","messages":[{"role":"user","content":[{"image_url":"data:FIRST"}]}],'
    '"messages":[{"role":"user","content":[{"image_url":"data:LAST"}]}]}',
    "escaped messages": '{"model":"m","messages":[{"role":"user","content":[{"image_url":"data:FIRST"}]}],'
    '"mess\\u0061ges":[{"role":"user","content":[{"image_url":"data:LAST"}]}]}',
}


@pytest.mark.parametrize("text", IMAGES_SENT_TWICE.values(), ids=IMAGES_SENT_TWICE.keys())
def test_the_upstream_sees_the_image_that_was_read_and_no_other(text: str) -> None:
    ask = parsed(text)
    (slot,) = ask.image_slots
    assert slot.source == b"data:LAST"

    slot.replace(b"data:CHECKED")

    left = ask.to_upstream().body
    assert b"data:CHECKED" in left
    assert b"FIRST" not in left
    assert b"LAST" not in left
    keys = [key for key, _ in pairs_of(left)]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize(
    "text",
    [
        a_part('"type":"text","text":"FIRST","text":"LAST"'),
        a_part('"type":"text","text":"FIRST","t\\u0065xt":"LAST"'),
        a_part(f'"type":"text","text":"FIRST{LONG}","text":"LAST"'),
        '{"model":"m","messages":[{"role":"user","content":"FIRST","content":"LAST"}]}',
        '{"model":"m","messages":[{"role":"user","content":"FIRST"}],"messages":[{"role":"user","content":"LAST"}]}',
    ],
)
def test_the_upstream_sees_the_text_that_was_read_and_no_other(text: str) -> None:
    ask = parsed(text)

    assert ask.texts == ["LAST"]
    assert b"FIRST" not in ask.to_upstream().body


def test_the_upstream_sees_the_model_and_the_stream_flag_that_were_read() -> None:
    ask = parsed(
        '{"model":"a","stream":true,"m\\u006fdel":"b","stream":false,"messages":[{"role":"x","role":"user","content":""}]}'
    )

    left = ask.to_upstream().body

    assert (ask.model, ask.streamed) == ("b", False)
    assert json.loads(left) == {"model": "b", "stream": False, "messages": [{"role": "user", "content": ""}]}
    keys = [key for key, _ in pairs_of(left)]
    assert len(keys) == len(set(keys))


def test_duplicates_where_nobody_reads_are_left_to_the_upstream() -> None:
    ask = parsed('{"model":"m","x":{"a":1,"a":2},"messages":[{"role":"user","content":"hi"}]}')

    assert b'{"a":1,"a":2}' in ask.to_upstream().body
