"""The token limit of translated requests: by its known name, and learned once from the upstream's refusal."""

import json
from pathlib import Path

import pytest

from tests.support.fake_upstream import CHUNKS, answers, streams
from tests.support.gateway import Gateway, chat_request, running_gateway
from tests.support.loopback_server import LoopbackServer, Received, Respond, Wire

MESSAGE = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
RESPONSE = {"model": "m", "max_output_tokens": 5, "input": "hi"}


def refusing(*fields: str, then: Respond | None = None) -> Respond:
    """An upstream that refuses the fields by name, as OpenAI does."""

    async def respond(request: Received, wire: Wire) -> None:
        refused = [field for field in fields if field in request.json()]
        if refused:
            error = {"message": f"Unsupported parameter: '{refused[0]}'", "param": refused[0]}
            body = json.dumps({"error": error | {"code": "unsupported_parameter"}}).encode()
            await wire.answer(400, body, openai_processing_ms="1", openai_version="old")
        else:
            await (then or answers())(request, wire)

    return respond


def limits_of(upstream: LoopbackServer) -> list[str]:
    """The name of the limit in each request that arrived."""
    return [next(key for key in request.json() if key.startswith("max_")) for request in upstream.received]


@pytest.mark.parametrize(("path", "body"), [("/v1/messages", MESSAGE), ("/v1/responses", RESPONSE)])
async def test_the_name_is_learned_by_one_repeated_request(
    path: str, body: dict, upstream: LoopbackServer, gateway: Gateway
) -> None:
    upstream.respond = refusing("max_tokens")

    first = await gateway.client.post(path, json=body)
    second = await gateway.client.post(path, json=body)

    assert (first.status_code, second.status_code) == (200, 200)
    assert limits_of(upstream) == ["max_tokens", "max_completion_tokens", "max_completion_tokens"]
    before, after = upstream.received[0].json(), upstream.received[1].json()
    assert after == {key: value for key, value in before.items() if key != "max_tokens"} | {"max_completion_tokens": 5}


async def test_the_headers_are_those_of_the_response_that_was_taken(upstream: LoopbackServer, gateway: Gateway) -> None:
    upstream.respond = refusing("max_tokens", then=answers(openai_processing_ms="7"))

    response = await gateway.client.post("/v1/messages", json=MESSAGE)

    assert response.headers["openai-processing-ms"] == "7"
    assert "openai-version" not in response.headers


async def test_an_error_after_the_repetition_has_its_own_code_and_headers(
    upstream: LoopbackServer, gateway: Gateway
) -> None:
    error = {"message": "Too long.", "code": "context_length_exceeded", "type": "invalid_request_error"}
    upstream.respond = refusing("max_tokens", then=answers({"error": error}, 400, openai_processing_ms="7"))

    response = await gateway.client.post("/v1/responses", json=RESPONSE)

    assert (response.status_code, response.json()["error"]["code"]) == (400, "context_length_exceeded")
    assert response.headers["openai-processing-ms"] == "7"
    assert "openai-version" not in response.headers


async def test_a_stream_is_repeated_before_any_of_it_was_sent(upstream: LoopbackServer, gateway: Gateway) -> None:
    upstream.respond = refusing("max_tokens", then=streams(*CHUNKS))

    response = await gateway.client.post("/v1/messages", json=MESSAGE | {"stream": True})

    assert response.text.count("message_start") == 2  # its name and its type
    assert "A " in response.text
    assert len(upstream.received) == 2


async def test_each_model_is_asked_for_itself(upstream: LoopbackServer, gateway: Gateway) -> None:
    upstream.respond = refusing("max_tokens")

    for model in ("m", "n", "m"):
        await gateway.client.post("/v1/messages", json=MESSAGE | {"model": model})

    assert limits_of(upstream) == [*["max_tokens", "max_completion_tokens"] * 2, "max_completion_tokens"]


async def test_an_upstream_that_takes_neither_is_asked_twice(upstream: LoopbackServer, gateway: Gateway) -> None:
    upstream.respond = refusing("max_tokens", "max_completion_tokens")

    response = await gateway.client.post("/v1/messages", json=MESSAGE)

    assert response.status_code == 400
    assert "'max_tokens'" in response.json()["error"]["message"]
    assert limits_of(upstream) == ["max_tokens", "max_completion_tokens"]


async def test_another_error_is_not_repeated(upstream: LoopbackServer, gateway: Gateway) -> None:
    error = {"message": "max_tokens is too large", "param": "max_tokens", "code": "invalid_value"}
    upstream.respond = answers({"error": error}, 400)

    await gateway.client.post("/v1/messages", json=MESSAGE)

    assert len(upstream.received) == 1


async def test_the_callers_own_name_stays_in_chat(upstream: LoopbackServer, gateway: Gateway) -> None:
    upstream.respond = refusing("max_tokens")

    response = await gateway.chat(chat_request("hi", max_tokens=5))

    assert response.status_code == 400
    assert limits_of(upstream) == ["max_tokens"]


async def test_openais_models_get_the_living_name_at_once(upstream: LoopbackServer, gateway: Gateway) -> None:
    await gateway.client.post("/v1/messages", json=MESSAGE | {"model": "gpt-5.5"})

    assert limits_of(upstream) == ["max_completion_tokens"]


async def test_the_catalog_names_the_field(upstream: LoopbackServer, tmp_path: Path) -> None:
    catalog = tmp_path / "models.toml"
    catalog.write_text(
        f'[[upstreams]]\nname = "u"\nurl = "{upstream.v1}"\ntoken_limit = "max_completion_tokens"\n'
        '[[models]]\nid = "m"\nupstream = "u"\n'
        '[[models]]\nid = "gpt-5"\nupstream = "u"\ntoken_limit = "max_tokens"\n'
    )
    async with running_gateway(models=catalog) as gateway:
        for model in ("m", "gpt-5"):
            await gateway.client.post("/v1/messages", json=MESSAGE | {"model": model})

    assert limits_of(upstream) == ["max_completion_tokens", "max_tokens"]
