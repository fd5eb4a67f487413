"""The official ``anthropic`` SDK against a running gateway: only the base URL and the key differ.

Every response and event is parsed by the SDK's own types in its strict mode.
"""

import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic, AsyncAnthropic
from anthropic.types import ToolUseBlock

from tests.support.fake_upstream import ANSWER, CHUNKS, answers, chunk, in_turn, streams
from tests.support.gateway import Gateway, running_gateway
from tests.support.loopback_server import LoopbackServer, Received, Respond, Wire, loopback_server
from tests.support.photographs import photograph
from tests.support.serving_process import ServingProcess, environment, serving

MODEL = "obscura-demo"
STRICT: dict[str, Any] = {"max_retries": 0, "_strict_response_validation": True}
TOOL: Any = {
    "name": "weather",
    "description": "Returns the weather of a town.",
    "input_schema": {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]},
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServingProcess]:
    with serving(environment(tmp_path_factory.mktemp("data"))) as process:
        yield process


@pytest.fixture
def client(gateway: ServingProcess) -> Iterator[Anthropic]:
    with Anthropic(base_url=gateway.url, api_key=gateway.key, **STRICT) as client:
        yield client


@asynccontextmanager
async def sdk_client(gateway: Gateway) -> AsyncIterator[AsyncAnthropic]:
    async with AsyncAnthropic(base_url=gateway.url, api_key=gateway.key, **STRICT) as client:
        yield client


def image_block(name: str) -> dict:
    data = base64.b64encode(photograph(name).read_bytes()).decode()
    return {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": data}}


def question(*content: object) -> dict:
    """The arguments of a request about images."""
    text = {"type": "text", "text": "What is in this image?"}
    return {"model": MODEL, "max_tokens": 200, "messages": [{"role": "user", "content": [*content, text]}]}


def test_a_whole_response_describes_the_image(client: Anthropic) -> None:
    response = client.messages.create(**question(image_block("retina.jpg")))

    assert "JPEG of 1280 x 1280 pixels" in response.content[0].text
    assert (response.role, response.model, response.stop_reason) == ("assistant", MODEL, "end_turn")
    assert response.to_dict()["usage"]["image_tokens"] == 2116
    assert response._request_id.startswith("req_")


def test_a_stream_is_the_same_response_piece_by_piece(client: Anthropic) -> None:
    with client.messages.stream(**question(image_block("rocket.jpg"))) as stream:
        pieces = list(stream.text_stream)
        response = stream.get_final_message()

    assert len(pieces) > 10
    assert "640 x 427 pixels" in "".join(pieces)
    assert response.content[0].text == "".join(pieces)
    assert response.stop_reason == "end_turn"
    assert response.to_dict()["usage"]["image_tokens"] == 345
    assert response.usage.output_tokens > 0


def test_every_event_of_a_stream_is_one_of_the_sdks_own(client: Anthropic) -> None:
    kinds = [event.type for event in client.messages.create(**question(image_block("rocket.jpg")), stream=True)]

    assert kinds[:2] == ["message_start", "content_block_start"]
    assert set(kinds[2:-3]) == {"content_block_delta"}
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]


def test_an_image_in_a_tool_result_is_seen(client: Anthropic) -> None:
    call = {"type": "tool_use", "id": "toolu_1", "name": "camera", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [image_block("rocket.jpg")]}
    turns: list[Any] = [
        {"role": "user", "content": "Take an image."},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result]},
    ]

    response = client.messages.create(model=MODEL, max_tokens=200, messages=turns)

    assert "JPEG of 640 x 427 pixels" in response.content[0].text


def test_tokens_are_counted_without_a_response(client: Anthropic) -> None:
    arguments = {key: value for key, value in question(image_block("rocket.jpg")).items() if key != "max_tokens"}

    response = client.messages.count_tokens(**arguments)

    assert 345 < response.input_tokens < 365
    assert response.to_dict()["estimate"] is True


def test_the_headers_carry_the_image_tokens_and_the_request_id(client: Anthropic) -> None:
    raw = client.messages.with_raw_response.create(**question(image_block("rocket.jpg")))

    assert raw.headers["x-image-tokens"] == "345"
    assert raw.headers["request-id"] == raw.headers["x-request-id"]


async def test_an_image_by_url_is_fetched_and_seen() -> None:
    async def host(request: Received, wire: Wire) -> None:
        await wire.answer(200, photograph("rocket.jpg").read_bytes(), "image/jpeg")

    async with loopback_server(host) as images, running_gateway(fetch_allow=(images.origin,)) as gateway:
        async with sdk_client(gateway) as client:
            by_url = {"type": "image", "source": {"type": "url", "url": f"{images.origin}/rocket.jpg"}}
            response = await client.messages.create(**question(by_url))

    assert "640 x 427 pixels" in response.content[0].text


@asynccontextmanager
async def over(respond: Respond, **settings: Any) -> AsyncIterator[tuple[AsyncAnthropic, LoopbackServer]]:
    """The SDK on a gateway whose upstream responds with ``respond``."""
    async with loopback_server(respond) as upstream, running_gateway(upstream_url=upstream.v1, **settings) as gateway:
        async with sdk_client(gateway) as client:
            yield client, upstream


def call(index: int, arguments: str, town_of: str = "") -> dict:
    head = {"id": f"call_{town_of}", "type": "function"} if town_of else {}
    function = {"arguments": arguments} | ({"name": "weather"} if town_of else {})
    return {"index": index, **head, "function": function}


CALLED = answers(
    ANSWER
    | {
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "tool_calls": [call(0, '{"town":"Ulm"}', "ulm")]},
                "finish_reason": "tool_calls",
            }
        ]
    }
)


async def test_a_tool_is_called_and_its_result_used() -> None:
    user_message: Any = {"role": "user", "content": "How is it in Ulm?"}
    async with over(in_turn(CALLED, answers())) as (client, upstream):
        called = await client.messages.create(model="m", max_tokens=50, messages=[user_message], tools=[TOOL])
        (use,) = called.content
        result = {"type": "tool_result", "tool_use_id": use.id, "content": "sunny"}
        turns: list[Any] = [user_message, called.to_param(), {"role": "user", "content": [result]}]
        response = await client.messages.create(model="m", max_tokens=50, messages=turns, tools=[TOOL])

        assert isinstance(use, ToolUseBlock)
        assert (called.stop_reason, use.name, use.input) == ("tool_use", "weather", {"town": "Ulm"})
        assert response.content[0].text == "A cat."
        first, second = (request.json() for request in upstream.received)
        assert first["tools"][0]["function"]["parameters"] == TOOL["input_schema"]
        assert second["messages"][1]["tool_calls"][0]["id"] == second["messages"][2]["tool_call_id"] == "call_ulm"


async def test_the_sdk_assembles_thinking_and_interleaved_tool_calls() -> None:
    pieces = [
        chunk({"reasoning_content": "Two towns."}),
        chunk({"content": "I will look."}),
        chunk({"tool_calls": [call(0, "", "ulm"), call(1, "", "jena")]}),
        chunk({"tool_calls": [call(1, '{"town":')]}),
        chunk({"tool_calls": [call(0, '{"town":"Ulm"}'), call(1, '"Jena"}')]}),
        chunk({}, "tool_calls"),
        *CHUNKS[-2:],
    ]
    async with over(streams(*pieces)) as (client, _):
        messages: list[Any] = [{"role": "user", "content": "Ulm and Jena?"}]
        async with client.messages.stream(model="m", max_tokens=50, messages=messages, tools=[TOOL]) as stream:
            response = await stream.get_final_message()

    thinking, text, ulm, jena = response.content
    assert (thinking.thinking, thinking.signature, text.text) == ("Two towns.", "", "I will look.")
    assert [(use.id, use.input) for use in (ulm, jena)] == [
        ("call_ulm", {"town": "Ulm"}),
        ("call_jena", {"town": "Jena"}),
    ]
    assert (response.stop_reason, response.usage.output_tokens) == ("tool_use", 2)


async def test_a_response_with_thinking_can_be_sent_back_as_it_is() -> None:
    message = {"role": "assistant", "content": "A cat.", "reasoning_content": "Whiskers."}
    answer = ANSWER | {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    user_message: Any = {"role": "user", "content": "What is it?"}
    async with over(answers(answer)) as (client, upstream):
        first = await client.messages.create(model="m", max_tokens=50, messages=[user_message])
        turns: list[Any] = [user_message, first.to_param(), {"role": "user", "content": "Sure?"}]
        await client.messages.create(model="m", max_tokens=50, messages=turns)

        assert [block.type for block in first.content] == ["thinking", "text"]
        assert upstream.received[1].json()["messages"][1] == {"role": "assistant", "content": "A cat."}


def test_a_wrong_key_raises_the_sdks_authentication_error(gateway: ServingProcess) -> None:
    with Anthropic(base_url=gateway.url, api_key="obs_wrong", **STRICT) as unauthenticated:
        with pytest.raises(anthropic.AuthenticationError) as caught:
            unauthenticated.messages.create(**question())

    assert caught.value.type == "authentication_error"
    assert caught.value.request_id.startswith("req_")


def test_a_broken_image_raises_the_sdks_bad_request_error_with_the_path(client: Anthropic) -> None:
    broken = image_block("rocket.jpg")
    broken["source"]["data"] = broken["source"]["data"][:5001]

    with pytest.raises(anthropic.BadRequestError) as caught:
        client.messages.create(**question(broken))

    error = caught.value.body["error"]
    assert (caught.value.type, error["code"]) == ("invalid_request_error", "invalid_image")
    assert error["param"] == "messages[0].content[0].source.data"


def test_an_unknown_file_raises_the_sdks_not_found_error(client: Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError) as caught:
        client.messages.create(**question({"type": "image", "source": {"type": "file", "file_id": "file_1"}}))

    assert caught.value.type == "not_found_error"


def test_a_field_that_chat_lacks_raises_the_sdks_bad_request_error(client: Anthropic) -> None:
    with pytest.raises(anthropic.BadRequestError, match="inference_geo"):
        client.messages.create(**question(), inference_geo="us")


@pytest.mark.parametrize(
    ("status", "raised", "kind"),
    [
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (413, anthropic.RequestTooLargeError, "request_too_large"),
        (404, anthropic.NotFoundError, "not_found_error"),
        (500, anthropic.InternalServerError, "api_error"),
        (504, anthropic.InternalServerError, "timeout_error"),
    ],
)
async def test_an_upstream_error_raises_the_sdks_own_exception(
    status: int, raised: type[anthropic.APIStatusError], kind: str
) -> None:
    async with over(answers({}, status, retry_after="3600")) as (client, _):
        with pytest.raises(raised) as caught:
            await client.messages.create(**question())

    assert caught.value.type == kind


@pytest.mark.parametrize("dialects", [("chat",), ("chat", "messages")], ids=["chat", "native"])
async def test_a_stream_that_breaks_raises_the_sdks_api_status_error(dialects: tuple[str, ...]) -> None:
    async with over(streams(CHUNKS[0], then="breaks"), upstream_dialects=dialects) as (client, _):
        with pytest.raises(anthropic.APIStatusError) as broken:
            async for _event in await client.messages.create(**question(), stream=True):
                pass

    assert broken.value.type == "api_error"
    assert broken.value.body["error"]["code"] == "upstream_error"
