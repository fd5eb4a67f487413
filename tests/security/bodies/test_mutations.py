"""Whatever a body holds, the gateway answers or refuses it in OpenAI's shape, and goes on serving."""

import asyncio
import json
from collections import Counter

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

AT_ONCE = 6
SMALL = {"max_pixels": 500_000, "max_body_bytes": 1_000_000, "max_image_bytes": 200_000, "log_level": "WARNING"}


async def post(gateway: Gateway, body: bytes) -> httpx.Response:
    return await gateway.client.post("/v1/chat/completions", content=body)


def check(answer: httpx.Response, body: bytes) -> str:
    """Check that an answer is one of ours; gives its code."""
    shown = f"{answer.status_code} {answer.text[:200]} for {body[:2000]!r}"
    if answer.status_code == 200:
        return "answered"
    assert 400 <= answer.status_code < 500, shown
    error = answer.json()["error"]
    assert error["code"], shown
    assert error["message"], shown
    assert error["type"], shown
    assert error["param"] is None or error["param"].startswith(("messages", "model", "stream")), shown
    assert b"Traceback" not in answer.content, shown
    return error["code"]


async def answers_to(gateway: Gateway, bodies: list[bytes]) -> Counter[str]:
    places = asyncio.Semaphore(AT_ONCE)

    async def one(body: bytes) -> str:
        async with places:
            return check(await post(gateway, body), body)

    return Counter(await asyncio.gather(*[one(body) for body in bodies]))


async def test_the_corpus_itself_is_answered() -> None:
    async with running_gateway(moderation="demo", **SMALL) as gateway:
        bodies = [json.dumps(request).encode() for request in a_corpus()]

        assert await answers_to(gateway, bodies) == {"answered": len(bodies)}


@pytest.mark.parametrize("seed", [1, 2])
async def test_damaged_requests_are_answered_or_refused_and_never_a_fault(seed: int) -> None:
    random, corpus = seeded(seed), a_corpus()
    bodies = [mutated(random.choice(corpus), random) for _ in range(200)]
    async with loopback_server(answers()) as upstream, loopback_server(answers(verdict())) as moderation:
        given = {"upstream_url": upstream.v1, "moderation": "openai", "moderation_url": moderation.v1}
        async with running_gateway(**given, **SMALL) as gateway:
            codes = await answers_to(gateway, bodies)

            assert len(codes) >= 5, codes
            assert codes["answered"] >= 20, codes
            assert (await gateway.chat(chat_request(image_part(data_url(a_plain(28, 28, "PNG")))))).status_code == 200
            for request in upstream.received:
                assert isinstance(request.json(), dict)


async def test_damaged_requests_are_no_fault_of_the_demo_either() -> None:
    random, corpus = seeded(3), a_corpus()
    bodies = [mutated(random.choice(corpus), random) for _ in range(150)]
    async with running_gateway(moderation="demo", **SMALL) as gateway:
        await answers_to(gateway, bodies)

        assert (await gateway.chat(chat_request("still there?"))).status_code == 200


PLACES = ("model", "stream", "messages", "message", "content", "part", "image_url", "url", "detail", "text", "extra")


def with_value_at(place: str, value: object) -> dict:
    """A valid request but for one place."""
    holder = {"url": data_url(a_plain(8, 8, "PNG"))} | ({place: value} if place in {"url", "detail"} else {})
    image = {"type": "image_url", "image_url": value if place == "image_url" else holder}
    words = {"type": "text", "text": value if place == "text" else "hi"}
    message = {"role": "user", "content": value if place == "content" else [words, image]}
    if place == "part":
        message["content"].append(value)
    request = {"model": "m", "stream": False, "messages": [value if place == "message" else message]}
    return request | ({place: value} if place in {"model", "stream", "messages", "extra"} else {})


generated = st.one_of(
    st.builds(lambda place, value, style: written(with_value_at(place, value), style).encode(),
              st.sampled_from(PLACES), values, styles),
    st.builds(lambda value, style: written(value, style).encode(), values, styles),
    st.binary(max_size=200),
)  # fmt: skip


async def test_generated_bodies_are_answered_or_refused_and_never_a_fault() -> None:
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
