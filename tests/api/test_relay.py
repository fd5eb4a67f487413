"""The caller's view of an upstream that responds, streams, rejects, fails or hangs."""

import asyncio
import json

import httpx
import pytest

from tests.support.fake_upstream import ANSWER, CHUNKS, answers, hangs_up, in_turn, stays_silent, streams
from tests.support.gateway import Gateway, chat_request, running_gateway
from tests.support.loopback_server import LoopbackServer, Received, Wire, loopback_server


async def test_a_response_is_passed_on_byte_for_byte(gateway: Gateway) -> None:
    response = await gateway.chat(chat_request("hello"))

    assert response.status_code == 200
    assert response.content == json.dumps(ANSWER).encode()
    assert response.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize(
    ("path", "body"), [("/chat/completions", chat_request("hi")), ("/responses", {"model": "m", "input": "hi"})]
)
async def test_the_path_without_v1_is_the_same_endpoint(path: str, body: bytes, gateway: Gateway) -> None:
    response = await gateway.client.post(path, json=body)
    same = await gateway.client.post(f"/v1{path}", json=body)

    assert (response.status_code, response.json().keys()) == (200, same.json().keys())


async def test_unknown_fields_go_upstream_untouched() -> None:
    sent = (
        b'{"model":"m", "tools" : [ {"type":"function","function":{"name":"f","parameters":{"a":1.50}}} ],'
        b'"response_format":{"type":"json_schema"},"logprobs":true,"x_vendor":{"n":12345678901234567890,"e":1E5},'
        b'"messages":[{"role":"user","name":"\\u00e9","content":[{"type":"input_audio","input_audio":'
        b'{"data":"AAAA","format":"wav"}},{"type":"text","text":"\\ud83d\\ude00","cache_control":{"ttl":"5m"}}]}]}'
    )
    async with loopback_server(answers()) as upstream, running_gateway(upstream_url=upstream.v1) as gateway:
        await gateway.client.post("/v1/chat/completions", content=sent, headers={"content-type": "application/json"})

        seen = upstream.received[0]
        assert seen.json() == json.loads(sent)
        untouched = [b'"parameters":{"a":1.50}', b"12345678901234567890", b"1E5", b'"\\ud83d\\ude00"', b'"\\u00e9"']
        assert [piece for piece in untouched if piece not in seen.body] == []


@pytest.mark.gateway(upstream_key="sk-operator")
async def test_the_upstream_gets_the_operators_key_and_never_the_callers(
    upstream: LoopbackServer, gateway: Gateway
) -> None:
    await gateway.chat(chat_request("hello"))

    seen = upstream.received[0]
    assert seen.path == "/v1/chat/completions"
    assert seen.headers["authorization"] == "Bearer sk-operator"
    assert gateway.key not in str(seen.headers)


async def test_a_stream_is_passed_on_chunk_by_chunk_as_it_arrives() -> None:
    sent_on: asyncio.Queue[None] = asyncio.Queue()

    async def respond(request: Received, wire: Wire) -> None:
        await wire.head(200, content_type="text/event-stream", transfer_encoding="chunked")
        for piece in CHUNKS:
            await wire.chunk(piece)
            await sent_on.get()
        await wire.chunk(b"")

    async with loopback_server(respond) as upstream, running_gateway(upstream_url=upstream.v1) as gateway:
        async with gateway.client.stream(
            "POST", "/v1/chat/completions", json=chat_request("hello", stream=True)
        ) as response:
            seen = []
            async for piece in response.aiter_raw():
                seen.append(piece)
                sent_on.put_nowait(None)

        assert response.headers["content-type"].startswith("text/event-stream")
        assert seen == list(CHUNKS)


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
async def test_a_disconnect_ends_the_upstream_call_within_a_second(streamed: bool) -> None:
    respond = streams(CHUNKS[0], then="stays silent") if streamed else stays_silent
    async with loopback_server(respond) as upstream, running_gateway(upstream_url=upstream.v1) as gateway:
        asking = asyncio.create_task(gateway.chat(chat_request("hello", stream=streamed)))
        await upstream.wait_for_requests(1)

        asking.cancel()

        async with asyncio.timeout(1):
            await upstream.received[0].caller_left.wait()


async def test_an_upstream_that_breaks_off_in_mid_stream_ends_in_an_error_event() -> None:
    respond = streams(CHUNKS[0], CHUNKS[1][:20], then="breaks")
    async with loopback_server(respond) as upstream, running_gateway(upstream_url=upstream.v1) as gateway:
        response = await gateway.chat(chat_request("hello", stream=True))

        assert response.status_code == 200
        *_, last = [line for line in response.text.split("\n\n") if line]
        assert json.loads(last.removeprefix("data: "))["error"]["code"] == "upstream_error"


@pytest.mark.parametrize("cut", [b"", CHUNKS[1][:20]], ids=["between two events", "within an event"])
@pytest.mark.parametrize("dialect", ["/v1/chat/completions", "/v1/messages", "/v1/responses"])
async def test_a_stream_that_closes_without_its_end_marker_ends_in_an_error(dialect: str, cut: bytes) -> None:
    body = {"model": "m", "stream": True}
    body |= {"input": "hi"} if dialect == "/v1/responses" else chat_request("hi") | {"stream": True, "max_tokens": 9}
    async with loopback_server(streams(CHUNKS[0], CHUNKS[1] + cut)) as upstream:
        async with running_gateway(upstream_url=upstream.v1) as gateway:
            response = await gateway.client.post(dialect, json=body)

    text = response.text.removesuffix("data: [DONE]\n\n") if dialect == "/v1/responses" else response.text
    *before, last = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    assert all(map(json.loads, before))
    assert json.loads(last)["error"].get("code") == "upstream_error"


@pytest.mark.parametrize("dialect", ["/v1/chat/completions", "/v1/messages", "/v1/responses"])
async def test_a_complete_stream_closes_although_its_upstream_does_not(dialect: str) -> None:
    body = {"model": "m", "stream": True}
    body |= {"input": "hi"} if dialect == "/v1/responses" else chat_request("hi") | {"stream": True, "max_tokens": 9}
    async with loopback_server(streams(*CHUNKS, then="stays silent")) as upstream:
        async with running_gateway(upstream_url=upstream.v1) as gateway, asyncio.timeout(10):
            response = await gateway.client.post(dialect, json=body)

    assert response.status_code == 200
    assert "error" not in response.text.replace('"error":null', "")


@pytest.mark.parametrize("status", [400, 404, 422])
async def test_an_upstream_error_about_the_request_keeps_its_message(status: int) -> None:
    error_body = {"error": {"message": "max_tokens is too large", "type": "x", "param": "max_tokens", "code": "y"}}
    async with (
        loopback_server(answers(error_body, status)) as upstream,
        running_gateway(upstream_url=upstream.v1) as gateway,
    ):
        response = await gateway.chat(chat_request("hello"))

        assert response.status_code == status
        assert response.json()["error"]["message"] == "max_tokens is too large"
        assert response.json()["error"]["param"] == "max_tokens"


@pytest.mark.parametrize(
    ("status", "response_status", "code"),
    [
        (401, 502, "upstream_error"),
        (403, 502, "upstream_error"),
        (500, 502, "upstream_error"),
        (503, 502, "upstream_error"),
        (504, 504, "upstream_timeout"),
        (429, 429, "rate_limit_exceeded"),
        (302, 502, "upstream_error"),
    ],
)
async def test_another_upstream_error_becomes_one_of_our_codes(
    status: int, response_status: int, code: str, upstream: LoopbackServer, gateway: Gateway
) -> None:
    upstream.respond = answers({"error": {"message": "secret detail"}}, status)
    response = await gateway.chat(chat_request("hello"))

    assert response.status_code == response_status
    assert response.json()["error"]["code"] == code
    assert "secret detail" not in response.text
    assert ("retry-after" in response.headers) == (code == "rate_limit_exceeded")


@pytest.mark.parametrize("status", [429, 503])
async def test_a_busy_upstream_gets_at_most_two_retries(status: int) -> None:
    respond = in_turn(answers({}, status), answers({}, status), answers())
    async with loopback_server(respond) as upstream:
        async with running_gateway(upstream_url=upstream.v1, upstream_retries=2) as gateway:
            response = await gateway.chat(chat_request("hello"))

        assert response.status_code == 200
        assert len(upstream.received) == 3


@pytest.mark.parametrize("status", [429, 503])
async def test_a_busy_upstream_is_asked_once_unless_the_operator_says_so(
    status: int, upstream: LoopbackServer, gateway: Gateway
) -> None:
    upstream.respond = answers({}, status)
    response = await gateway.chat(chat_request("hello"))

    assert response.status_code in {429, 502}
    assert len(upstream.received) == 1


async def test_retry_after_is_honoured() -> None:
    respond = in_turn(answers({}, 429, retry_after="1"), answers())
    async with loopback_server(respond) as upstream:
        async with running_gateway(upstream_url=upstream.v1, upstream_retries=1) as gateway:
            began = asyncio.get_running_loop().time()
            response = await gateway.chat(chat_request("hello"))
            elapsed_s = asyncio.get_running_loop().time() - began

    assert response.status_code == 200
    assert elapsed_s >= 1


async def test_a_long_retry_after_is_passed_on(upstream: LoopbackServer, gateway: Gateway) -> None:
    upstream.respond = answers({}, 429, retry_after="3600")
    response = await gateway.chat(chat_request("hello"))

    assert response.status_code == 429
    assert response.headers["retry-after"] == "3600"
    assert len(upstream.received) == 1


async def test_a_request_that_the_upstream_drops_is_reported_and_retried_by_choice() -> None:
    for retries in (0, 2):
        async with loopback_server(hangs_up) as upstream:
            async with running_gateway(upstream_url=upstream.v1, upstream_retries=retries) as gateway:
                response = await gateway.chat(chat_request("hello"))

            assert (response.status_code, response.json()["error"]["code"]) == (502, "upstream_error")
            assert len(upstream.received) == 1 + retries


async def test_an_unreachable_upstream_is_reported() -> None:
    async with loopback_server(answers()) as closed:
        pass
    async with running_gateway(upstream_url=closed.v1) as gateway:
        response = await gateway.chat(chat_request("hello"))

        assert (response.status_code, response.json()["error"]["code"]) == (503, "upstream_unavailable")
        assert str(closed.port) not in response.text


async def test_an_upstream_that_responds_with_no_json_is_reported(upstream: LoopbackServer, gateway: Gateway) -> None:
    upstream.respond = answers(b"<html>oops</html>")
    response = await gateway.chat(chat_request("hello"))

    assert (response.status_code, response.json()["error"]["code"]) == (502, "upstream_error")


@pytest.mark.parametrize("spoken", ["chat", "messages", "responses"], ids="upstream speaks {}".format)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses"])
async def test_an_upstream_error_with_status_200_is_reported(path: str, spoken: str) -> None:
    failed = {"error": {"message": "out of memory", "code": 500}}
    body = {"model": "m", "input": "hi"} if path == "/v1/responses" else chat_request("hi") | {"max_tokens": 9}
    async with loopback_server(answers(failed)) as upstream:
        async with running_gateway(upstream_url=upstream.v1, upstream_dialects=[spoken]) as gateway:
            response = await gateway.client.post(path, json=body)

    assert response.status_code == 502
    assert "out of memory" not in response.text


async def test_a_stream_is_the_same_whatever_its_chunks() -> None:
    whole = b"".join(CHUNKS)
    pieces = [whole[start : start + 7] for start in range(0, len(whole), 7)]
    async with loopback_server(streams(*pieces)) as upstream, running_gateway(upstream_url=upstream.v1) as gateway:
        response = await gateway.chat(chat_request("hello", stream=True))

        assert response.content == whole


async def test_an_unknown_path_and_a_wrong_method_are_named(demo_gateway: Gateway) -> None:
    nowhere = await demo_gateway.client.get("/v1/nowhere")
    wrong = await demo_gateway.client.get("/v1/chat/completions")

    assert (nowhere.status_code, nowhere.json()["error"]["code"]) == (404, "not_found")
    assert wrong.status_code == 405
    assert wrong.headers["allow"] == "POST"
    assert "x-request-id" in nowhere.headers


@pytest.mark.parametrize("path", ["/v1/chat/completions/", "/v1/messages/", "/v1/responses/", "/v1/files/"])
async def test_no_path_redirects_to_a_host_that_the_client_names(path: str, demo_gateway: Gateway) -> None:
    response = await demo_gateway.client.post(path, json=chat_request("hello"), headers={"host": "elsewhere.example"})

    assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")
    assert "location" not in response.headers


async def test_no_key_a_wrong_key_and_a_malformed_header_are_rejected() -> None:
    async with running_gateway() as gateway, httpx.AsyncClient(base_url=gateway.url, trust_env=False) as client:
        codes = []
        for headers in ({}, {"authorization": "Bearer obs_wrong"}, {"authorization": "Basic x"}, {"x-api-key": "y"}):
            response = await client.post("/v1/chat/completions", json=chat_request("hello"), headers=headers)
            codes.append((response.status_code, response.json()["error"]["code"]))

        assert codes == [(401, "missing_credentials"), *[(401, "invalid_api_key")] * 3]


async def test_the_key_may_come_as_x_api_key(gateway: Gateway) -> None:
    async with httpx.AsyncClient(base_url=gateway.url, trust_env=False) as client:
        response = await client.post(
            "/v1/chat/completions", json=chat_request("hi"), headers={"x-api-key": gateway.key}
        )

        assert response.status_code == 200
