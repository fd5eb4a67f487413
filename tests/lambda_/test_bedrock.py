"""A function before Bedrock's stand-in: its role signs, and no key is set."""

import json
from pathlib import Path

from tests.support.bedrock import CREDENTIALS, answering, converse_answer, requiring_signatures
from tests.support.gateway import chat_request
from tests.support.lambda_events import rest_event
from tests.support.lambda_process import lambda_function
from tests.support.loopback_server import loopback_server


async def test_a_function_calls_bedrock_by_its_role(tmp_path: Path) -> None:
    async with loopback_server(requiring_signatures(answering(converse_answer({"text": "A cat."})))) as bedrock:
        environment = CREDENTIALS | {"AWS_ENDPOINT_URL_BEDROCK_RUNTIME": bedrock.origin}
        url, models = "bedrock:eu-central-1", "amazon.nova-pro-v1:0"
        async with lambda_function("chat", tmp_path, environment, UPSTREAM_URL=url, BEDROCK_MODELS=models) as function:
            body = chat_request("hi") | {"model": "amazon.nova-pro-v1:0"}
            response = function.api.invoke(rest_event("POST", "/v1/chat/completions", body, **function.bearer))

            assert (await response.head())["statusCode"] == 200
            assert json.loads(await response.body())["choices"][0]["message"]["content"] == "A cat."
    assert [request.path for request in bedrock.received] == ["/model/amazon.nova-pro-v1%3A0/converse"]
