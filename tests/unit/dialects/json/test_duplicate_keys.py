"""A key that is sent twice is rendered once, with the value that was checked."""

import json

import pytest

from obscura.dialects.base import ContentLimits, RequestHead
from obscura.dialects.chat.request import ChatDialect, ChatRequest
from obscura.dialects.json.raw import RawJson
from tests.support.json_texts import pairs_of

LONG = "A" * 5000


def parse(text: str) -> ChatRequest:
    return ChatDialect().parse(RequestHead(), RawJson(text.encode()), ContentLimits())


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
def test_of_an_image_sent_twice_only_the_checked_one_goes_upstream(text: str) -> None:
    parsed_request = parse(text)
    (slot,) = parsed_request.images
    assert bytes(slot.source) == b"data:LAST"

    slot.replace(b"data:CHECKED")

    rendered = parsed_request.to_upstream().body
    assert b"data:CHECKED" in rendered
    assert b"FIRST" not in rendered
    assert b"LAST" not in rendered
    keys = [key for key, _ in pairs_of(rendered)]
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
def test_of_a_text_sent_twice_only_the_moderated_one_goes_upstream(text: str) -> None:
    parsed_request = parse(text)

    assert parsed_request.texts == ["LAST"]
    assert b"FIRST" not in parsed_request.to_upstream().body


def test_of_model_and_stream_sent_twice_only_the_last_goes_upstream() -> None:
    parsed_request = parse(
        '{"model":"a","stream":true,"m\\u006fdel":"b","stream":false,"messages":[{"role":"x","role":"user","content":""}]}'
    )

    rendered = parsed_request.to_upstream().body

    assert (parsed_request.model, parsed_request.streamed) == ("b", False)
    assert json.loads(rendered) == {"model": "b", "stream": False, "messages": [{"role": "user", "content": ""}]}
    keys = [key for key, _ in pairs_of(rendered)]
    assert len(keys) == len(set(keys))


def test_duplicates_in_unopened_objects_go_upstream_as_sent() -> None:
    parsed_request = parse('{"model":"m","x":{"a":1,"a":2},"messages":[{"role":"user","content":"hi"}]}')

    assert b'{"a":1,"a":2}' in parsed_request.to_upstream().body
