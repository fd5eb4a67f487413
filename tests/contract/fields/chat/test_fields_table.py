"""The tables of docs/fields-chat.md name every field of the SDK and say what the code does with it."""

import json

import pytest
from openai.types import chat as chat_types
from openai.types.chat import completion_create_params as chat_params

from obscura.dialects.base import ContentLimits, RequestHead
from obscura.dialects.chat.request import ChatDialect
from obscura.dialects.json.raw import RawJson
from obscura.errors import ObscuraError
from tests.contract.fields.responses.field_tables import by_kind, fields_of, fields_with, members_of, table
from tests.support.chat_bodies import a_message, a_request, parse

CHAT = "fields-chat.md"
WORDS = "these are words"
URL = "https://example.com/a.png"
HELLO = {"role": "user", "content": "hi"}
MODERATED = {
    "tools": [{"type": "function", "function": {"name": WORDS}}],
    "functions": [{"name": WORDS}],
    "tool_choice": {"type": "function", "function": {"name": WORDS}},
    "function_call": {"name": WORDS},
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"title": WORDS}}},
    "prediction": {"type": "content", "content": WORDS},
    "stop": [WORDS],
    "metadata": {"a": WORDS},
    "web_search_options": {"a": WORDS},
    "moderation": {"a": WORDS},
    "messages": [{"role": "user", "content": WORDS}],
    "content": WORDS,
    "name": WORDS,
    "refusal": WORDS,
    "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": WORDS}}],
    "text.text": WORDS,
    "refusal.refusal": WORDS,
}
"""An example of every moderated field."""


def request_with(heading: str, field: str, value: object) -> dict:
    if heading == "Request":
        return a_request(HELLO) | {field: value}
    if heading == "Messages":
        return a_request({"role": "user"} | {field: value})
    kind, name = field.split(".")
    needed = {"image_url": {"image_url": {"url": URL}}}.get(kind, {})
    return a_request(a_message({"type": kind} | needed | {name: value}))


def each(word: str) -> list[tuple[str, str]]:
    return [
        (heading, field)
        for heading in ("Request", "Messages", "Content parts")
        for field in fields_with(word, CHAT, heading)
        if not field.endswith(".type")
    ]


def test_the_tables_of_chat_are_complete() -> None:
    messages = [fields_of(one) for one in members_of(chat_types.ChatCompletionMessageParam)]
    parts = [
        *members_of(chat_types.ChatCompletionContentPartParam),
        chat_types.ChatCompletionContentPartRefusalParam,
    ]
    kinds = {"text", "image_url", "input_audio", "file", "refusal"}

    assert set(table(CHAT, "Request")) == fields_of(chat_params.CompletionCreateParamsBase) | {"stream"}
    assert set(table(CHAT, "Messages")) == set.union(*messages)
    assert set(table(CHAT, "Content parts")) == by_kind(parts, kinds) | {"video_url.type", "video_url.video_url"}


@pytest.mark.parametrize(("heading", "field"), each("moderated"))
def test_a_moderated_field_is_moderated(heading: str, field: str) -> None:
    request = request_with(heading, field, MODERATED[field])

    parsed = parse(request)

    assert any(WORDS in text for text in parsed.texts)
    assert json.loads(parsed.to_upstream().body) == request


@pytest.mark.parametrize(("heading", "field"), each("passed"))
def test_a_passed_field_is_moderated_only_if_it_is_no_identifier(heading: str, field: str) -> None:
    def texts(value: object) -> list[str]:
        try:
            return list(parse(request_with(heading, field, value)).texts)
        except ObscuraError as error:
            assert error.code == "invalid_request"  # the type of model, role and stream is checked before
            return [WORDS]

    holder = "id" if field == "audio" and heading == "Messages" else "x"
    known = {"model": "m", "stream": True, "audio": {"id": "a-1"}}.get(field, "a-1")

    assert not any("a-1" in text for text in texts(known)) or not texts(1)[1:]
    assert any(WORDS in text for text in texts({holder: WORDS}))


@pytest.mark.parametrize(("heading", "field"), each("passed"))
def test_a_passed_field_carries_no_media(heading: str, field: str) -> None:
    for media in ({"url": URL}, [f"data:image/png;base64,{'A' * 40}"]):
        with pytest.raises(ObscuraError) as caught:
            parse(request_with(heading, field, media))

        assert caught.value.status == 400


def test_chat_passes_values_byte_for_byte() -> None:
    odd = '{"n" : 1.50, "s":"\\u00e9"}'
    fields = [name for name in fields_with("passed", CHAT, "Request") if name not in {"model", "stream"}]
    body = "{" + ",".join(['"model":"m"', *(f'"{name}":{odd}' for name in fields), '"messages":[{"role":"a"}]']) + "}"

    response = ChatDialect().parse(RequestHead(), RawJson(body.encode()), ContentLimits()).to_upstream().body

    assert json.loads(response) == json.loads(body)
    assert response.count(odd.encode()) == len(fields) > 20
