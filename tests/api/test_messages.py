"""Messages end to end: over a chat upstream, and over one that speaks Messages."""

import base64
import json
from typing import Any

import httpx
import pytest

from obscura.moderation.demo import MARKER_WORD
from tests.support.fake_upstream import ANSWER, CHUNKS, answers, chunk, hangs_up, streams
from tests.support.gateway import Gateway, running_gateway
from tests.support.image_urls import image_in
from tests.support.loopback_server import LoopbackServer, Received, Respond, Wire, loopback_server
from tests.support.message_stream_grammar import parse_stream
from tests.unit.imaging.images import a_plain, opened

NATIVE: dict[str, Any] = {"upstream_dialects": ("chat", "messages")}
HEADERS = {"anthropic-version": "2023-06-01"}


async def message(gateway: Gateway, *content: object, headers: dict | None = None, **fields: object) -> httpx.Response:
    body = {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": list(content)}]} | fields
    return await gateway.client.post("/v1/messages", json=body, headers=HEADERS | (headers or {}))


def text(words: str) -> dict:
    return {"type": "text", "text": words}


def image(image: bytes) -> dict:
    data = base64.b64encode(image).decode()
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}


def image_by(url: str) -> dict:
    return {"type": "image", "source": {"type": "url", "url": url}}


def serving_too(image: bytes) -> Respond:
    """An upstream that is also the host of an image."""

    async def respond(request: Received, wire: Wire) -> None:
        if request.method == "GET":
            await wire.answer(200, image, "image/png")
        else:
            await answers()(request, wire)

    return respond


async def test_a_request_is_sent_as_chat_and_returned_as_a_message(upstream: LoopbackServer, gateway: Gateway) -> None:
    response = await message(gateway, text("What is it?"), system="Be brief.")

    assert upstream.received[0].path == "/v1/chat/completions"
    assert upstream.received[0].json() == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is it?"}],
        "max_tokens": 50,
    }
    assert response.status_code == 200
    assert response.json()["content"] == [text("A cat.") | {"citations": []}]
    assert response.headers["request-id"] == response.headers["x-request-id"]


async def test_a_stream_of_chunks_becomes_a_stream_of_events(upstream: LoopbackServer, gateway: Gateway) -> None:
    upstream.respond = streams()
    response = await message(gateway, image(a_plain(56, 56, "PNG")), stream=True)

    heard = parse_stream(response.content)
    assert response.headers["content-type"].startswith("text/event-stream")
    assert heard.texts() == ["A cat."]
    assert heard.usage["image_tokens"] == int(response.headers["x-image-tokens"]) == 4
    assert upstream.received[0].json()["stream_options"] == {"include_usage": True}


async def test_images_of_every_source_arrive_prepared_in_request_order() -> None:
    wide, tall, large = (a_plain(*size, "PNG") for size in [(112, 28), (28, 112), (2000, 1000)])
    async with loopback_server(serving_too(tall)) as upstream:
        async with running_gateway(upstream_url=upstream.v1, fetch_allow=(upstream.origin,)) as gateway:
            result = {"type": "tool_result", "tool_use_id": "call_1", "content": [image(wide)]}
            response = await message(
                gateway, result, image_by(f"{upstream.origin}/a.png"), image(large), text("Compare.")
            )

            assert response.status_code == 200
            tool, user = upstream.received[-1].json()["messages"]
            urls = [part["image_url"]["url"] for part in user["content"] if part["type"] == "image_url"]
            assert tool["tool_call_id"] == "call_1"
            assert [opened(image_in(url)).size for url in urls] == [(112, 28), (28, 112), (1280, 640)]
            assert response.headers["x-image-tokens"].count(",") == 2
            assert response.json()["usage"]["image_tokens"] == sum(
                map(int, response.headers["x-image-tokens"].split(","))
            )


async def test_a_tool_call_and_its_result_keep_the_same_id() -> None:
    call = {"id": "call_9", "type": "function", "function": {"name": "weather", "arguments": '{"town":"Ulm"}'}}
    choice = {"index": 0, "message": {"role": "assistant", "tool_calls": [call]}, "finish_reason": "tool_calls"}
    tool = {"name": "weather", "input_schema": {"type": "object"}}
    question = {"role": "user", "content": "How is it in Ulm?"}
    async with loopback_server(answers(ANSWER | {"choices": [choice]})) as upstream:
        async with running_gateway(upstream_url=upstream.v1) as gateway:
            called = (await message(gateway, tools=[tool], messages=[question])).json()
            result = {"type": "tool_result", "tool_use_id": called["content"][0]["id"], "content": "sunny"}
            turns = [
                question,
                {"role": "assistant", "content": called["content"]},
                {"role": "user", "content": [result]},
            ]
            await message(gateway, tools=[tool], messages=turns)

            assert called["stop_reason"] == "tool_use"
            (block,) = called["content"]
            assert (block["type"], block["name"], block["input"]) == ("tool_use", "weather", {"town": "Ulm"})
            assert (block["id"], block["caller"]) == ("call_9", {"type": "direct"})
            _, assistant, answer = upstream.received[1].json()["messages"]
            assert assistant["tool_calls"] == [call]
            assert answer == {"role": "tool", "tool_call_id": "call_9", "content": "sunny"}


NATIVE_ANSWER: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "content": [text("A cat.")],
    "usage": {"input_tokens": 5, "output_tokens": 2},
}


async def test_a_native_upstream_gets_the_request_with_its_image_prepared() -> None:
    async with loopback_server(answers(NATIVE_ANSWER)) as upstream:
        async with running_gateway(upstream_url=upstream.v1, **NATIVE) as gateway:
            response = await message(
                gateway, image(a_plain(2000, 1000, "PNG")), inference_geo="us", thinking={"type": "x"}
            )

            sent = upstream.received[0]
            source = sent.json()["messages"][0]["content"][0]["source"]
            assert sent.path == "/v1/messages"
            assert (sent.json()["inference_geo"], sent.json()["thinking"]) == ("us", {"type": "x"})
            assert source["type"] == "base64"
            assert opened(base64.b64decode(source["data"])).size == (1280, 640)
            assert response.json() == NATIVE_ANSWER | {
                "usage": NATIVE_ANSWER["usage"] | {"image_tokens": int(response.headers["x-image-tokens"])}
            }


async def test_a_native_response_without_images_is_passed_on_byte_for_byte() -> None:
    body = b'{ "id":"msg_1", "usage" : {"input_tokens":5} , "new_field":1E5 }'
    async with (
        loopback_server(answers(body)) as upstream,
        running_gateway(upstream_url=upstream.v1, **NATIVE) as gateway,
    ):
        assert (await message(gateway, text("hi"))).content == body


async def test_a_native_stream_is_passed_on_byte_for_byte() -> None:
    events = [
        b'event: message_start\ndata: {"type":"message_start"}\n\n',
        b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
    ]
    async with (
        loopback_server(streams(*events)) as upstream,
        running_gateway(upstream_url=upstream.v1, **NATIVE) as gateway,
    ):
        assert (await message(gateway, text("hi"), stream=True)).content == b"".join(events)


@pytest.mark.parametrize("broken", [CHUNKS[2][:30], b"data: oops\n\n"], ids=["breaks off", "no JSON"])
async def test_an_upstream_that_breaks_in_mid_stream_ends_in_an_error_event(broken: bytes) -> None:
    respond = streams(*CHUNKS[:2], broken, then="breaks")
    async with loopback_server(respond) as upstream, running_gateway(upstream_url=upstream.v1) as gateway:
        response = await message(gateway, text("hi"), stream=True)

        heard = parse_stream(response.content)
        assert (response.status_code, heard.texts()) == (200, ["A "])
        assert heard.error["error"]["type"] == "api_error"
        assert heard.error["request_id"] == response.headers["request-id"]


async def test_a_native_stream_that_breaks_ends_in_an_error_event() -> None:
    begun = b'event: ping\ndata: {"type":"ping"}\n\nevent: message_sta'
    async with loopback_server(streams(begun, then="breaks")) as upstream:
        async with running_gateway(upstream_url=upstream.v1, **NATIVE) as gateway:
            response = await message(gateway, text("hi"), stream=True)

            *_, last = response.text.rstrip("\n").split("\n\n")
            assert last.startswith("event: error\ndata: ")
            assert json.loads(last.partition("data: ")[2])["error"]["code"] == "upstream_error"


async def test_an_error_that_the_upstream_sends_first_is_the_only_event() -> None:
    error = b'data: {"error":{"message":"secret detail"}}\n\n'
    async with loopback_server(streams(error)) as upstream, running_gateway(upstream_url=upstream.v1) as gateway:
        response = await message(gateway, text("hi"), stream=True)

        assert parse_stream(response.content).error["error"]["code"] == "upstream_error"
        assert "secret detail" not in response.text


async def test_thinking_and_mixed_parallel_calls_reach_the_caller_in_order() -> None:
    def call(index: int, arguments: str, **head: str) -> bytes:
        function = {"arguments": arguments} | ({"name": "f"} if head else {})
        return chunk({"tool_calls": [{"index": index, "function": function} | head]})

    pieces = [
        chunk({"reasoning_content": "Hm."}),
        call(0, '{"a":', id="call_a"),
        call(1, '{"b":', id="call_b"),
        call(0, "1}"),
        call(1, "2}"),
        chunk({}, "tool_calls"),
        CHUNKS[-1],
    ]
    async with loopback_server(streams(*pieces)) as upstream, running_gateway(upstream_url=upstream.v1) as gateway:
        heard = parse_stream((await message(gateway, text("hi"), stream=True)).content)

        assert [(block.kind, block.text) for block in heard.blocks] == [
            ("thinking", "Hm."),
            ("tool_use", '{"a":1}'),
            ("tool_use", '{"b":2}'),
        ]


def error_of(response: httpx.Response) -> tuple[int, str, str]:
    """Return the status, type and code of an error, after a check of its format."""
    body = response.json()
    assert body["type"] == "error"
    assert body["request_id"] == response.headers["request-id"]
    return response.status_code, body["error"]["type"], body["error"]["code"]


async def test_an_unauthenticated_client_gets_anthropics_error_format() -> None:
    async with running_gateway() as gateway, httpx.AsyncClient(base_url=gateway.url, trust_env=False) as client:
        anonymous = await client.post("/v1/messages", json={})
        unknown = await client.post("/v1/messages", json={}, headers={"x-api-key": "obs_wrong"})

        assert error_of(anonymous) == (401, "authentication_error", "missing_credentials")
        assert error_of(unknown) == (401, "authentication_error", "invalid_api_key")


async def test_the_key_may_come_as_x_api_key(gateway: Gateway) -> None:
    async with httpx.AsyncClient(base_url=gateway.url, trust_env=False) as client:
        body = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]}
        response = await client.post("/v1/messages", json=body, headers={"x-api-key": gateway.key})

        assert response.status_code == 200


async def test_unknown_paths_and_wrong_methods_get_anthropics_error_format(demo_gateway: Gateway) -> None:
    nowhere = await demo_gateway.client.post("/v1/messages/nowhere", json={})
    batches = await demo_gateway.client.get("/v1/messages/batches")
    wrong = await demo_gateway.client.get("/v1/messages")

    assert error_of(nowhere) == error_of(batches) == (404, "not_found_error", "not_found")
    assert error_of(wrong) == (405, "invalid_request_error", "method_not_allowed")
    assert wrong.headers["allow"] == "POST"


@pytest.mark.gateway(max_body_bytes=1000)
async def test_a_body_past_the_limit_is_request_too_large(demo_gateway: Gateway) -> None:
    response = await message(demo_gateway, text("x" * 1000))

    assert error_of(response) == (413, "request_too_large", "request_too_large")


@pytest.mark.parametrize(
    ("content", "content_type", "code"),
    [(b"{", "application/json", "invalid_json"), (b"a=b", "application/x-www-form-urlencoded", "invalid_request")],
)
async def test_a_body_that_is_no_request_is_rejected(
    content: bytes, content_type: str, code: str, demo_gateway: Gateway
) -> None:
    response = await demo_gateway.client.post("/v1/messages", content=content, headers={"content-type": content_type})

    assert error_of(response) == (400, "invalid_request_error", code)


@pytest.mark.parametrize(
    ("block", "code", "param", "status"),
    [
        (image(b"no image"), "unsupported_image_format", "source.data", 400),
        (image_by("http://127.0.0.1:9/a.png"), "unsafe_image_url", "source.url", 400),
        (image_by("ftp://example.com/a.png"), "invalid_image_url", "source.url", 400),
        ({"type": "image", "source": {"type": "file", "file_id": "f_1"}}, "file_not_found", "source.file_id", 404),
        ({"type": "search_result", "title": "T", "content": [text("x")]}, "unsupported_field", "type", 400),
        (text("so") | {"video_url": "https://example.com/a.mp4"}, "unsupported_operation", "video_url", 400),
        ({"type": "document", "source": image(b"\xff\xd8\xff")["source"]}, "unsupported_operation", "source", 400),
    ],
)
async def test_a_content_block_that_is_not_supported_is_named_by_its_path(
    block: dict, code: str, param: str, status: int, upstream: LoopbackServer, gateway: Gateway
) -> None:
    response = await message(gateway, text("look"), block)

    kind = "not_found_error" if status == 404 else "invalid_request_error"
    assert error_of(response) == (status, kind, code)
    assert response.json()["error"]["param"] == f"messages[0].content[1].{param}".rstrip(".")
    assert upstream.received == []


async def test_an_image_in_an_unknown_field_never_reaches_a_native_upstream() -> None:
    async with loopback_server(answers(NATIVE_ANSWER)) as upstream:
        async with running_gateway(upstream_url=upstream.v1, **NATIVE) as gateway:
            carried = {"x_vendor": {"image": image(a_plain(4, 4, "PNG"))}}

            whole = await message(gateway, text("hi"), **carried)
            inner = await message(gateway, text("hi") | carried)

            assert error_of(whole) == error_of(inner) == (400, "invalid_request_error", "unsupported_operation")
            assert whole.json()["error"]["param"] == "x_vendor.image.source.data"
            assert inner.json()["error"]["param"] == "messages[0].content[0].x_vendor.image.source.data"
            assert upstream.received == []


async def test_an_untranslatable_field_never_reaches_the_upstream(upstream: LoopbackServer, gateway: Gateway) -> None:
    response = await message(gateway, text("hi"), container="c_1")

    assert error_of(response) == (400, "invalid_request_error", "unsupported_field")
    assert upstream.received == []


@pytest.mark.parametrize("place", ["system", "thinking", "tool_result", "tool", "schema", "call"])
async def test_blocked_text_of_any_field_is_reported_with_its_category(place: str) -> None:
    blocks: dict[str, dict[str, Any]] = {
        "system": {"system": [text(MARKER_WORD)]},
        "tool": {"tools": [{"name": "f", "description": MARKER_WORD, "input_schema": {}}]},
        "schema": {"tools": [{"name": "f", "input_schema": {"properties": {"a": {"enum": [MARKER_WORD]}}}}]},
        "call": {
            "messages": [
                {
                    "role": "assistant",
                    "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {"word": MARKER_WORD}}],
                },
                {"role": "user", "content": "go on"},
            ]
        },
        "thinking": {
            "messages": [
                {"role": "assistant", "content": [{"type": "thinking", "thinking": MARKER_WORD, "signature": ""}]},
                {"role": "user", "content": "go on"},
            ]
        },
        "tool_result": {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "tool_use_id": "a", "content": [text(MARKER_WORD)]}],
                }
            ]
        },
    }
    async with running_gateway(moderation="demo") as gateway:
        response = await message(gateway, text("hi"), **({"model": "obscura-demo"} | blocks[place]))

        assert error_of(response) == (400, "invalid_request_error", "moderation_blocked")
        assert response.json()["error"]["category"] == "demo/test"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, (400, "invalid_request_error", "invalid_request")),
        (401, (502, "api_error", "upstream_error")),
        (404, (404, "not_found_error", "model_not_found")),
        (413, (413, "request_too_large", "request_too_large")),
        (422, (422, "invalid_request_error", "invalid_request")),
        (429, (429, "rate_limit_error", "rate_limit_exceeded")),
        (500, (502, "api_error", "upstream_error")),
        (504, (504, "timeout_error", "upstream_timeout")),
    ],
)
@pytest.mark.parametrize("dialects", [{}, NATIVE], ids=["chat", "native"])
async def test_an_upstream_error_gets_anthropics_error_format(status: int, expected: tuple, dialects: dict) -> None:
    error_body = {"type": "error", "error": {"type": "some_error", "message": "too hot"}}
    async with loopback_server(answers(error_body, status, retry_after="3600")) as upstream:
        async with running_gateway(upstream_url=upstream.v1, **dialects) as gateway:
            response = await message(gateway, text("hi"))

            assert error_of(response) == expected
            assert ("too hot" in response.text) == (status in {400, 404, 413, 422})


async def test_an_unreachable_upstream_is_overloaded_a_broken_one_an_api_error() -> None:
    async with loopback_server(hangs_up) as upstream, running_gateway(upstream_url=upstream.v1) as gateway:
        assert error_of(await message(gateway, text("hi"))) == (502, "api_error", "upstream_error")
    async with running_gateway(upstream_url=upstream.v1) as gateway:
        assert error_of(await message(gateway, text("hi"))) == (503, "overloaded_error", "upstream_unavailable")


@pytest.mark.parametrize("streamed", [False, True])
async def test_the_stop_sequence_that_was_met_is_echoed(streamed: bool, demo_gateway: Gateway) -> None:
    body = {
        "model": "obscura-demo",
        "max_tokens": 99,
        "messages": [{"role": "user", "content": "hi"}],
        "stop_sequences": ["never", " and understand"],
        "stream": streamed,
    }
    response = await demo_gateway.client.post("/v1/messages", json=body)

    assert '"stop_reason":"stop_sequence","stop_sequence":" and understand"' in response.text
    assert "nothing" not in response.text
