"""The official ``openai`` SDK's Responses against a served gateway: only the base URL and the key are changed."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import openai
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel

from tests.support.fake_upstream import ANSWER, CHUNKS, answers, chunk, in_turn, streams
from tests.support.gateway import running_gateway
from tests.support.image_urls import a_data_url, image_in
from tests.support.loopback_server import LoopbackServer, Received, Respond, Wire, loopback_server
from tests.support.photographs import photograph
from tests.support.response_stream_grammar import ResponseStreamGrammar
from tests.support.serving_process import environment, serving
from tests.unit.dialects.responses.requests import FUNCTION, completion, image, output, says, text
from tests.unit.dialects.responses.sdk_types import strict_event, strict_response

MODEL = "obscura-demo"
CALLS = [
    chunk({"tool_calls": [{"index": 0, "id": "call_a", "function": {"name": "look", "arguments": '{"at":'}}]}),
    chunk({"tool_calls": [{"index": 1, "id": "call_b", "function": {"name": "look", "arguments": "{}"}}]}),
    chunk({"tool_calls": [{"index": 0, "function": {"arguments": '"sky"}'}}]}),
    chunk({}, "tool_calls"),
    *CHUNKS[-2:],
]


class Animal(BaseModel):
    kind: str
    legs: int


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    with serving(environment(tmp_path_factory.mktemp("data"))) as process:
        yield process


@pytest.fixture
def client(gateway):
    with openai.OpenAI(base_url=gateway.v1, api_key=gateway.key, max_retries=0) as made:
        yield made


@asynccontextmanager
async def over(respond: Respond, **settings: object) -> AsyncIterator[tuple[AsyncOpenAI, LoopbackServer]]:
    """A client of a gateway over an upstream of the test's own, which is a host of images too."""
    async with loopback_server(respond) as upstream:
        async with running_gateway(upstream_url=upstream.v1, fetch_allow=(upstream.origin,), **settings) as gateway:
            async with AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as client:
                yield client, upstream


def photo(name: str, **fields: object) -> dict:
    return image("data:image/jpeg;base64," + base64.b64encode(photograph(name).read_bytes()).decode(), **fields)


def question(*parts: object) -> list:
    return [says(text("What is in this image?"), *parts)]


def test_a_plain_answer_describes_the_photograph_by_the_sdks_strict_types(client):
    response = client.responses.create(model=MODEL, input=question(photo("retina.jpg")))

    assert "JPEG of 1280 x 1280 pixels" in response.output_text
    assert response.usage.input_tokens_details.image_tokens == 2116
    strict_response(response.to_dict(mode="json"))


def test_the_detail_decides_the_size(client):
    response = client.responses.create(model=MODEL, input=question(photo("retina.jpg", detail="low")))

    assert response.usage.input_tokens_details.image_tokens == 729


def test_a_stream_keeps_to_the_grammar_by_the_sdks_strict_types(client):
    grammar = ResponseStreamGrammar()

    for event in client.responses.create(model=MODEL, input=question(photo("rocket.jpg")), stream=True):
        response = event.to_dict(mode="json")
        strict_event(response)
        grammar.take(response)

    grammar.check_end()
    assert "640 x 427" in grammar.last["output"][0]["content"][0]["text"]
    assert grammar.last["usage"]["input_tokens_details"]["image_tokens"] == 345


def test_the_stream_helper_gathers_the_whole_response(client):
    with client.responses.stream(model=MODEL, input=question(photo("rocket.jpg"))) as stream:
        pieces = [event.delta for event in stream if event.type == "response.output_text.delta"]
        response = stream.get_final_response()

    assert len(pieces) > 10
    assert "".join(pieces) == response.output_text
    assert response.usage.input_tokens_details.image_tokens == 345


def test_the_headers_carry_the_image_tokens_and_the_request_id(client):
    raw = client.responses.with_raw_response.create(model=MODEL, input=question(photo("rocket.jpg")))

    assert raw.headers["x-image-tokens"] == "345"
    assert raw.parse()._request_id == raw.headers["x-request-id"]


async def test_parse_gives_an_object_of_the_callers_own_type():
    async with over(answers(completion({"content": '{"kind":"cat","legs":4}'}))) as (client, upstream):
        response = await client.responses.parse(model="m", input="Which animal?", text_format=Animal)

        assert response.output_parsed == Animal(kind="cat", legs=4)
        wanted = upstream.received[0].json()["response_format"]["json_schema"]
        assert (wanted["name"], wanted["strict"]) == ("Animal", True)
        assert response.text.format.type == "json_schema"


async def test_functions_that_are_called_at_the_same_time_get_their_outputs_under_their_own_ids():
    async with over(in_turn(streams(*CALLS), answers())) as (client, upstream):
        asked = [says(text("Look at the sky."))]
        async with client.responses.stream(model="m", input=asked, tools=[FUNCTION]) as stream:
            called = await stream.get_final_response()
        outputs = [output("call_a", "a bird"), output("call_b", [text("a plane"), image(a_data_url(56, 56))])]
        response = await client.responses.create(model="m", input=[*asked, *called.output, *outputs], tools=[FUNCTION])

        assert [(one.call_id, json.loads(one.arguments)) for one in called.output] == [
            ("call_a", {"at": "sky"}),
            ("call_b", {}),
        ]
        assert response.output_text == "A cat."
        _, assistant, first, second, shown = upstream.received[1].json()["messages"]
        assert [one["id"] for one in assistant["tool_calls"]] == ["call_a", "call_b"]
        assert (first["tool_call_id"], first["content"]) == ("call_a", "a bird")
        assert (second["tool_call_id"], second["content"]) == ("call_b", "a plane")
        assert image_in(shown["content"][1]["image_url"]["url"]).startswith(b"\x89PNG")


async def test_an_image_by_url_is_fetched_and_arrives_as_bytes():
    async def respond(request: Received, wire: Wire) -> None:
        response = answers(image_in(a_data_url(56, 56))) if request.method == "GET" else answers()
        await response(request, wire)

    async with over(respond) as (client, upstream):
        response = await client.responses.create(model="m", input=question(image(f"{upstream.origin}/a.png")))

        assert response.usage.input_tokens_details.image_tokens == 4
        seen = upstream.received[-1].json()["messages"][0]["content"][1]
        assert image_in(seen["image_url"]["url"]).startswith(b"\x89PNG")


async def test_reasoning_and_a_cut_off_answer_are_told_by_the_sdks_types():
    body = completion({"content": "A c", "reasoning_content": "Hm."}, "length", usage=ANSWER["usage"])
    async with over(answers(body)) as (client, _):
        response = await client.responses.create(model="m", input="hi")

    assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert [item.type for item in response.output] == ["reasoning", "message"]


def test_a_wrong_key_raises_the_sdks_authentication_error(gateway):
    client = openai.OpenAI(base_url=gateway.v1, api_key="obs_wrong", max_retries=0)

    with pytest.raises(openai.AuthenticationError) as refused:
        client.responses.create(model=MODEL, input="hi")

    assert refused.value.code == "invalid_api_key"


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"input": question(image("data:image/png;base64,AAA"))}, "invalid_image", "input[0].content[1].image_url"),
        ({"previous_response_id": "resp_1"}, "unsupported_field", "previous_response_id"),
        ({"conversation": "conv_1"}, "unsupported_field", "conversation"),
        ({"background": True}, "unsupported_field", "background"),
        ({"tools": [{"type": "web_search"}]}, "unsupported_field", "tools[0].type"),
        ({"input": "please OBSCURA-BLOCK-ME now"}, "moderation_blocked", None),
    ],
)
def test_a_refusal_raises_the_sdks_bad_request_error_with_the_path(client, fields, code, param):
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(**{"model": MODEL, "input": "hi"} | fields)

    assert (refused.value.code, refused.value.param) == (code, param)


@pytest.mark.parametrize(
    ("status", "raised"),
    [
        (429, openai.RateLimitError),
        (404, openai.NotFoundError),
        (422, openai.UnprocessableEntityError),
        (500, openai.InternalServerError),
    ],
)
async def test_an_upstreams_refusal_raises_the_sdks_own_exception(status, raised):
    async with over(answers({}, status)) as (client, _):
        with pytest.raises(raised):
            await client.responses.create(model="m", input="hi")


@pytest.mark.parametrize("dialects", [("chat",), ("chat", "responses")], ids=["chat", "native"])
async def test_a_stream_that_breaks_raises_the_sdks_api_error(dialects):
    async with over(streams(CHUNKS[0], then="breaks"), upstream_dialects=dialects) as (client, _):
        with pytest.raises(openai.APIError) as broken:
            async for _event in await client.responses.create(model="m", input="hi", stream=True):
                pass

    assert broken.value.code == "upstream_error"
