"""Any body gets a response or an error in OpenAI's format, and the gateway goes on serving."""

import asyncio
import json
from collections import Counter
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.security.bodies.mutations import a_corpus, mutated, seeded
from tests.support.fake_upstream import answers, verdict
from tests.support.gateway import Gateway, chat_request, image_part, running_gateway
from tests.support.image_urls import data_url
from tests.support.json_texts import styles, values, written
from tests.support.loopback_server import loopback_server
from tests.unit.imaging.images import a_plain

MAX_CONCURRENT = 6
SMALL: dict[str, Any] = {
    "max_pixels": 500_000,
    "max_body_bytes": 1_000_000,
    "max_image_bytes": 200_000,
    "log_level": "WARNING",
}


async def post(gateway: Gateway, body: bytes) -> httpx.Response:
    return await gateway.client.post("/v1/chat/completions", content=body)


def check(response: httpx.Response, body: bytes) -> str:
    """Check that a response is a completion or an error of ours; return its code."""
    context = f"{response.status_code} {response.text[:200]} for {body[:2000]!r}"
    if response.status_code == 200:
        return "answered"
    assert 400 <= response.status_code < 500, context
    error = response.json()["error"]
    assert error["code"], context
    assert error["message"], context
    assert error["type"], context
    # Generated requests have fields of any name; which names are generated depends on the modules that are imported.
    assert error["param"] is None or error["param"], context
    assert b"Traceback" not in response.content, context
    return error["code"]


async def answers_to(gateway: Gateway, bodies: list[bytes]) -> Counter[str]:
    slots = asyncio.Semaphore(MAX_CONCURRENT)

    async def one(body: bytes) -> str:
        async with slots:
            return check(await post(gateway, body), body)

    return Counter(await asyncio.gather(*[one(body) for body in bodies]))


async def test_the_corpus_itself_is_answered() -> None:
    async with running_gateway(moderation="demo", **SMALL) as gateway:
        bodies = [json.dumps(request).encode() for request in a_corpus()]

        assert await answers_to(gateway, bodies) == {"answered": len(bodies)}


@pytest.mark.parametrize("seed", [1, 2])
async def test_damaged_requests_never_cause_a_server_error(seed: int) -> None:
    random, corpus = seeded(seed), a_corpus()
    bodies = [mutated(random.choice(corpus), random) for _ in range(200)]
    async with loopback_server(answers()) as upstream, loopback_server(answers(verdict())) as moderation:
        settings_: dict[str, Any] = {
            "upstream_url": upstream.v1,
            "moderation": "openai",
            "moderation_url": moderation.v1,
        }
        async with running_gateway(**settings_, **SMALL) as gateway:
            codes = await answers_to(gateway, bodies)

            assert len(codes) >= 5, codes
            assert codes["answered"] >= 20, codes
            assert (await gateway.chat(chat_request(image_part(data_url(a_plain(28, 28, "PNG")))))).status_code == 200
            for request in upstream.received:
                assert isinstance(request.json(), dict)


async def test_damaged_requests_never_cause_a_server_error_in_the_demo() -> None:
    random, corpus = seeded(3), a_corpus()
    bodies = [mutated(random.choice(corpus), random) for _ in range(150)]
    async with running_gateway(moderation="demo", **SMALL) as gateway:
        await answers_to(gateway, bodies)

        assert (await gateway.chat(chat_request("still there?"))).status_code == 200


FIELDS = ("model", "stream", "messages", "message", "content", "part", "image_url", "url", "detail", "text", "extra")


def with_value_at(name: str, value: object) -> dict:
    """A request that is valid but for one field."""
    holder = {"url": data_url(a_plain(8, 8, "PNG"))} | ({name: value} if name in {"url", "detail"} else {})
    image = {"type": "image_url", "image_url": value if name == "image_url" else holder}
    words = {"type": "text", "text": value if name == "text" else "hi"}
    message: dict[str, Any] = {"role": "user", "content": value if name == "content" else [words, image]}
    if name == "part":
        message["content"].append(value)
    request = {"model": "m", "stream": False, "messages": [value if name == "message" else message]}
    return request | ({name: value} if name in {"model", "stream", "messages", "extra"} else {})


generated = st.one_of(
    st.builds(lambda name, value, style: written(with_value_at(name, value), style).encode(),
              st.sampled_from(FIELDS), values, styles),
    st.builds(lambda value, style: written(value, style).encode(), values, styles),
    st.binary(max_size=200),
)  # fmt: skip


async def test_generated_bodies_never_cause_a_server_error() -> None:
    async with loopback_server(answers()) as upstream, running_gateway(upstream_url=upstream.v1, **SMALL) as gateway:
        loop = asyncio.get_running_loop()

        @given(generated)
        @settings(
            max_examples=80,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        def each(body: bytes) -> None:
            check(asyncio.run_coroutine_threadsafe(post(gateway, body), loop).result(10), body)

        await asyncio.to_thread(each)

        assert (await gateway.chat(chat_request("still there?"))).status_code == 200
