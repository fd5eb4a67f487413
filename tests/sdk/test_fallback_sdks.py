"""The official SDKs against a model with several upstreams of which the first fails."""

from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from tests.support.fake_upstream import answers, hangs_up, streams
from tests.support.loopback_server import Respond
from tests.support.upstream_groups import Group, answering, served_group

BUSY = answers({"error": {"message": "busy"}}, 429, retry_after="7")
FAILED_STREAM = streams(b'data: {"error": {"message": "boom", "type": "server_error"}}\n\n')
HELLO: Any = [{"role": "user", "content": "hi"}]


def two(first: Respond, second: Respond) -> dict[str, dict[str, Any]]:
    return {"one": {"responds": first}, "two": {"responds": second}}


def openai_client(group: Group) -> openai.AsyncOpenAI:
    gateway = group.gateway
    return openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0)


def anthropic_client(group: Group) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(base_url=group.gateway.url, api_key=group.gateway.key, max_retries=0)


@pytest.mark.parametrize("failing", [BUSY, hangs_up], ids=["busy", "hangs up"])
async def test_openais_sdk_gets_the_answer_of_the_next(failing: Respond, tmp_path: Path) -> None:
    async with served_group(tmp_path, two(failing, answering("from two"))) as group, openai_client(group) as sdk:
        raw = await sdk.chat.completions.with_raw_response.create(model="m", messages=HELLO)

        assert raw.headers["x-obscura-upstream"] == "two"
        assert raw.parse().choices[0].message.content == "from two"


async def test_openais_sdk_streams_from_the_next(tmp_path: Path) -> None:
    async with served_group(tmp_path, two(FAILED_STREAM, streams())) as group, openai_client(group) as sdk:
        stream = await sdk.chat.completions.create(model="m", messages=HELLO, stream=True)
        words = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]

        assert "".join(words) == "A cat."


async def test_openais_sdk_takes_a_response_of_the_next(tmp_path: Path) -> None:
    async with served_group(tmp_path, two(BUSY, answering("from two"))) as group, openai_client(group) as sdk:
        response = await sdk.responses.create(model="m", input="hi")

        assert response.output_text == "from two"


async def test_anthropics_sdk_gets_the_answer_and_the_stream_of_the_next(tmp_path: Path) -> None:
    async with served_group(tmp_path, two(FAILED_STREAM, streams())) as group, anthropic_client(group) as sdk:
        async with sdk.messages.stream(model="m", max_tokens=5, messages=HELLO) as stream:
            streamed = await stream.get_final_text()
        group.upstreams["one"].respond, group.upstreams["two"].respond = BUSY, answering("from two")
        message = await sdk.messages.create(model="m", max_tokens=5, messages=HELLO)

        assert streamed == "A cat."
        assert getattr(message.content[0], "text", None) == "from two"


async def test_if_all_fail_the_sdks_raise_what_says_when_to_come_back(tmp_path: Path) -> None:
    async with served_group(tmp_path, two(hangs_up, BUSY)) as group:
        async with openai_client(group) as of_openai, anthropic_client(group) as of_anthropic:
            with pytest.raises(openai.RateLimitError) as busy:
                await of_openai.chat.completions.create(model="m", messages=HELLO)
            with pytest.raises(anthropic.RateLimitError) as busy_too:
                await of_anthropic.messages.create(model="m", max_tokens=5, messages=HELLO)

        for response in (busy.value.response, busy_too.value.response):
            assert (response.headers["retry-after"], response.headers["x-obscura-upstream"]) == ("7", "two")
