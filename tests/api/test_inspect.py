"""Inspections: what a request is and what would become of it, in every dialect, without a call of the model."""

import hashlib
from base64 import b64decode
from typing import Any

import httpx
import openai
import pytest

from tests.support.access_control import FixedClock
from tests.support.fake_upstream import answers, verdict
from tests.support.gateway import Gateway, chat_request, image_part, running_gateway, text
from tests.support.image_urls import data_url
from tests.support.loopback_server import LoopbackServer, loopback_server
from tests.support.policies import save
from tests.unit.imaging.images import a_plain

WIDE = a_plain(3000, 1500, "PNG", colour=(200, 30, 30))
BODIES: dict[str, dict[str, Any]] = {
    "chat": chat_request(text("hi"), image_part(data_url(WIDE), detail="low")),
    "messages": {
        "model": "m",
        "max_tokens": 9,
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "hi"},
                    {
                        "type": "image",
                        "source": {
                            "type": "base64",
                            "media_type": "image/png",
                            "data": data_url(WIDE).partition(",")[2],
                        },
                    },
                ],
            }
        ],
    },
    "responses": {
        "model": "m",
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "hi"},
                    {"type": "input_image", "image_url": data_url(WIDE), "detail": "low"},
                ],
            }
        ],
    },
}
ROUTES = {
    "/v1/chat/completions": "chat",
    "/v1/messages": "messages",
    "/v1/responses": "responses",
    "/policy/v1/chat/completions": "chat",
    "/policy/messages": "messages",
    "/policy/responses": "responses",
}


async def inspect(gateway: Gateway, dialect: str = "chat", **fields: Any) -> httpx.Response:
    return await gateway.client.post(
        "/v1/inspect", json=BODIES[dialect] | fields, headers={"X-Obscura-Dialect": dialect}
    )


@pytest.mark.parametrize("dialect", BODIES)
async def test_the_facts_of_a_request_in_each_dialect(gateway: Gateway, upstream: LoopbackServer, dialect: str) -> None:
    response = await inspect(gateway, dialect)

    assert response.status_code == 200
    inspection = response.json()
    assert (inspection["object"], inspection["dialect"]) == ("inspection", dialect)
    [image] = inspection["images"]
    assert image["source"] == "data_url"
    assert image["original"] | {"tokens": 0} == {
        "format": "png",
        "bytes": len(WIDE),
        "width_px": 3000,
        "height_px": 1500,
        "tokens": 0,
        "animated": False,
        "alpha": False,
        "metadata": False,
    }
    assert image["prepared"]["width_px"] == 2 * image["prepared"]["height_px"] < 3000
    assert image["tokens"] == image["prepared"]["tokens"] == inspection["image_tokens"]
    assert "hashes" not in image
    assert "data_url" not in image["prepared"]
    assert inspection["text"]["characters"] == 2
    assert not upstream.received


async def test_the_prepared_images_and_the_hashes_that_it_includes(gateway: Gateway) -> None:
    inspection = (await inspect(gateway, include=["images", "hashes"])).json()

    [image] = inspection["images"]
    prepared = b64decode(image["prepared"]["data_url"].partition(",")[2])
    assert len(prepared) == image["prepared"]["bytes"]
    assert image["prepared"]["data_url"].startswith(f"data:image/{image['prepared']['format']};base64,")
    assert image["hashes"]["sha256"] == hashlib.sha256(WIDE).hexdigest()
    assert image["hashes"]["prepared_sha256"] == hashlib.sha256(prepared).hexdigest()
    assert len(image["hashes"]["pdq"]) == 64
    assert 0 <= image["hashes"]["pdq_quality"] <= 100


async def test_the_values_of_responses_own_include_stay_in_the_request(gateway: Gateway) -> None:
    accepted = await inspect(gateway, "responses", include=["hashes", "reasoning.encrypted_content"])
    refused = await inspect(gateway, "chat", include=["hashes", "https://127.0.0.1/x"])

    assert accepted.status_code == 200
    assert "hashes" in accepted.json()["images"][0]
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "include[0]")


@pytest.mark.parametrize(("path", "dialect"), ROUTES.items())
async def test_a_dry_run_of_every_dialect_asks_no_model(
    gateway: Gateway, upstream: LoopbackServer, path: str, dialect: str
) -> None:
    body = BODIES[dialect] | {"stream": True}

    response = await gateway.client.post(path, json=body, headers={"X-Obscura-Dry-Run": "true"})

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json()["object"] == "inspection"
    assert ("policy" in response.json()) == path.startswith("/policy")
    assert not upstream.received


async def test_a_clear_no_is_no_dry_run(gateway: Gateway, upstream: LoopbackServer) -> None:
    response = await gateway.chat(chat_request("hi"), headers={"X-Obscura-Dry-Run": "false"})

    assert response.json()["object"] == "chat.completion"
    assert len(upstream.received) == 1


async def test_moderation_is_shown_and_is_no_error() -> None:
    async with (
        loopback_server(answers(verdict({"violence": 0.9}, hate=0.01))) as moderation,
        running_gateway(moderation="openai", moderation_url=moderation.v1, moderation_key="k") as gateway,
    ):
        inspection = (await inspect(gateway)).json()

    assert inspection["moderation"] == {"flagged": True, "category": "violence", "scores": {}}
    for reviewed in (inspection["images"][0]["moderation"], inspection["text"]["moderation"]):
        assert reviewed == {"flagged": True, "category": "violence", "scores": {"violence": 0.9, "hate": 0.01}}


async def test_the_policy_of_the_request_is_applied_and_nothing_of_it_is_counted(gateway: Gateway) -> None:
    await save(gateway, rules={"denylist": ["hi"]}, org_controls={"user_quota": {"requests": 1}})

    first, second = [(await inspect(gateway, policy_id="p1", policy_user="u")).json()["policy"] for _ in "12"]

    assert first == second
    assert (first["policy_id"], first["decision"], first["denylist_hits"]) == ("p1", "refuse", ["hi"])
    missing = await inspect(gateway, policy_id="unknown")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "policy_not_found")


async def test_a_redacting_policy_changes_what_moderation_gets() -> None:
    async with (
        loopback_server(answers(verdict())) as moderation,
        running_gateway(moderation="openai", moderation_url=moderation.v1, moderation_key="k") as gateway,
    ):
        await save(gateway, rules={"redact_pii": True})
        body = chat_request("mail jane.doe@example.com") | {"policy_id": "p1"}
        response = await gateway.client.post("/v1/inspect", json=body)

        assert response.json()["policy"]["decision"] == "redact"
        assert not [one for one in moderation.received if b"jane.doe" in one.body]


async def test_it_is_counted_like_a_request() -> None:
    async with running_gateway(FixedClock()) as gateway:
        before, after = [(await inspect(gateway)).json()["rate_limit"] for _ in "12"]

    assert after["remaining_requests"] == before["remaining_requests"] - 1
    assert after["limit_requests"] == before["limit_requests"]


@pytest.mark.parametrize(
    ("path", "headers"), [("/v1/inspect", {}), ("/v1/chat/completions", {"X-Obscura-Dry-Run": "1"})]
)
async def test_it_needs_a_key(gateway: Gateway, path: str, headers: dict[str, str]) -> None:
    async with httpx.AsyncClient(base_url=gateway.url, trust_env=False) as anonymous:
        response = await anonymous.post(path, json=chat_request("hi"), headers=headers | {"X-Free-Tier": "true"})

    assert (response.status_code, response.json()["error"]["code"]) == (401, "missing_credentials")


@pytest.mark.parametrize(("scope", "path", "status"), [
    ("inspect", "/v1/inspect", 200),
    ("chat", "/v1/inspect", 403),
    ("chat", "/v1/chat/completions", 200),
    ("inspect", "/v1/chat/completions", 403),
    ("policy", "/policy/v1/chat/completions", 200),
    ("inspect", "/policy/v1/chat/completions", 403),
])  # fmt: skip
async def test_the_scope_that_a_key_needs(gateway: Gateway, scope: str, path: str, status: int) -> None:
    headers = await gateway.headers_of("tests", scopes=frozenset({scope}))

    response = await gateway.client.post(path, json=chat_request("hi"), headers=headers | {"X-Obscura-Dry-Run": "true"})

    assert response.status_code == status


async def test_what_makes_a_request_invalid_is_an_error_of_its_dialect(gateway: Gateway) -> None:
    broken = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    body = BODIES["messages"] | {"messages": [{"role": "user", "content": [broken]}]}
    response = await gateway.client.post("/v1/inspect", json=body, headers={"X-Obscura-Dialect": "messages"})
    unknown = await gateway.client.post("/v1/inspect", json=BODIES["chat"], headers={"X-Obscura-Dialect": "grpc"})

    assert response.status_code == 400
    assert response.json()["type"] == "error"
    assert response.json()["error"]["code"] == "unsupported_image_format"
    assert (unknown.status_code, unknown.json()["error"]["param"]) == (400, "X-Obscura-Dialect")


async def test_an_sdk_inspects_by_its_base_url(gateway: Gateway) -> None:
    async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key) as client:
        inspection = await client.post("/inspect", body=BODIES["chat"], cast_to=dict[str, Any])

    assert inspection["object"] == "inspection"
