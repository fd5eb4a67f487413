"""Every string of a chat request is moderated, known to be an identifier, or refused."""

import base64

import pytest

from obscura.dialects.base import ContentLimits, RequestHead
from obscura.dialects.chat.request import ChatDialect
from obscura.dialects.json.raw import RawJson
from obscura.dialects.media import MAX_RUN_CHARS
from obscura.errors import ObscuraError
from tests.support.chat_bodies import a_message, a_request, parse

HELLO = {"role": "user", "content": "hi"}
GIF = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
URL = "https://example.com/a.png"
CARRIERS = {
    "data URL": f"data:image/gif;base64,{GIF}",
    "URL": URL,
    "relative URL": "//example.com/a.png",
    "base64": GIF,
    "hex": base64.b64decode(GIF).hex(),
    "object": {"url": URL},
    "list": [{"deep": [{"data": GIF}]}],
    "numbers": list(base64.b64decode(GIF)),
    "pixels": [255] * MAX_RUN_CHARS,
    "blob": "x7" * MAX_RUN_CHARS,
    "key": {GIF: 1},
}
PLACES = {
    "root": lambda value: a_request(HELLO, extension=value),
    "metadata's neighbour": lambda value: a_request(HELLO, mm_processor_kwargs=value),
    "model options": lambda value: a_request(HELLO, stream_options={"include_usage": True, "x": value}),
    "message": lambda value: a_request(HELLO | {"images": value}),
    "part": lambda value: a_request(a_message({"type": "text", "text": "a", "image": value})),
    "image part": lambda value: a_request(a_message({"type": "image_url", "image_url": {"url": URL, "mask": value}})),
    "audio part": lambda value: a_request(
        a_message({"type": "input_audio", "input_audio": {"data": "UklGRgAAAABXQVZF", "format": "wav", "x": value}})
    ),
    "tool call": lambda value: a_request({"role": "assistant", "tool_calls": [{"id": "c", "x": value}]}),
    "function of a call": lambda value: a_request(
        {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "", "x": value}}]}
    ),
    "tool": lambda value: a_request(HELLO, tools=[{"type": "function", "function": {"name": "f", "icon": value}}]),
    "tool of an unknown type": lambda value: a_request(HELLO, tools=[{"type": "image_generation", "mask": value}]),
    "id": lambda value: a_request({"role": "tool", "tool_call_id": value, "content": "x"}),
    "user": lambda value: a_request(HELLO, user=value),
    "reasoning details": lambda value: a_request({"role": "assistant", "reasoning_details": [{"x": value}]}),
}


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("place", PLACES)
def test_media_in_a_field_that_no_rule_knows_are_refused(place: str, carrier: str) -> None:
    with pytest.raises(ObscuraError) as caught:
        parse(PLACES[place](CARRIERS[carrier]))

    assert (caught.value.status, caught.value.code) == (400, "unsupported_operation")


def test_the_error_names_the_very_string_or_the_object_whose_key_it_is() -> None:
    for value, path in (({"a": ["x", {"b": GIF}]}, "x.a[1].b"), ({"a": {GIF: 1}}, "x.a"), ([7, [URL]], "x[1][0]")):
        with pytest.raises(ObscuraError) as caught:
            parse(a_request(HELLO, x=value))

        assert caught.value.param == path


def test_the_length_of_a_run_is_counted_between_what_parts_runs() -> None:
    longest = "x7" * (MAX_RUN_CHARS // 2)

    assert parse(a_request(HELLO, x=f"{longest} {longest}")).texts[0] == "hi"
    with pytest.raises(ObscuraError):
        parse(a_request(HELLO, x=f"{longest} {longest}x"))


@pytest.mark.parametrize(
    "fields",
    [
        {f"key number {index}": 1 for index in range(2000)},
        {"models": ["a-model"] * 2000},
        {"metadata": {f"k{index}": "value" for index in range(2000)}},
        {f"x{index}": ["a", "b"] for index in range(2000)},
    ],
    ids=["keys", "identifiers", "values", "fields"],
)
def test_what_no_rule_knows_is_bounded_in_all(fields: dict) -> None:
    with pytest.raises(ObscuraError) as caught:
        parse(a_request(HELLO, **fields))

    assert "131,072 characters" in caught.value.message


def test_a_huge_unknown_field_is_refused_by_its_size() -> None:
    for value in ({"a": "word " * 30_000}, ["word"] * 300_000, {"a": {"b": ["word " * 300_000]}}):
        with pytest.raises(ObscuraError) as caught:
            parse(a_request(HELLO, x=value))

        assert caught.value.status == 400
        assert caught.value.param.startswith("x")


@pytest.mark.parametrize("carrier", ["data URL", "base64", "hex", "numbers", "blob"])
def test_a_model_named_by_media_is_refused(carrier: str) -> None:
    with pytest.raises(ObscuraError):
        parse(a_request(HELLO) | {"model": CARRIERS[carrier]})


@pytest.mark.parametrize("place", PLACES)
def test_words_in_a_field_that_no_rule_knows_are_moderated(place: str) -> None:
    request = parse(PLACES[place]({"note": ["some words, not a name"]}))

    assert any("some words, not a name" in text for text in request.texts)


def test_every_text_that_the_model_may_read_is_moderated() -> None:
    marks = iter(f"mark {number}" for number in range(100))
    schema = {"type": "object", "properties": {"a": {"description": next(marks), "enum": [next(marks)]}}}
    request = a_request(
        {"role": "system", "content": next(marks), "name": next(marks)},
        {
            "role": "assistant",
            "refusal": next(marks),
            "reasoning_content": next(marks),
            "reasoning_details": [{"type": "reasoning.text", "text": next(marks)}],
            "tool_calls": [
                {
                    "id": "c",
                    "type": "function",
                    "function": {"name": next(marks), "arguments": f'{{"a":"{next(marks)}"}}'},
                },
                {"id": "d", "type": "custom", "custom": {"name": next(marks), "input": next(marks)}},
            ],
            "function_call": {"name": next(marks), "arguments": next(marks)},
        },
        {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": next(marks)}]},
        tools=[
            {"type": "function", "function": {"name": next(marks), "description": next(marks), "parameters": schema}},
            {"type": "custom", "custom": {"name": "g", "format": {"grammar": {"definition": next(marks)}}}},
        ],
        functions=[{"name": next(marks), "description": next(marks), "parameters": {"title": next(marks)}}],
        response_format={"type": "json_schema", "json_schema": {"name": next(marks), "schema": {"const": next(marks)}}},
        prediction={"type": "content", "content": [{"type": "text", "text": next(marks)}]},
        stop=[next(marks)],
        metadata={"a": next(marks)},
        chat_template=next(marks),
        chat_template_kwargs={"a": next(marks)},
        documents=[{"title": next(marks), "text": next(marks)}],
        guided_json={"description": next(marks)},
        user=next(marks),
    )

    texts = "\n".join(parse(request).texts)

    used = int(next(marks).split()[1])
    assert used > 25
    assert [number for number in range(used) if f"mark {number}" not in texts] == []


def test_identifiers_are_not_moderated() -> None:
    request = parse(
        a_request(
            HELLO | {"role": "user"},
            {"role": "assistant", "content": None, "tool_calls": [{"id": "call_1", "type": "function", "index": 0}]},
            {"role": "tool", "tool_call_id": "call_1", "content": "done"},
            model="openai/gpt-4o:free",
            user="u-42",
            safety_identifier="5e884898da28047151d0e56f8dc62927",
            modalities=["text", "audio"],
            service_tier="auto",
            logit_bias={"50256": -100},
            reasoning_effort="high",
            tool_choice="auto",
            prompt_cache_key="a:b@c",
        )
    )

    assert request.texts == ["hi", "done"]


URL_FIELDS = {
    "text": lambda url: a_request({"role": "user", "content": url}),
    "arguments": lambda url: a_request({"role": "assistant", "tool_calls": [{"function": {"arguments": url}}]}),
    "tool result": lambda url: a_request({"role": "tool", "tool_call_id": "c", "content": url}),
    "schema": lambda url: a_request(
        HELLO, tools=[{"type": "function", "function": {"name": "f", "parameters": {"$schema": url, "default": url}}}]
    ),
    "annotations": lambda url: a_request(
        {"role": "assistant", "content": "x", "annotations": [{"type": "url_citation", "url_citation": {"url": url}}]}
    ),
    "documents": lambda url: a_request(HELLO, documents=[{"text": url}]),
    "description": lambda url: a_request(
        HELLO, tools=[{"type": "function", "function": {"name": "f", "description": url}}]
    ),
}


@pytest.mark.parametrize("field", URL_FIELDS)
def test_the_url_of_a_page_is_text_where_text_belongs(field: str) -> None:
    request = parse(URL_FIELDS[field]("https://json-schema.org/draft/2020-12/schema"))

    assert any("https://json-schema.org/draft/2020-12/schema" in text for text in request.texts)


def test_base64_in_arguments_and_tool_results_is_moderated_as_text() -> None:
    request = parse(
        a_request(
            {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": f'"{GIF}"'}}]},
            {"role": "tool", "tool_call_id": "c", "content": GIF},
        )
    )

    assert request.texts == ["f", f'"{GIF}"', GIF]


@pytest.mark.parametrize("where", ["default", "description", "examples"])
def test_a_data_url_of_media_in_a_schema_is_refused(where: str) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {where: f"data:image/gif;base64,{GIF}"}}}

    with pytest.raises(ObscuraError) as caught:
        parse(a_request(HELLO, tools=[tool]))

    assert caught.value.param == "tools[0].function.parameters"


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        (a_request(HELLO, Messages=[HELLO]), "Messages"),
        (a_request(HELLO, **{"me\u017f\u017fages": [HELLO]}), "me\u017f\u017fages"),
        (a_request(HELLO, TOOLS=[]), "TOOLS"),
        (a_request(HELLO | {"CONTENT": "x"}), "messages[0].CONTENT"),
        (a_request(HELLO | {"Parameters": "known of another object"}), "messages[0].Parameters"),
        (a_request(HELLO | {"\uff43ontent": "x"}), "messages[0].\uff43ontent"),
        (a_request(a_message({"type": "text", "text": "a", "Text": "b"})), "messages[0].content[0].Text"),
        (a_request(a_message({"image_url": {"url": URL, "URL": URL}})), "messages[0].content[0].image_url.URL"),
    ],
    ids=str,
)
def test_a_key_spelled_almost_like_a_known_one_is_refused(request_: dict, param: str) -> None:
    with pytest.raises(ObscuraError) as caught:
        parse(request_)

    assert (caught.value.status, caught.value.code, caught.value.param) == (400, "invalid_request", param)


def test_opaque_values_of_providers_go_on_by_name() -> None:
    signature = base64.b64encode(bytes(range(7, 250)) * 40).decode()
    message = {
        "role": "assistant",
        "content": "x",
        "reasoning_details": [{"type": "reasoning.encrypted", "data": signature, "format": "anthropic-claude-v1"}],
        "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": signature}],
        "tool_calls": [{"id": "c", "extra_content": {"google": {"thought_signature": signature}}}],
    }

    assert parse(a_request(HELLO, message)).texts == ["hi", "x", "hm"]


def test_an_opaque_value_that_is_media_is_refused() -> None:
    with pytest.raises(ObscuraError):
        parse(a_request({"role": "assistant", "reasoning_details": [{"type": "reasoning.encrypted", "data": GIF}]}))


@pytest.mark.parametrize("data", [GIF, f"data:image/gif;base64,{GIF}", URL, "two words", "JVBERi0xLjcK"])
def test_audio_that_is_something_else_is_refused(data: str) -> None:
    with pytest.raises(ObscuraError):
        parse(a_request(a_message({"type": "input_audio", "input_audio": {"data": data, "format": "wav"}})))


def test_audio_and_video_are_recorded_as_unmoderated() -> None:
    request = parse(
        a_request(
            a_message(
                {"type": "input_audio", "input_audio": {"data": "UklGRgAAAABXQVZF", "format": "wav"}},
                {"type": "video_url", "video_url": {"url": URL}},
            )
        )
    )

    assert [part.kind for part in request.unmoderated] == ["input_audio", "video_url"]


def test_what_the_providers_search_loads_is_recorded_as_unmoderated() -> None:
    request = parse({**a_request(a_message({"type": "text", "text": "hi"})), "web_search_options": {}})

    (part,) = request.unmoderated
    assert (part.kind, part.error.param) == ("web_search_options", "web_search_options")


@pytest.mark.parametrize("body", [b"\xef\xbb\xbf{}", b'{"model":"m","messages":[{"role":"user","content":"\\ud800"}]}'])
def test_what_readers_take_differently_is_refused(body: bytes) -> None:
    with pytest.raises(ObscuraError) as caught:
        ChatDialect().parse(RequestHead(), RawJson(body), ContentLimits())

    assert caught.value.code == "invalid_json"


def test_a_long_string_is_no_identifier() -> None:
    with pytest.raises(ObscuraError):
        parse(a_request(HELLO, user="A" * 5000))
