"""The generic guardrail API as LiteLLM speaks it: texts and images in, an action out, changed ones returned."""

import json
from typing import Any

import httpx
import pytest

from tests.support.fake_upstream import answers, verdict
from tests.support.gateway import Gateway, running_gateway
from tests.support.image_urls import data_url
from tests.support.loopback_server import LoopbackServer, loopback_server
from tests.support.policies import save
from tests.unit.imaging.images import a_photograph, a_plain

PATH = "/beta/litellm_basic_guardrail_api"
PHOTO = data_url(a_photograph(400, 300, "JPEG"), "image/jpeg")
EMAIL = "mail jane.doe@example.com today"


async def check(gateway: Gateway, **fields: Any) -> httpx.Response:
    """Send a request with every key that LiteLLM 1.106 sends, null where absent."""
    absent = dict.fromkeys(
        (
            "litellm_trace_id",
            "litellm_version",
            "model",
            "texts",
            "images",
            "tools",
            "tool_calls",
            "structured_messages",
        )
    )
    around = {
        "litellm_call_id": "c1",
        "request_data": {"user_api_key_hash": "h"},
        "request_headers": {"host": "[present]"},
    }
    body = absent | around | {"input_type": "request", "additional_provider_specific_params": {}} | fields
    return await gateway.client.post(PATH, json=body)


async def test_what_nothing_objects_to_is_none_without_lists(gateway: Gateway, upstream: LoopbackServer) -> None:
    response = await check(gateway, texts=["hello"])

    assert (response.status_code, response.json()) == (200, {"action": "NONE"})
    assert response.headers["x-policy-decision"] == "allow"
    assert not upstream.received


@pytest.mark.parametrize("where", ["texts", "tools", "tool_calls"])
async def test_a_term_of_the_policy_blocks_wherever_it_stands(gateway: Gateway, where: str) -> None:
    await save(gateway, rules={"denylist": ["wire transfer"]})
    call = {
        "type": "function",
        "function": {"name": "pay", "description": "a wire transfer", "arguments": "wire transfer"},
    }
    content = ["a wire transfer"] if where == "texts" else [call]

    named = await check(gateway, **{where: content}, additional_provider_specific_params={"policy_id": "p1"})
    unnamed = await check(gateway, **{where: content})

    assert named.json()["action"] == "BLOCKED"
    assert named.json()["blocked_reason"].startswith("The request was blocked by policy")
    assert "wire" not in named.text
    assert unnamed.json() == {"action": "NONE"}


async def test_a_redacted_text_is_returned_at_its_place_and_in_the_messages(gateway: Gateway) -> None:
    await save(gateway, rules={"redact_pii": True})
    messages = [{"role": "system", "content": "be kind"}, {"role": "user", "content": EMAIL}]

    response = await check(
        gateway,
        texts=["be kind", EMAIL],
        structured_messages=messages,
        additional_provider_specific_params={"policy_id": "p1"},
    )

    answer = response.json()
    assert answer["action"] == "GUARDRAIL_INTERVENED"
    assert answer["texts"][0] == "be kind"
    assert "jane.doe" not in response.text
    assert [one["content"] for one in answer["structured_messages"]] == answer["texts"]


async def test_the_image_that_was_moderated_takes_the_place_of_the_one_that_was_sent() -> None:
    async with (
        loopback_server(answers(verdict())) as moderation,
        running_gateway(moderation="openai", moderation_url=moderation.v1, moderation_key="k") as gateway,
    ):
        part = {"type": "image_url", "image_url": {"url": PHOTO}}
        response = await check(gateway, images=[PHOTO], structured_messages=[{"role": "user", "content": [part]}])

        answer = response.json()
        [image] = answer["images"]
        assert image != PHOTO
        assert answer["structured_messages"][0]["content"][0]["image_url"]["url"] == image
        assert any(image.encode() in one.body for one in moderation.received)


async def test_bare_base64_is_an_image_too(gateway: Gateway) -> None:
    response = await check(gateway, images=[PHOTO.partition(",")[2]])

    assert response.json()["images"][0].startswith("data:image/jpeg;base64,")


async def test_what_moderation_flags_is_blocked() -> None:
    async with (
        loopback_server(answers(verdict({"violence": 0.9}))) as moderation,
        running_gateway(moderation="openai", moderation_url=moderation.v1, moderation_key="k") as gateway,
    ):
        for fields in ({"texts": ["x"]}, {"images": [PHOTO]}, {"texts": ["x"], "input_type": "response"}):
            response = await check(gateway, **fields)
            assert (response.status_code, response.json()["action"]) == (200, "BLOCKED"), fields


async def test_what_cannot_be_checked_is_blocked(gateway: Gateway) -> None:
    cut = a_plain(40, 40, "PNG")[:60]

    for image in (data_url(cut), "data:image/png;base64,AAAA", "http://127.0.0.1/x.png"):
        answer = (await check(gateway, images=[image])).json()
        assert answer["action"] == "BLOCKED", image
        assert answer["blocked_reason"]


async def test_an_answer_is_held_to_the_policys_terms(gateway: Gateway) -> None:
    await save(gateway, rules={"denylist": ["wire transfer"]})
    policy = {"policy_id": "p1"}

    bad = await check(
        gateway, input_type="response", texts=["make a wire transfer"], additional_provider_specific_params=policy
    )
    good = await check(gateway, input_type="response", texts=["fine"], additional_provider_specific_params=policy)

    assert (bad.json()["action"], good.json()) == ("BLOCKED", {"action": "NONE"})


@pytest.mark.parametrize(("fields", "param"), [
    ({"texts": "hello"}, "texts"),
    ({"texts": [1]}, "texts[0]"),
    ({"images": [{}]}, "images[0]"),
    ({"input_type": "both"}, "input_type"),
])  # fmt: skip
async def test_a_request_that_is_none_is_a_400(gateway: Gateway, fields: dict[str, Any], param: str) -> None:
    response = await check(gateway, **fields)

    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


async def test_a_moderation_that_is_down_is_no_verdict() -> None:
    async with (
        loopback_server(answers({}, status=500)) as moderation,
        running_gateway(moderation="openai", moderation_url=moderation.v1, moderation_key="k") as gateway,
    ):
        response = await check(gateway, texts=["x"])

    assert (response.status_code, response.json()["error"]["code"]) == (503, "moderation_unavailable")


async def test_it_takes_a_key_of_the_scope_policy_in_either_header(gateway: Gateway) -> None:
    body = {"input_type": "request", "texts": ["x"]}
    credentials = {"x-api-key": gateway.key}, {"authorization": f"Bearer {gateway.key}"}, {"x-free-tier": "true"}
    async with httpx.AsyncClient(base_url=gateway.url, trust_env=False) as client:
        statuses = [(await client.post(PATH, json=body, headers=headers)).status_code for headers in credentials]
    chat = await gateway.headers_of("tests", scopes=frozenset({"chat"}))
    statuses.append((await gateway.client.post(PATH, json=body, headers=chat)).status_code)

    assert statuses == [200, 200, 401, 403]


async def test_requests_count_in_quotas_and_their_answers_do_not(gateway: Gateway) -> None:
    await save(gateway, org_controls={"project_quota": {"requests": 1, "window": "day"}})
    policy = {"policy_id": "p1"}

    answers = [
        (await check(gateway, texts=["x"], input_type=kind, additional_provider_specific_params=policy)).json()
        for kind in ("request", "response", "request")
    ]

    assert [answer["action"] for answer in answers] == ["NONE", "NONE", "BLOCKED"]


@pytest.mark.parametrize(
    "content",
    [f"Context: {EMAIL}.", [{"type": "text", "text": f"{EMAIL} and now"}], [{"type": "thing", "note": EMAIL.upper()}]],
    ids=["around it", "in a part", "in a field of its own"],
)
async def test_no_returned_message_has_what_is_redacted_however_the_proxy_listed_it(
    gateway: Gateway, content: Any
) -> None:
    await save(gateway, rules={"redact_pii": True})

    response = await check(
        gateway,
        texts=[EMAIL],
        structured_messages=[{"role": "user", "content": content}],
        additional_provider_specific_params={"policy_id": "p1"},
    )

    assert response.json()["action"] == "GUARDRAIL_INTERVENED"
    assert "jane.doe" not in response.text.lower()


async def test_an_image_is_replaced_whatever_its_escapes(gateway: Gateway) -> None:
    part = {"type": "image_url", "image_url": {"url": PHOTO}}
    fields = {"input_type": "request", "images": [PHOTO], "structured_messages": [{"role": "user", "content": [part]}]}
    body = json.dumps(fields).replace("/", "\\/")

    response = await gateway.client.post(PATH, content=body, headers={"content-type": "application/json"})

    answer = response.json()
    [image] = answer["images"]
    assert image != PHOTO
    assert answer["structured_messages"][0]["content"][0]["image_url"]["url"] == image


async def test_an_escaped_url_is_a_url(gateway: Gateway) -> None:
    body = '{"images": ["https:\\/\\/127.0.0.1\\/x.png"]}'

    response = await gateway.client.post(PATH, content=body, headers={"content-type": "application/json"})

    assert response.json()["action"] == "BLOCKED"
    assert "host" in response.json()["blocked_reason"].lower() or "address" in response.json()["blocked_reason"].lower()
