"""The official SDKs through ``/policy/v1``: another base URL, and the extra field ``policy_id``."""

from collections.abc import AsyncIterator
from typing import Any

import anthropic
import openai
import pytest

from tests.support.fake_upstream import streams
from tests.support.gateway import Gateway, running_gateway
from tests.support.loopback_server import LoopbackServer
from tests.support.policies import save

EXTRA = {"policy_id": "p1"}


def policy_of(answer: Any) -> dict[str, Any]:
    """The member that the SDK's types do not know."""
    policy: dict[str, Any] = answer.policy
    return policy


@pytest.fixture
async def gateway(upstream: LoopbackServer) -> AsyncIterator[Gateway]:
    async with running_gateway(upstream_url=upstream.v1) as served:
        yield served


@pytest.fixture
async def openai_client(gateway: Gateway) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{gateway.url}/policy/v1", api_key=gateway.key, max_retries=0) as client:
        yield client


@pytest.fixture
async def anthropic_client(gateway: Gateway) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(base_url=f"{gateway.url}/policy", api_key=gateway.key, max_retries=0) as client:
        yield client


async def test_openai_chat(gateway: Gateway, upstream: LoopbackServer, openai_client: openai.AsyncOpenAI) -> None:
    await save(gateway, rules={"redact_pii": True, "denylist": ["wire transfer"]})
    create = openai_client.chat.completions.create

    whole = await create(model="m", messages=[{"role": "user", "content": "hi"}], extra_body=EXTRA)
    upstream.respond = streams()
    stream = await create(model="m", messages=[{"role": "user", "content": "hi"}], stream=True, extra_body=EXTRA)
    chunks = [chunk async for chunk in stream]
    with pytest.raises(openai.BadRequestError) as blocked:
        await create(model="m", messages=[{"role": "user", "content": "a wire transfer"}], extra_body=EXTRA)

    assert whole.choices[0].message.content == "A cat."
    assert policy_of(whole)["decision"] == "allow"
    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices) == "A cat."
    assert all(policy_of(chunk)["policy_id"] == "p1" for chunk in chunks)
    assert blocked.value.code == "policy_blocked"
    assert blocked.value.response.json()["policy"]["denylist_hits"] == ["wire transfer"]


async def test_openai_responses(gateway: Gateway, upstream: LoopbackServer, openai_client: openai.AsyncOpenAI) -> None:
    await save(gateway, rules={"redact_pii": True})
    create = openai_client.responses.create

    whole = await create(model="m", input="hi", extra_body=EXTRA)
    upstream.respond = streams()
    events = [event async for event in await create(model="m", input="hi", stream=True, extra_body=EXTRA)]

    assert whole.output_text == "A cat."
    assert policy_of(whole)["decision"] == "allow"
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == "A cat."
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == "A cat."
    assert all(policy_of(event)["policy_version"] == 1 for event in events)


async def test_anthropic_messages(
    gateway: Gateway, upstream: LoopbackServer, anthropic_client: anthropic.AsyncAnthropic
) -> None:
    await save(gateway, rules={"redact_pii": True, "denylist": ["wire transfer"]})
    messages = anthropic_client.messages

    whole = await messages.create(
        model="m", max_tokens=9, messages=[{"role": "user", "content": "hi"}], extra_body=EXTRA
    )
    upstream.respond = streams()
    async with messages.stream(
        model="m", max_tokens=9, messages=[{"role": "user", "content": "hi"}], extra_body=EXTRA
    ) as stream:
        text = "".join([piece async for piece in stream.text_stream])
    with pytest.raises(anthropic.BadRequestError) as blocked:
        await messages.create(
            model="m", max_tokens=9, messages=[{"role": "user", "content": "a wire transfer"}], extra_body=EXTRA
        )

    assert whole.content[0].text == text == "A cat."
    assert policy_of(whole)["decision"] == "allow"
    assert blocked.value.body["error"]["code"] == "policy_blocked"
    assert blocked.value.body["policy"]["decision"] == "refuse"


@pytest.mark.parametrize("action", ["rewrite", "summarize"])
async def test_a_replacement_is_an_answer_for_every_sdk(
    gateway: Gateway, openai_client: openai.AsyncOpenAI, anthropic_client: anthropic.AsyncAnthropic, action: str
) -> None:
    await save(gateway, rules={"denylist": ["hi"], "enforcement_action": action, "response_pattern": "INSTEAD"})

    stream = await openai_client.responses.create(model="m", input="hi", stream=True, extra_body=EXTRA)
    events = [event async for event in stream]
    message = await anthropic_client.messages.create(
        model="m", max_tokens=9, messages=[{"role": "user", "content": "hi"}], extra_body=EXTRA
    )

    assert events[-1].response.output_text == "INSTEAD"
    assert message.content[0].text == "INSTEAD"
