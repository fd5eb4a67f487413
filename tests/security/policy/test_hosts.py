"""Rules about hosts hold before anything is asked of a host: of an image, a redirect, a video."""

from typing import Any

import pytest

from tests.support.fake_upstream import answers
from tests.support.gateway import chat_request, image_part, running_gateway
from tests.support.loopback_server import loopback_server
from tests.support.policies import save
from tests.unit.imaging.images import a_plain

CHAT = "/policy/v1/chat/completions"
PNG = a_plain(40, 40, "PNG")


@pytest.mark.parametrize("images", [{"denied_hosts": ["127.0.0.1"]}, {"allowed_hosts": ["good.example"]}])
@pytest.mark.parametrize("action", ["block", "rewrite", "flag"])
@pytest.mark.parametrize("kind", ["image_url", "video_url"])
async def test_nothing_is_fetched_from_a_host_that_is_refused(images: dict[str, Any], action: str, kind: str) -> None:
    rule = f"images.{next(iter(images))}"
    async with loopback_server(answers(PNG)) as host, loopback_server(answers()) as upstream:
        async with running_gateway(upstream_url=upstream.v1, fetch_allow=(host.origin,)) as gateway:
            await save(gateway, images=images, rules={"actions": {rule: action}})
            url = f"{host.origin}/a.png"
            part = {
                "image_url": image_part(url),
                "video_url": {"type": "video_url", "video_url": {"url": url}},
            }[kind]

            response = await gateway.client.post(CHAT, json=chat_request(part, policy_id="p1"))

            if action == "flag":
                assert host.received
                return
            assert response.status_code == (200 if action == "rewrite" else 400)
            assert response.json()["policy"]["rule"] == f"policy.{rule}"
            assert not host.received


async def test_a_redirect_to_a_refused_host_is_not_followed() -> None:
    async with loopback_server(answers(PNG)) as bad, loopback_server(answers()) as upstream:
        target = bad.origin.replace("127.0.0.1", "localhost")
        async with loopback_server(answers(b"", 302, location=f"{target}/a.png")) as good:
            allowed = (good.origin, target)
            async with running_gateway(upstream_url=upstream.v1, fetch_allow=allowed) as gateway:
                await save(gateway, images={"denied_hosts": ["localhost"]})

                asked = chat_request(image_part(f"{good.origin}/a.png"), policy_id="p1")
                response = await gateway.client.post(CHAT, json=asked)

                assert response.json()["policy"]["rule"] == "policy.images.denied_hosts"
                assert response.json()["error"]["param"] == "messages[0].content[0].image_url.url"
                assert good.received
                assert not bad.received


async def test_neither_an_inspection_nor_another_proxy_has_a_refused_host_asked() -> None:
    async with loopback_server(answers(PNG)) as host:
        origins = (host.origin, host.origin.replace("http:", "https:"))
        plain, tls = (f"{origin}/a.png" for origin in origins)
        asked = chat_request(image_part(plain), policy_id="p1")
        async with running_gateway(fetch_allow=origins) as gateway:
            await save(gateway, images={"denied_hosts": ["127.0.0.1"]})

            inspected = await gateway.client.post("/v1/inspect", json=asked)
            dry = await gateway.client.post(CHAT, json=asked, headers={"x-obscura-dry-run": "true"})
            checked = await gateway.client.post(
                "/beta/litellm_basic_guardrail_api",
                json={"input_type": "request", "images": [tls], "policy_id": "p1"},
            )

        for response in (inspected, dry):
            assert response.status_code == 200
            assert response.json()["policy"]["rule"] == "policy.images.denied_hosts"
            assert response.json()["images"] == []
        assert (checked.json()["action"], checked.headers["x-policy-decision"]) == ("BLOCKED", "refuse")
        assert not host.received
