"""Responses end to end: over a chat upstream, and over one that speaks Responses."""

import json
from typing import Any

import httpx
import pytest

from obscura.moderation.demo import MARKER_WORD
from tests.support.fake_upstream import ANSWER, CHUNKS, answers, chunk, hangs_up, in_turn, streams
from tests.support.gateway import Gateway, running_gateway
from tests.support.image_urls import data_url, image_in
from tests.support.loopback_server import LoopbackServer, Received, Respond, Wire, loopback_server
from tests.support.response_stream_grammar import checked, events_of
from tests.unit.dialects.responses.requests import FUNCTION, a_message, a_request, call, image, output, text
from tests.unit.imaging.images import a_plain, opened

NATIVE: dict[str, Any] = {"upstream_dialects": ("chat", "responses")}
USAGE = {"input_tokens": 10, "output_tokens": 2, "total_tokens": 12}
NATIVE_ANSWER = {"id": "resp_1", "object": "response", "status": "completed", "output": [], "usage": USAGE}
CALL = {"id": "call_9", "type": "function", "function": {"name": "look", "arguments": '{"at":"sky"}'}}
CALLED = ANSWER | {
    "choices": [{"index": 0, "message": {"role": "assistant", "tool_calls": [CALL]}, "finish_reason": "tool_calls"}]
}


async def respond_to(gateway: Gateway, *items: object, **fields: object) -> httpx.Response:
    given = items[0] if items and isinstance(items[0], str) else list(items)
    return await gateway.client.post("/v1/responses", json=a_request(given, **fields))


def serving_too(image: bytes) -> Respond:
    """An upstream that is also the host of an image."""

    async def respond(request: Received, wire: Wire) -> None:
        await (answers(image) if request.method == "GET" else answers())(request, wire)

    return respond


def framed(*events: dict) -> list[bytes]:
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]


async def test_a_request_is_sent_as_chat_and_returned_as_a_response(upstream: LoopbackServer, gateway: Gateway) -> None:
    response = await respond_to(gateway, "What is it?", instructions="Be brief.", max_output_tokens=50)

    assert upstream.received[0].path == "/v1/chat/completions"
    assert upstream.received[0].json() == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is it?"}],
        "max_tokens": 50,
    }
    assert response.status_code == 200
    assert response.headers["x-request-id"].startswith("req_")
    assert response.json()["output"][0]["content"][0]["text"] == "A cat."


async def test_a_stream_of_chunks_becomes_a_stream_of_events(upstream: LoopbackServer, gateway: Gateway) -> None:
    upstream.respond = streams()
    response = await respond_to(gateway, a_message(image(data_url(a_plain(56, 56, "PNG")))), stream=True)

    *_, last = checked(response.content)
    assert response.headers["content-type"].startswith("text/event-stream")
    assert last["response"]["output"][0]["content"][0]["text"] == "A cat."
    assert last["response"]["usage"]["input_tokens_details"]["image_tokens"] == 4
    assert upstream.received[0].json()["stream_options"] == {"include_usage": True}


async def test_images_of_every_source_arrive_prepared_in_request_order() -> None:
    wide, tall, large = (a_plain(*size, "PNG") for size in [(112, 28), (28, 112), (2000, 1000)])
    async with loopback_server(serving_too(tall)) as upstream:
        async with running_gateway(upstream_url=upstream.v1, fetch_allow=(upstream.origin,)) as gateway:
            response = await respond_to(
                gateway,
                call("call_1"),
                output("call_1", [text("Seen."), image(data_url(wide))]),
                a_message(image(f"{upstream.origin}/a.png"), image(data_url(large), detail="low"), text("Compare.")),
            )

            assert response.status_code == 200
            _, tool, shown, user = upstream.received[-1].json()["messages"]
            parts = [*shown["content"], *user["content"]]
            urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
            assert (tool["tool_call_id"], tool["content"]) == ("call_1", "Seen.")
            assert [opened(image_in(url)).size for url in urls] == [(112, 28), (28, 112), (768, 384)]
            tokens = [int(count) for count in response.headers["x-image-tokens"].split(",")]
            assert response.json()["usage"]["input_tokens_details"]["image_tokens"] == sum(tokens)
            assert tokens[:2] == [4, 4]


async def test_a_function_call_and_its_output_keep_the_same_id() -> None:
    question = {"role": "user", "content": "What is up there?"}
    async with loopback_server(in_turn(answers(CALLED), answers())) as upstream:
        async with running_gateway(upstream_url=upstream.v1) as gateway:
            called = (await respond_to(gateway, question, tools=[FUNCTION])).json()
            response = await respond_to(
                gateway, question, *called["output"], output("call_9", "a bird"), tools=[FUNCTION]
            )

            assert called["output"][0] | {"id": ""} == call("call_9", "look", '{"at":"sky"}', id="", status="completed")
            assert response.status_code == 200
            _, assistant, answer = upstream.received[1].json()["messages"]
            assert assistant["tool_calls"] == [CALL]
            assert answer == {"role": "tool", "tool_call_id": "call_9", "content": "a bird"}


@pytest.mark.parametrize(
    ("items", "fields", "code", "param"),
    [
        (
            [a_message(image("data:image/png;base64,AAAA"))],
            {},
            "unsupported_image_format",
            "input[0].content[0].image_url",
        ),
        ([a_message(image("ftp://x.test/a.png"))], {}, "invalid_image_url", "input[0].content[0].image_url"),
        ([a_message(image("https://127.0.0.1/a.png"))], {}, "unsafe_image_url", "input[0].content[0].image_url"),
        ([output("a", [image("data:text/plain,hi")])], {}, "invalid_image_url", "input[0].output[0].image_url"),
        ([a_message(*[text("hi")] * 17)], {}, "too_many_content_parts", "input[0].content"),
        (
            [a_message(*[image()] * 15)] * 7,
            {},
            "too_many_images",
            "input[6].content[10].image_url",
        ),
        ([a_message({"type": "input_video", "video_url": "x"})], {}, "unsupported_operation", "input[0].content[0]"),
        (["hi"], {"previous_response_id": "resp_1"}, "unsupported_field", "previous_response_id"),
        (["hi"], {"background": True}, "unsupported_field", "background"),
        (["hi"], {"model": ""}, "invalid_request", "model"),
        (["hi"], {"stream": "yes"}, "invalid_request", "stream"),
        ([f"please {MARKER_WORD}"], {}, "moderation_blocked", None),
        ([output("a", f"please {MARKER_WORD}")], {}, "moderation_blocked", None),
    ],
)
@pytest.mark.gateway(moderation="demo")
async def test_an_error_has_openais_format_and_nothing_goes_upstream(
    items: list, fields: dict, code: str, param: str | None, upstream: LoopbackServer, gateway: Gateway
) -> None:
    response = await respond_to(gateway, *items, **fields)

    error = response.json()["error"]
    assert response.status_code == 400
    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", code, param)
    assert upstream.received == []


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/responses", 405, "method_not_allowed"),
        ("POST", "/v1/responses/resp_1/cancel", 404, "not_found"),
    ],
)
async def test_an_unknown_path_gets_openais_error_format(
    method: str, path: str, status: int, code: str, demo_gateway: Gateway
) -> None:
    response = await demo_gateway.client.request(method, path)

    assert response.status_code == status
    assert response.json()["error"]["code"] == code


async def test_a_malformed_body_gets_openais_error_format(demo_gateway: Gateway) -> None:
    response = await demo_gateway.client.post("/v1/responses", content=b'{"model"')

    assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_json")


@pytest.mark.parametrize(
    ("respond", "status", "code"),
    [
        (answers({"error": {"message": "too long"}}, 400), 400, "invalid_request"),
        (answers({}, 429), 429, "rate_limit_exceeded"),
        (answers({}, 401), 502, "upstream_error"),
        (answers({}, 500), 502, "upstream_error"),
        (answers(b"<html>"), 502, "upstream_error"),
        (answers({"choices": []}), 502, "upstream_error"),
        (hangs_up, 502, "upstream_error"),
    ],
)
async def test_a_malformed_upstream_response_becomes_one_of_our_codes(
    respond: Respond, status: int, code: str, upstream: LoopbackServer, gateway: Gateway
) -> None:
    upstream.respond = respond
    response = await respond_to(gateway, "hi")

    assert (response.status_code, response.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    "respond",
    [
        streams(CHUNKS[1], CHUNKS[2][:20], then="breaks"),
        streams(CHUNKS[1]),
        streams(CHUNKS[1], b"data: oops\n\n"),
        streams(CHUNKS[1] + b'data: {"error":{"message":"secret"}}\n\n'),
        streams(CHUNKS[1], chunk({"tool_calls": [{"index": 0}]})),
    ],
    ids=["connection", "end", "no JSON", "error", "call without a name"],
)
async def test_an_upstream_that_breaks_in_mid_stream_ends_in_failed_and_an_error(
    respond: Respond, upstream: LoopbackServer, gateway: Gateway
) -> None:
    upstream.respond = respond
    response = await respond_to(gateway, "hi", stream=True)

    *_, failed, error = checked(response.content)
    assert failed["response"]["output"][0]["content"][0]["text"] == "A "
    assert (failed["response"]["output"][0]["status"], failed["response"]["error"]["code"]) == (
        "incomplete",
        "server_error",
    )
    assert (error["type"], error["code"]) == ("error", "upstream_error")
    assert "secret" not in response.text


async def test_a_native_upstream_gets_the_request_with_its_image_prepared() -> None:
    native_only = {"truncation": "auto", "tools": [{"type": "web_search"}], "store": True}
    async with loopback_server(answers(NATIVE_ANSWER)) as upstream:
        async with running_gateway(upstream_url=upstream.v1, **NATIVE) as gateway:
            response = await respond_to(gateway, a_message(image(data_url(a_plain(2000, 1000, "PNG")))), **native_only)

            sent = upstream.received[0]
            url = sent.json()["input"][0]["content"][0]["image_url"]
            assert sent.path == "/v1/responses"
            assert opened(image_in(url)).size == (1280, 640)
            assert sent.json() == a_request([a_message(image(url))], **native_only)
            tokens = int(response.headers["x-image-tokens"])
            assert response.json() == NATIVE_ANSWER | {
                "usage": USAGE | {"input_tokens_details": {"image_tokens": tokens}}
            }


async def test_a_native_response_without_images_is_passed_on_byte_for_byte() -> None:
    async with loopback_server(answers(NATIVE_ANSWER)) as upstream:
        async with running_gateway(upstream_url=upstream.v1, **NATIVE) as gateway:
            response = await respond_to(gateway, "hi")

            assert response.content == json.dumps(NATIVE_ANSWER).encode()


async def test_a_native_stream_gains_only_image_tokens_in_its_last_event() -> None:
    created = {"type": "response.created", "sequence_number": 0, "response": NATIVE_ANSWER | {"usage": None}}
    completed = {"type": "response.completed", "sequence_number": 1, "response": NATIVE_ANSWER}
    async with loopback_server(streams(*framed(created, completed))) as upstream:
        async with running_gateway(upstream_url=upstream.v1, **NATIVE) as gateway:
            response = await respond_to(gateway, a_message(image(data_url(a_plain(56, 56, "PNG")))), stream=True)

            first, last = events_of(response.content)
            assert first == created
            assert last["response"]["usage"] == USAGE | {"input_tokens_details": {"image_tokens": 4}}


async def test_a_native_stream_that_breaks_ends_in_an_error_with_the_next_number() -> None:
    created = {"type": "response.created", "sequence_number": 0, "response": NATIVE_ANSWER}
    async with loopback_server(streams(*framed(created), then="breaks")) as upstream:
        async with running_gateway(upstream_url=upstream.v1, **NATIVE) as gateway:
            response = await respond_to(gateway, "hi", stream=True)

            _, error = events_of(response.content)
            assert (error["type"], error["sequence_number"], error["code"]) == ("error", 1, "upstream_error")


async def test_an_image_that_a_native_upstream_would_fetch_itself_is_rejected() -> None:
    seen = {"type": "shell_call_output", "call_id": "a", "output": [{"image": {"url": "https://x.test/a.png"}}]}
    async with loopback_server(answers(NATIVE_ANSWER)) as upstream:
        async with running_gateway(upstream_url=upstream.v1, **NATIVE) as gateway:
            response = await respond_to(gateway, seen, a_message(text("Again.")))

            assert response.json()["error"]["code"] == "unsupported_operation"
            assert response.json()["error"]["param"] == "input[0].output[0].image.url"
            assert upstream.received == []


async def test_an_untranslatable_field_is_rejected_before_any_image_is_fetched() -> None:
    async with (
        loopback_server(answers(image_in("PNG"))) as host,
        running_gateway(fetch_allow=(host.origin,)) as gateway,
    ):
        image_item = image(f"{host.origin}/a.png")

        response = await respond_to(gateway, a_message(text("hi"), image_item), previous_response_id="resp_0")

        assert (response.status_code, response.json()["error"]["param"]) == (400, "previous_response_id")
        assert host.received == []
