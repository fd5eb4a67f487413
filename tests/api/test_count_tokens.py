"""Counting tokens end to end: an estimate, or the count of an upstream that speaks Messages."""

import httpx
import pytest

from obscura.moderation.demo import MARKER_WORD
from tests.api.test_messages import NATIVE, error_of, image, text
from tests.security.work.headers import a_webp_header
from tests.support.anonymous import FREE_TIER
from tests.support.fake_upstream import answers
from tests.support.gateway import Gateway, running_gateway
from tests.support.loopback_server import LoopbackServer, loopback_server
from tests.unit.imaging.images import a_photograph, a_plain, exif

PATH = "/v1/messages/count_tokens"


async def count(gateway: Gateway, *content: object, **fields: object) -> httpx.Response:
    body = {"model": "m", "messages": [{"role": "user", "content": list(content)}]} | fields
    return await gateway.client.post(PATH, json=body)


async def test_an_estimate_is_marked_as_one_and_calls_no_upstream(upstream: LoopbackServer, gateway: Gateway) -> None:
    response = await count(gateway, text("12345678"), image(a_plain(768, 768, "PNG")))

    assert response.json() == {"input_tokens": 4 + 2 + 729, "estimate": True}
    assert response.headers["x-token-estimate"] == "true"
    assert response.headers["x-image-tokens"] == "729"
    assert response.headers["request-id"] == response.headers["x-request-id"]
    assert upstream.received == []


async def test_an_estimate_counts_the_images_as_the_model_would_get_them(demo_gateway: Gateway) -> None:
    response = await count(demo_gateway, image(a_plain(2560, 2560, "PNG")), model="obscura-demo")

    assert response.json()["input_tokens"] == 4 + 2116


@pytest.mark.parametrize("headers", [{}, FREE_TIER])
async def test_an_estimate_reads_no_more_of_an_image_than_its_header(demo_gateway: Gateway, headers: dict) -> None:
    content = [image(a_webp_header(5000, 5000))] * 5 + [image(a_photograph(300, 500, "JPEG", exif=exif(6)))]
    body = {"model": "obscura-demo", "messages": [{"role": "user", "content": content}]}
    async with httpx.AsyncClient(base_url=demo_gateway.url, trust_env=False) as client:
        credentials = headers or {"x-api-key": demo_gateway.key}

        response = await client.post(PATH, json=body, headers=credentials)

    assert response.status_code == 200
    assert response.headers["x-image-tokens"] == ",".join(["2116"] * 5 + [str(18 * 11)])


async def test_an_estimate_has_the_limits_of_the_request_itself(demo_gateway: Gateway) -> None:
    response = await count(demo_gateway, *[image(a_webp_header(5000, 5000))] * 6, model="obscura-demo")

    assert error_of(response) == (400, "invalid_request_error", "too_many_pixels")
    assert response.json()["error"]["param"] == "messages[0].content[5].source.data"


async def test_an_upstream_that_speaks_messages_counts_by_itself() -> None:
    respond = answers({"input_tokens": 2095, "context_management": None})
    async with loopback_server(respond) as upstream, running_gateway(upstream_url=upstream.v1, **NATIVE) as gateway:
        response = await count(gateway, text("hi"), image(a_plain(28, 28, "PNG")), inference_geo="us")

        assert response.json() == {"input_tokens": 2095, "context_management": None}
        assert "x-token-estimate" not in response.headers
        assert [request.path for request in upstream.received] == ["/v1/messages/count_tokens"]
        assert upstream.received[0].json()["messages"][0]["content"][1]["source"]["type"] == "base64"


async def test_an_upstreams_count_that_fails_is_reported() -> None:
    async with (
        loopback_server(answers({}, 500)) as upstream,
        running_gateway(upstream_url=upstream.v1, **NATIVE) as gateway,
    ):
        assert error_of(await count(gateway, text("hi"))) == (502, "api_error", "upstream_error")


async def test_only_what_is_sent_to_an_upstream_is_moderated() -> None:
    async with loopback_server(answers({"input_tokens": 1})) as upstream:
        async with running_gateway(upstream_url=upstream.v1, moderation="demo") as gateway:
            assert (await count(gateway, text(MARKER_WORD))).status_code == 200
        async with running_gateway(upstream_url=upstream.v1, moderation="demo", **NATIVE) as gateway:
            assert error_of(await count(gateway, text(MARKER_WORD)))[2] == "moderation_blocked"

        assert upstream.received == []


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"messages": []}, "invalid_request", "messages"),
        ({"model": None}, "invalid_request", "model"),
        ({"container": "c_1"}, "unsupported_field", "container"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "unsupported_field", "tools[0].type"),
    ],
)
async def test_a_request_that_would_be_rejected_is_not_counted(
    fields: dict, code: str, param: str, gateway: Gateway
) -> None:
    response = await count(gateway, text("hi"), **fields)

    assert error_of(response) == (400, "invalid_request_error", code)
    assert response.json()["error"]["param"] == param


async def test_counting_needs_a_key(demo_gateway: Gateway) -> None:
    response = await demo_gateway.client.post(PATH, json={}, headers={"authorization": "Bearer obs_wrong"})

    assert error_of(response) == (401, "authentication_error", "invalid_api_key")


async def test_another_method_gets_anthropics_error_format(demo_gateway: Gateway) -> None:
    assert error_of(await demo_gateway.client.get(PATH)) == (405, "invalid_request_error", "method_not_allowed")
