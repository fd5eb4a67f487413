"""A key that is sent twice is refused: some readers take the first value, others the last."""

import pytest

from obscura.dialects.base import ContentLimits, RequestHead
from obscura.dialects.chat.request import ChatDialect, ChatRequest
from obscura.dialects.json.raw import RawJson
from obscura.errors import ObscuraError

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
    "quotes in the key": a_part('"\\u0022\\u0022":1,"\\u0022\\u0022":2'),
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


def assert_refused(text: str) -> None:
    with pytest.raises(ObscuraError) as caught:
        parse(text)

    assert (caught.value.status, caught.value.code) == (400, "invalid_request")
    assert "twice" in caught.value.message


@pytest.mark.parametrize("spaced", [False, True], ids=["compact", "spaced"])
@pytest.mark.parametrize("text", IMAGES_SENT_TWICE.values(), ids=IMAGES_SENT_TWICE.keys())
def test_an_image_sent_twice_is_refused(text: str, spaced: bool) -> None:
    assert_refused(text.replace(",", " , ").replace('":', '" : ') if spaced else text)


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
def test_a_text_sent_twice_is_refused(text: str) -> None:
    assert_refused(text)


@pytest.mark.parametrize(
    ("text", "param"),
    [
        ('{"model":"a","m\\u006fdel":"b","messages":[{"role":"user","content":""}]}', "model"),
        ('{"model":"a","messages":[{"role":"x","role":"user","content":""}]}', "messages[0].role"),
        (
            '{"model":"a","messages":[{"role":"x","content":"","tool_calls":[{"id":"a","id":"b"}]}]}',
            "messages[0].tool_calls[0].id",
        ),
        ('{"a\\"":1,"a\\u0022":1,"model":"a","messages":[{"role":"x","content":""}]}', 'a"'),
    ],
)
def test_the_error_names_the_key_that_is_there_twice(text: str, param: str) -> None:
    with pytest.raises(ObscuraError) as caught:
        parse(text)

    assert caught.value.param == param


def test_keys_with_quotes_and_white_space_are_no_duplicates() -> None:
    request = parse('{ "a\\"" : 1, "model" : "m" , "messages":[{"role":"user", "content" : "hi"}], "b\\"":"c" }')

    assert request.texts == ['a"', "hi", 'b"', "c"]


def test_of_an_unopened_object_every_string_is_moderated_even_of_a_key_sent_twice() -> None:
    request = parse('{"model":"m","x":{"a":"one","a":"two"},"messages":[{"role":"user","content":"hi"}]}')

    assert request.texts == ["a\none\na\ntwo", "hi"]
    assert b'{"a":"one","a":"two"}' in request.to_upstream().body
