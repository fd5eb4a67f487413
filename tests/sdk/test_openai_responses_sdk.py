"""The official ``openai`` SDK's Responses against a running gateway: only the base URL and the key are changed."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel

from tests.contract.fields.responses.sdk_types import strict_event, strict_response
from tests.support.fake_upstream import ANSWER, CHUNKS, answers, chunk, in_turn, streams
from tests.support.gateway import running_gateway
from tests.support.image_urls import a_data_url, image_in
from tests.support.loopback_server import LoopbackServer, Received, Respond, Wire, loopback_server
from tests.support.photographs import photograph
from tests.support.response_stream_grammar import ResponseStreamGrammar
from tests.support.serving_process import ServingProcess
from tests.unit.dialects.responses.requests import FUNCTION, a_message, completion, image, output, text

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


@asynccontextmanager
async def client_over(respond: Respond, **settings: Any) -> AsyncIterator[tuple[AsyncOpenAI, LoopbackServer]]:
    """Yield a client of a gateway over the given upstream, which also serves images."""
    async with loopback_server(respond) as upstream:
        async with running_gateway(upstream_url=upstream.v1, fetch_allow=(upstream.origin,), **settings) as gateway:
            async with AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as client:
                yield client, upstream


def photograph_part(name: str, **fields: Any) -> dict:
    return image("data:image/jpeg;base64," + base64.b64encode(photograph(name).read_bytes()).decode(), **fields)


def question(*parts: object) -> list:
    return [a_message(text("What is in this image?"), *parts)]


def test_a_response_describes_the_photograph_by_the_sdks_strict_types(client: openai.OpenAI) -> None:
    response = client.responses.create(model=MODEL, input=question(photograph_part("retina.jpg")))

    assert "JPEG of 1280 x 1280 pixels" in response.output_text
    assert response.usage.input_tokens_details.image_tokens == 2116
    strict_response(response.to_dict(mode="json"))


def test_the_detail_decides_the_size(client: openai.OpenAI) -> None:
    response = client.responses.create(model=MODEL, input=question(photograph_part("retina.jpg", detail="low")))

    assert response.usage.input_tokens_details.image_tokens == 729


def test_a_stream_keeps_to_the_grammar_by_the_sdks_strict_types(client: openai.OpenAI) -> None:
    grammar = ResponseStreamGrammar()

    for sdk_event in client.responses.create(model=MODEL, input=question(photograph_part("rocket.jpg")), stream=True):
        event = sdk_event.to_dict(mode="json")
        strict_event(event)
        grammar.take(event)

    grammar.check_end()
    assert grammar.last is not None
    assert "640 x 427" in grammar.last["output"][0]["content"][0]["text"]
    assert grammar.last["usage"]["input_tokens_details"]["image_tokens"] == 345


def test_the_stream_helper_assembles_the_response(client: openai.OpenAI) -> None:
    with client.responses.stream(model=MODEL, input=question(photograph_part("rocket.jpg"))) as stream:
        pieces = [event.delta for event in stream if event.type == "response.output_text.delta"]
        response = stream.get_final_response()

    assert len(pieces) > 10
    assert "".join(pieces) == response.output_text
    assert response.usage.input_tokens_details.image_tokens == 345


def test_the_headers_carry_the_image_tokens_and_the_request_id(client: openai.OpenAI) -> None:
    raw = client.responses.with_raw_response.create(model=MODEL, input=question(photograph_part("rocket.jpg")))

    assert raw.headers["x-image-tokens"] == "345"
    assert raw.parse()._request_id == raw.headers["x-request-id"]


async def test_parse_returns_an_object_of_the_requested_type() -> None:
    async with client_over(answers(completion({"content": '{"kind":"cat","legs":4}'}))) as (client, upstream):
        response = await client.responses.parse(model="m", input="Which animal?", text_format=Animal)

        assert response.output_parsed == Animal(kind="cat", legs=4)
        wanted = upstream.received[0].json()["response_format"]["json_schema"]
        assert (wanted["name"], wanted["strict"]) == ("Animal", True)
        assert response.text.format.type == "json_schema"


async def test_parallel_calls_get_their_outputs_under_their_own_ids() -> None:
    async with client_over(in_turn(streams(*CALLS), answers())) as (client, upstream):
        tools: list[Any] = [FUNCTION]
        conversation: list[Any] = [a_message(text("Look at the sky."))]
        async with client.responses.stream(model="m", input=conversation, tools=tools) as stream:
            called = await stream.get_final_response()
        conversation += called.output
        conversation += [output("call_a", "a bird"), output("call_b", [text("a plane"), image(a_data_url(56, 56))])]
        response = await client.responses.create(model="m", input=conversation, tools=tools)

        assert [(one.call_id, json.loads(str(one.arguments))) for one in called.output] == [
            ("call_a", {"at": "sky"}),
            ("call_b", {}),
        ]
        assert response.output_text == "A cat."
        _, assistant, first, second, images = upstream.received[1].json()["messages"]
        assert [one["id"] for one in assistant["tool_calls"]] == ["call_a", "call_b"]
        assert (first["tool_call_id"], first["content"]) == ("call_a", "a bird")
        assert (second["tool_call_id"], second["content"]) == ("call_b", "a plane")
        assert image_in(images["content"][1]["image_url"]["url"]).startswith(b"\x89PNG")


async def test_an_image_by_url_is_fetched_and_arrives_as_bytes() -> None:
    async def respond(request: Received, wire: Wire) -> None:
        response = answers(image_in(a_data_url(56, 56))) if request.method == "GET" else answers()
        await response(request, wire)

    async with client_over(respond) as (client, upstream):
        response = await client.responses.create(model="m", input=question(image(f"{upstream.origin}/a.png")))

        assert response.usage.input_tokens_details.image_tokens == 4
        seen = upstream.received[-1].json()["messages"][0]["content"][1]
        assert image_in(seen["image_url"]["url"]).startswith(b"\x89PNG")


async def test_reasoning_and_a_cut_off_answer_have_the_sdks_types() -> None:
    body = completion({"content": "A c", "reasoning_content": "Hm."}, "length", usage=ANSWER["usage"])
    async with client_over(answers(body)) as (client, _):
        response = await client.responses.create(model="m", input="hi")

    assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert [item.type for item in response.output] == ["reasoning", "message"]


def test_a_wrong_key_raises_the_sdks_authentication_error(gateway: ServingProcess) -> None:
    client = openai.OpenAI(base_url=gateway.v1, api_key="obs_wrong", max_retries=0)

    with pytest.raises(openai.AuthenticationError) as raised:
        client.responses.create(model=MODEL, input="hi")

    assert raised.value.code == "invalid_api_key"


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
def test_an_invalid_request_raises_the_sdks_bad_request_error_with_path(
    client: openai.OpenAI, fields: dict, code: str, param: str | None
) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        client.responses.create(**{"model": MODEL, "input": "hi"} | fields)

    assert (raised.value.code, raised.value.param) == (code, param)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (429, openai.RateLimitError),
        (404, openai.NotFoundError),
        (422, openai.UnprocessableEntityError),
        (500, openai.InternalServerError),
    ],
)
async def test_an_upstreams_error_raises_the_sdks_own_exception(status: int, error: type[Exception]) -> None:
    async with client_over(answers({}, status)) as (client, _):
        with pytest.raises(error):
            await client.responses.create(model="m", input="hi")


@pytest.mark.parametrize("dialects", [("chat",), ("chat", "responses")], ids=["chat", "native"])
async def test_a_stream_that_breaks_raises_the_sdks_api_error(dialects: tuple[str, ...]) -> None:
    async with client_over(streams(CHUNKS[0], then="breaks"), upstream_dialects=dialects) as (client, _):
        with pytest.raises(openai.APIError) as broken:
            async for _event in await client.responses.create(model="m", input="hi", stream=True):
                pass

    assert broken.value.code == "upstream_error"
