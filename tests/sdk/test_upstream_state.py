"""The official SDKs against a gateway before a loopback upstream: zero retention, shared state, JWTs, masked errors."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import openai
import pytest
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI

from tests.support.fake_upstream import answers
from tests.support.gateway import Gateway, running_gateway
from tests.support.loopback_server import LoopbackServer, loopback_server
from tests.support.token_issuer import a_token, token_issuer
from tests.unit.imaging.images import a_photograph

NATIVE = frozenset({"chat", "messages", "responses"})
ZERO = {"x-zero-retention": "true"}
HELLO: Any = [{"role": "user", "content": "hi"}]


@asynccontextmanager
async def clients(**settings: Any) -> AsyncIterator[tuple[AsyncOpenAI, AsyncAnthropic, LoopbackServer, Gateway]]:
    async with (
        loopback_server(answers()) as upstream,
        running_gateway(upstream_url=upstream.v1, upstream_dialects=NATIVE, **settings) as gateway,
        AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as openai_client,
        AsyncAnthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0) as anthropic_client,
    ):
        yield openai_client, anthropic_client, upstream, gateway


async def test_zero_retention_by_the_sdks_reaches_the_upstream() -> None:
    async with clients() as (client, claude, upstream, _):
        raw = await client.chat.completions.with_raw_response.create(
            model="m", messages=HELLO, prompt_cache_key="k", extra_headers=ZERO
        )
        await client.responses.with_raw_response.create(model="m", input="hi", extra_headers=ZERO)
        for fields in ({"store": True}, {"background": True}, {"previous_response_id": "r"}, {"conversation": "c"}):
            with pytest.raises(openai.BadRequestError) as refused:
                await client.responses.create(model="m", input="hi", extra_headers=ZERO, **fields)
            assert (refused.value.code, refused.value.param) == ("retention_conflict", *fields)
        with pytest.raises(anthropic.BadRequestError) as conflict:
            await claude.messages.create(
                model="m", max_tokens=9, messages=HELLO, extra_headers=ZERO, extra_body={"container": "c"}
            )

    assert raw.headers["x-zero-retention"] == "true"
    chat, response = [request.json() for request in upstream.received]
    assert (chat["store"], response["store"], "prompt_cache_key" in chat) == (False, False, False)
    assert isinstance(conflict.value.body, dict)
    assert conflict.value.body["error"]["code"] == "retention_conflict"


async def test_state_of_the_account_raises_the_sdks_bad_request_error() -> None:
    async with clients() as (client, claude, upstream, _):
        with pytest.raises(openai.BadRequestError) as refused:
            await client.responses.create(model="m", input="hi", previous_response_id="resp_of_another_project")
        with pytest.raises(anthropic.BadRequestError) as container:
            await claude.messages.create(model="m", max_tokens=9, messages=HELLO, extra_body={"container": "c"})

    assert (refused.value.code, refused.value.param) == ("unsupported_operation", "previous_response_id")
    assert "OBSCURA_UPSTREAM_STATE" in str(refused.value)
    assert "OBSCURA_UPSTREAM_STATE" in str(container.value)
    assert upstream.received == []


async def test_a_jwt_by_the_sdk_has_files_of_its_own() -> None:
    async with token_issuer() as issuer, clients(**issuer.settings) as (client, _, _, gateway):
        stored = await client.files.create(file=("a.jpg", a_photograph(60, 40, "JPEG")), purpose="vision")
        async with AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=a_token(sub="tests"), max_retries=0) as holder:
            with pytest.raises(openai.NotFoundError) as missing:
                await holder.files.retrieve(stored.id)

            assert (await holder.files.list()).data == []
    assert missing.value.code == "file_not_found"


async def test_an_upstreams_secrets_are_in_no_exception_of_the_sdks() -> None:
    words = "Incorrect API key provided: sk-live-AAAABBBBCCCC for http://10.1.2.3:8000/v1"
    async with clients() as (client, claude, upstream, _):
        upstream.respond = answers({"error": {"message": words}}, 400)
        with pytest.raises(openai.BadRequestError) as by_openai:
            await client.chat.completions.create(model="m", messages=HELLO)
        with pytest.raises(anthropic.BadRequestError) as by_anthropic:
            await claude.messages.create(model="m", max_tokens=9, messages=HELLO)

    for raised in (by_openai, by_anthropic):
        assert "Incorrect API key provided: [masked] for [masked]" in str(raised.value)
        assert "AAAA" not in str(raised.value)
