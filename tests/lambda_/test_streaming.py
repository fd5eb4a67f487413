"""What API Gateway gets from the streaming runtime, through a Runtime API that does not buffer."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_upstream import ANSWER, CHUNKS, answers, stays_silent, streams
from tests.support.gateway import chat_request
from tests.support.lambda_events import rest_event
from tests.support.lambda_process import lambda_function
from tests.support.loopback_server import Received, Wire, loopback_server
from tests.support.runtime_api import CONTENT_TYPE


async def test_a_plain_response_is_streamed_with_its_status_and_headers(tmp_path: Path) -> None:
    async with loopback_server(answers()) as upstream:
        async with lambda_function("chat", tmp_path, UPSTREAM_URL=upstream.v1) as function:
            response = function.api.invoke(
                rest_event("POST", "/v1/chat/completions", chat_request("hi"), **function.bearer)
            )

            head = await response.head()
            assert head["statusCode"] == 200
            assert head["headers"]["content-type"] == "application/json"
            assert head["headers"]["x-request-id"].startswith("req_")
            assert await response.body() == json.dumps(ANSWER).encode()
            assert response.headers["content-type"] == CONTENT_TYPE
            assert response.headers["lambda-runtime-function-response-mode"] == "streaming"
            assert response.trailers == {}


async def test_each_piece_is_sent_before_the_upstream_sends_the_next(tmp_path: Path) -> None:
    seen: asyncio.Queue[None] = asyncio.Queue()

    async def respond(request: Received, wire: Wire) -> None:
        await wire.head(200, content_type="text/event-stream", transfer_encoding="chunked")
        for piece in CHUNKS:
            await wire.chunk(piece)
            await seen.get()
        await wire.chunk(b"")

    async with loopback_server(respond) as upstream:
        async with lambda_function("chat", tmp_path, UPSTREAM_URL=upstream.v1) as function:
            event = rest_event("POST", "/v1/chat/completions", chat_request("hi", stream=True), **function.bearer)
            response = function.api.invoke(event)

            pieces = []
            while (piece := await response.piece()) is not None:
                pieces.append(piece)
                seen.put_nowait(None)

            assert (await response.head())["headers"]["content-type"] == "text/event-stream"
            assert pieces == list(CHUNKS)


@pytest.mark.parametrize(
    ("family", "path", "body"),
    [
        ("messages", "/v1/messages", {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}),
        ("responses", "/v1/responses", {"model": "m", "input": "hi"}),
    ],
)
async def test_the_other_families_stream_in_their_own_dialects(
    tmp_path: Path, family: str, path: str, body: dict
) -> None:
    async with loopback_server(streams()) as upstream:
        async with lambda_function(family, tmp_path, UPSTREAM_URL=upstream.v1) as function:
            response = function.api.invoke(rest_event("POST", path, body | {"stream": True}, **function.bearer))

            text = (await response.body()).decode()
            assert "A " in text
            assert "cat." in text
            assert text.startswith("event: message_start" if family == "messages" else "event: response.created")


async def test_the_count_of_tokens_is_streamed_like_the_rest_of_its_function(tmp_path: Path) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    async with lambda_function("messages", tmp_path) as function:
        response = function.api.invoke(rest_event("POST", "/v1/messages/count_tokens", body, **function.bearer))

        assert (await response.head())["statusCode"] == 200
        assert (await response.json())["input_tokens"] > 0


async def test_a_body_in_base64_is_the_same_request(tmp_path: Path) -> None:
    async with loopback_server(answers()) as upstream:
        async with lambda_function("chat", tmp_path, UPSTREAM_URL=upstream.v1) as function:
            event = rest_event("POST", "/v1/chat/completions", chat_request("hé"), binary=True, **function.bearer)
            response = function.api.invoke(event)

            assert await response.json() == ANSWER
            assert upstream.received[0].json() == chat_request("hé")


async def test_an_error_keeps_its_format_and_status(tmp_path: Path) -> None:
    async with lambda_function("chat", tmp_path) as function:
        anonymous = function.api.invoke(rest_event("POST", "/v1/chat/completions", chat_request("hi")))
        unknown = function.api.invoke(rest_event("GET", "/v1/nowhere"))

        assert (await anonymous.head())["statusCode"] == 401
        assert (await anonymous.json())["error"]["code"] == "missing_credentials"
        assert (await unknown.head())["statusCode"] == 404
        assert (await unknown.json())["error"]["code"] == "not_found"


async def test_a_stream_ends_half_a_second_before_the_deadline_with_an_error(tmp_path: Path) -> None:
    async with loopback_server(streams(CHUNKS[0], then="stays silent")) as upstream:
        async with lambda_function("chat", tmp_path, UPSTREAM_URL=upstream.v1) as function:
            event = rest_event("POST", "/v1/chat/completions", chat_request("hi", stream=True), **function.bearer)
            response = function.api.invoke(event, within_s=3)

            first, last = await response.piece(), await response.piece()
            left_s = response.seconds_left()

            assert first == CHUNKS[0]
            assert json.loads(last.removeprefix(b"data: "))["error"]["code"] == "upstream_timeout"
            assert 0.2 < left_s <= 0.5
            assert await response.piece() is None
            assert response.trailers == {}
            async with asyncio.timeout(1):
                await upstream.received[0].caller_left.wait()


async def test_a_response_that_has_not_begun_at_the_deadline_is_a_504(tmp_path: Path) -> None:
    async with loopback_server(stays_silent) as upstream:
        async with lambda_function("messages", tmp_path, UPSTREAM_URL=upstream.v1) as function:
            body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
            response = function.api.invoke(rest_event("POST", "/v1/messages", body, **function.bearer), within_s=3)

            assert (await response.head())["statusCode"] == 504
            assert (await response.json())["error"]["code"] == "upstream_timeout"


async def test_a_caller_who_leaves_ends_the_upstream_call_alone(tmp_path: Path) -> None:
    async with loopback_server(streams(CHUNKS[0], then="stays silent")) as upstream:
        async with lambda_function("chat", tmp_path, UPSTREAM_URL=upstream.v1) as function:
            event = rest_event("POST", "/v1/chat/completions", chat_request("hi", stream=True), **function.bearer)
            response = function.api.invoke(event)
            await response.piece()

            response.leave.set()

            async with asyncio.timeout(1):
                await upstream.received[0].caller_left.wait()
            upstream.respond = answers()
            after = function.api.invoke(
                rest_event("POST", "/v1/chat/completions", chat_request("hi"), **function.bearer)
            )
            assert await after.json() == ANSWER


async def test_an_event_that_is_no_http_request_fails_alone(tmp_path: Path) -> None:
    async with loopback_server(answers()) as upstream:
        async with lambda_function("chat", tmp_path, UPSTREAM_URL=upstream.v1) as function:
            events: tuple[Any, ...] = ({}, [], "7", "not JSON", {"requestContext": {}})
            malformed = [function.api.invoke(event) for event in events]
            after = function.api.invoke(
                rest_event("POST", "/v1/chat/completions", chat_request("hi"), **function.bearer)
            )

            failures = [await response.failure() for response in malformed]
            assert all(failure["errorType"].startswith("Runtime.") for failure in failures)
            assert await after.json() == ANSWER


async def test_log_lines_have_the_correlation_id_and_metrics_their_values(tmp_path: Path) -> None:
    async with loopback_server(answers({"error": {"message": "no"}}, 400)) as upstream:
        async with lambda_function("chat", tmp_path, UPSTREAM_URL=upstream.v1) as function:
            event = rest_event("POST", "/v1/chat/completions", chat_request("secret text"), **function.bearer)
            response = function.api.invoke(event)
            await function.api.idle()
        lines = [json.loads(line) for line in function.lines]

    (request,) = [line for line in lines if line.get("message") == "request"]
    assert request["correlation_id"] == event["requestContext"]["requestId"]
    assert request["aws_request_id"] == response.request_id
    metrics = {
        metric["Name"]: (line, block["Dimensions"])
        for line in lines if "_aws" in line
        for block in line["_aws"]["CloudWatchMetrics"]
        for metric in block["Metrics"]
    }  # fmt: skip
    assert metrics["Requests"][0]["Requests"] == [1]
    assert metrics["UpstreamLatency"][1] == [["service"]]
    assert metrics["Refusals"][1] == [["service", "code"]]
    assert metrics["Refusals"][0]["code"] == "invalid_request"
    assert "secret text" not in "".join(function.lines)
