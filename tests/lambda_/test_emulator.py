"""Every family in AWS's runtime emulator: streamed over our runtime, buffered over AWS's, with the same answers."""

import json
import sys

import pytest

from tests.support.emulator import emulator
from tests.support.lambda_events import rest_event
from tests.support.lambda_process import FUNCTIONS, function_environment, new_key

STREAMED = [sys.executable, "-m", "obscura.aws.runtime", "app.handler"]
BUFFERED = [sys.executable, "-m", "awslambdaric", "app.handler"]

HELLO = [{"role": "user", "content": "What do you see?"}]
ASKS = {
    "chat": ("/v1/chat/completions", {"model": "obscura-demo", "messages": HELLO}),
    "messages": ("/v1/messages", {"model": "obscura-demo", "max_tokens": 99, "messages": HELLO}),
    "responses": ("/v1/responses", {"model": "obscura-demo", "input": "What do you see?"}),
}


@pytest.fixture
async def bearer(tmp_path):
    return {"Authorization": f"Bearer {await new_key(tmp_path)}"}


def said_in(body: dict) -> str:
    """The model's words in an answer of any dialect."""
    if "choices" in body:
        return body["choices"][0]["message"]["content"]
    return body["content"][0]["text"] if "content" in body else body["output"][0]["content"][0]["text"]


@pytest.mark.parametrize("family", ASKS)
def test_a_family_answers_whole_and_streamed_over_the_streaming_runtime(family, tmp_path, bearer):
    path, body = ASKS[family]
    with emulator(STREAMED, FUNCTIONS / family, function_environment(FUNCTIONS / family, tmp_path)) as lambda_:
        whole = lambda_.invoke_streamed(rest_event("POST", path, body, **bearer))
        streamed = lambda_.invoke_streamed(rest_event("POST", path, body | {"stream": True}, **bearer))
        refused = lambda_.invoke_streamed(rest_event("POST", path, body))

    assert whole.prelude["statusCode"] == 200
    assert "demo" in said_in(json.loads(whole.body))
    assert streamed.prelude["headers"]["content-type"] == "text/event-stream"
    assert streamed.body.count(b"data: ") > 2
    assert refused.prelude["statusCode"] == 401


@pytest.mark.parametrize("family", ASKS)
def test_a_family_answers_under_sam_local_over_the_standard_runtime(family, tmp_path, bearer):
    path, body = ASKS[family]
    environment = function_environment(FUNCTIONS / family, tmp_path) | {"AWS_SAM_LOCAL": "true"}
    wrapped = [sys.executable, "-m", "obscura.aws.runtime", *BUFFERED]
    with emulator(wrapped, FUNCTIONS / family, environment) as lambda_:
        whole = lambda_.invoke(rest_event("POST", path, body, **bearer)).json()
        streamed = lambda_.invoke(rest_event("POST", path, body | {"stream": True}, **bearer)).json()

    assert (whole["statusCode"], whole["isBase64Encoded"]) == (200, False)
    assert "demo" in said_in(json.loads(whole["body"]))
    assert (streamed["statusCode"], streamed["isBase64Encoded"]) == (200, False)
    assert streamed["body"].count("data: ") > 2


def test_the_catalogue_answers_buffered_to_both_dialects(tmp_path, bearer):
    environment = function_environment(FUNCTIONS / "models", tmp_path)
    with emulator(BUFFERED, FUNCTIONS / "models", environment) as lambda_:
        openai = lambda_.invoke(rest_event("GET", "/v1/models", **bearer)).json()
        anthropic = lambda_.invoke(rest_event("GET", "/v1/models", anthropic_version="2023-06-01", **bearer)).json()
        filtered = lambda_.invoke(rest_event("GET", "/api/models?modality=image", **bearer)).json()
        stranger = lambda_.invoke(rest_event("GET", "/v1/models")).json()
        nowhere = lambda_.invoke(rest_event("GET", "/v1/nowhere")).json()

    assert json.loads(openai["body"])["data"][0]["id"] == "obscura-demo"
    assert json.loads(anthropic["body"])["first_id"] == "obscura-demo"
    assert "image" in json.loads(filtered["body"])["data"][0]["input_modalities"]
    assert (stranger["statusCode"], stranger["isBase64Encoded"]) == (401, False)
    assert (nowhere["statusCode"], json.loads(nowhere["body"])["error"]["code"]) == (404, "not_found")
