"""What API Gateway sees of the streaming runtime, through a Runtime API that does not buffer."""

import asyncio
import json

import pytest

from tests.support.fake_upstream import ANSWER, CHUNKS, answers, stays_silent, streams
from tests.support.lambda_events import rest_event
from tests.support.lambda_process import lambda_function
from tests.support.loopback_server import loopback_server
from tests.support.runtime_api import CONTENT_TYPE
from tests.support.served import ask


async def test_a_whole_answer_is_streamed_with_its_status_and_headers(tmp_path):
    async with loopback_server(answers()) as upstream:
        async with lambda_function("chat", tmp_path, UPSTREAM_URL=upstream.v1) as function:
            told = function.api.invoke(rest_event("POST", "/v1/chat/completions", ask("hi"), **function.bearer))

            head = await told.head()
            assert head["statusCode"] == 200
            assert head["headers"]["content-type"] == "application/json"
            assert head["headers"]["x-request-id"].startswith("req_")
            assert await told.body() == json.dumps(ANSWER).encode()
            assert told.headers["content-type"] == CONTENT_TYPE
            assert told.headers["lambda-runtime-function-response-mode"] == "streaming"
            assert told.trailers == {}
