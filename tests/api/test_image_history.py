"""More images than an upstream takes: refused, or the oldest left out and said so, in every dialect and place."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from tests.support.fake_upstream import answers, verdict
from tests.support.gateway import Gateway, image_part, running_gateway
from tests.support.image_urls import data_url
from tests.support.loopback_server import LoopbackServer, loopback_server
from tests.unit.imaging.images import a_photograph, a_plain

PRUNE = {"X-Obscura-Image-History": "prune"}
NEVER_FETCHED = "https://host.invalid/never.png"
PNG = data_url(a_plain(28, 28, "PNG"))
CATALOG = """
[[upstreams]]
name = "a"
url = "{url}"
max_images = 2

[[models]]
id = "m"
upstream = "a"

[[models]]
id = "pruned"
upstream = "a"
image_history = "prune"

[[models]]
id = "small"
upstream = "a"
max_image_bytes = 9000
max_image_side_px = 300
"""


def source(url: str) -> dict[str, Any]:
    if url.startswith("https"):
        return {"type": "url", "url": url}
    return {"type": "base64", "media_type": "image/png", "data": url.partition(",")[2]}


def of_messages(*urls: str) -> list[dict[str, Any]]:
    blocks = [{"type": "image", "source": source(url)} for url in urls]
    call = {"type": "tool_use", "id": "t", "name": "look", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": blocks[:2]}
    return [
        {"role": "user", "content": "look"},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result, *blocks[2:]]},
    ]


def of_responses(*urls: str) -> list[dict[str, Any]]:
    parts = [{"type": "input_image", "image_url": url} for url in urls]
    return [
        {"type": "function_call", "call_id": "t", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "t", "output": parts[:2]},
        {"role": "user", "content": parts[2:]},
    ]


BODIES: dict[str, Any] = {
    "chat/completions": lambda model, *urls: {
        "model": model,
        "messages": [{"role": "user", "content": [image_part(url)]} for url in urls],
    },
    "messages": lambda model, *urls: {"model": model, "max_tokens": 9, "messages": of_messages(*urls)},
    "responses": lambda model, *urls: {"model": model, "input": of_responses(*urls)},
}
ROUTES = [(dialect, path) for dialect in BODIES for path in (f"/v1/{dialect}", f"/policy/v1/{dialect}")]
NOTICES = ["[image 1 of 4 left out by the gateway]", "[image 2 of 4 left out by the gateway]"]


@pytest.fixture
async def upstream() -> AsyncIterator[LoopbackServer]:
    async with loopback_server(answers()) as server:
        yield server


@pytest.fixture
async def gateway(upstream: LoopbackServer, tmp_path: Path) -> AsyncIterator[Gateway]:
    path = tmp_path / "models.toml"
    path.write_text(CATALOG.format(url=upstream.v1))
    async with running_gateway(models=path) as served:
        yield served


@pytest.mark.parametrize(("dialect", "path"), ROUTES)
async def test_the_oldest_images_are_left_out_and_said_so(
    gateway: Gateway, upstream: LoopbackServer, dialect: str, path: str
) -> None:
    upstream.received.clear()
    body = BODIES[dialect]("m", NEVER_FETCHED, NEVER_FETCHED, PNG, PNG)

    response = await gateway.client.post(path, json=body, headers=PRUNE)

    assert response.status_code == 200, response.text
    assert response.headers["x-obscura-images-left-out"] == "2"
    assert response.headers["x-image-tokens"].count(",") == 1
    sent = upstream.received[-1].body.decode()
    assert sent.count("data:image/png;base64,") == 2
    assert all(notice in sent for notice in NOTICES)
    assert sent.index(NOTICES[0]) < sent.index(NOTICES[1]) < sent.index("data:image/png")
    assert "host.invalid" not in sent


@pytest.mark.parametrize("dialect", BODIES)
async def test_without_the_wish_one_image_too_many_is_refused(gateway: Gateway, dialect: str) -> None:
    body = BODIES[dialect]("m", PNG, PNG, PNG)

    refused = await gateway.client.post(f"/v1/{dialect}", json=body)
    kept = await gateway.client.post(
        f"/v1/{dialect}", json=body | {"model": "pruned"}, headers={"X-Obscura-Image-History": "keep"}
    )
    pruned = await gateway.client.post(f"/v1/{dialect}", json=body | {"model": "pruned"})

    for response in (refused, kept):
        assert response.status_code == 400
        assert response.json()["error"]["code"] == "too_many_images"
        assert "3 images; 2 are allowed" in response.json()["error"]["message"]
        assert "x-obscura-images-left-out" not in response.headers
    assert pruned.headers["x-obscura-images-left-out"] == "1"


async def test_an_unknown_wish_is_refused(gateway: Gateway) -> None:
    response = await gateway.chat(BODIES["chat/completions"]("m", PNG), headers={"X-Obscura-Image-History": "forget"})

    assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_request")


async def test_a_dry_run_and_an_inspection_leave_out_the_same(gateway: Gateway) -> None:
    body = BODIES["chat/completions"]("m", NEVER_FETCHED, PNG, PNG)

    dry = await gateway.chat(body, headers=PRUNE | {"X-Obscura-Dry-Run": "true"})
    inspected = await gateway.client.post("/v1/inspect", json=body, headers=PRUNE)

    for response in (dry, inspected):
        assert response.status_code == 200, response.text
        assert response.headers["x-obscura-images-left-out"] == "1"
        assert [image["path"] for image in response.json()["images"]] == [
            "messages[1].content[0].image_url.url",
            "messages[2].content[0].image_url.url",
        ]


async def test_what_is_left_out_is_not_moderated(tmp_path: Path) -> None:
    async with (
        loopback_server(answers()) as upstream,
        loopback_server(answers(verdict())) as moderation,
    ):
        path = tmp_path / "models.toml"
        path.write_text(CATALOG.format(url=upstream.v1))
        settings = {"moderation": "openai", "moderation_url": moderation.v1, "moderation_key": "k"}
        async with running_gateway(models=path, **settings) as gateway:  # type: ignore[arg-type]
            response = await gateway.chat(BODIES["chat/completions"]("m", PNG, PNG, PNG, PNG), headers=PRUNE)

        assert response.headers["x-obscura-images-left-out"] == "2"
        inputs = [json.loads(request.body)["input"] for request in moderation.received]
        assert sum(isinstance(one, list) for one in inputs) in {1, 2}


async def test_images_are_made_to_fit_what_the_model_takes(gateway: Gateway, upstream: LoopbackServer) -> None:
    photo = data_url(a_photograph(900, 700, "JPEG"))

    response = await gateway.chat(BODIES["chat/completions"]("small", photo, photo))

    assert response.status_code == 200
    [first, second] = json.loads(upstream.received[-1].body)["messages"]
    url = first["content"][0]["image_url"]["url"]
    assert len(url.partition(",")[2]) <= 9000
    assert url == second["content"][0]["image_url"]["url"]


async def test_the_sdks_send_the_wish(gateway: Gateway) -> None:
    async with (
        openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key) as chat,
        anthropic.AsyncAnthropic(base_url=gateway.url, api_key=gateway.key) as messages,
    ):
        answered = await chat.chat.completions.with_raw_response.create(
            **BODIES["chat/completions"]("m", PNG, PNG, PNG), extra_headers=PRUNE
        )
        message = await messages.messages.with_raw_response.create(
            **BODIES["messages"]("m", PNG, PNG, PNG), extra_headers=PRUNE
        )

    assert answered.headers["x-obscura-images-left-out"] == message.headers["x-obscura-images-left-out"] == "1"
