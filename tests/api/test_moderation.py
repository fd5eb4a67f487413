"""Moderation end to end: concurrent calls, before anything goes upstream, and no response without a verdict."""

import asyncio
import json
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from tests.support.fake_upstream import answers, hangs_up, verdict
from tests.support.gateway import Gateway, chat_request, image_part, running_gateway, text
from tests.support.image_urls import data_url
from tests.support.json_texts import data_urls_in
from tests.support.loopback_server import LoopbackServer, Received, Respond, Wire, loopback_server
from tests.unit.imaging.images import a_photograph, a_plain

RED, BLUE, GREEN = (data_url(a_plain(40, 40, "PNG", colour)) for colour in ((255, 0, 0), (0, 0, 255), (0, 255, 0)))
MAGENTA = (255, 0, 255)


def moderated_by(
    moderation: LoopbackServer, upstream: LoopbackServer, **more: Any
) -> AbstractAsyncContextManager[Gateway]:
    return running_gateway(
        upstream_url=upstream.v1,
        moderation="openai",
        moderation_url=moderation.v1,
        moderation_key="sk-moderation",
        **more,
    )


def flagging(what: str, **scores: float) -> Respond:
    """Flag every input in which ``what`` occurs, in these categories; all else is clean."""

    async def respond(request: Received, wire: Wire) -> None:
        hit = what.encode() in request.body
        await answers(verdict(scores) if hit else verdict(harassment=0.999))(request, wire)

    return respond


async def error_and_upstream_calls(respond: Respond, request: dict) -> tuple[int, dict, int]:
    async with (
        loopback_server(respond) as moderation,
        loopback_server(answers()) as upstream,
        moderated_by(moderation, upstream) as gateway,
    ):
        response = await gateway.chat(request)

        return response.status_code, response.json(), len(upstream.received)


async def test_each_image_and_the_text_are_moderated_in_concurrent_calls() -> None:
    all_here = asyncio.Barrier(4)

    async def respond(request: Received, wire: Wire) -> None:
        async with asyncio.timeout(5):
            await all_here.wait()
        await answers(verdict())(request, wire)

    async with (
        loopback_server(respond) as moderation,
        loopback_server(answers()) as upstream,
        moderated_by(moderation, upstream) as gateway,
    ):
        response = await gateway.chat(
            chat_request(text("one"), image_part(RED), image_part(BLUE), text("two"), image_part(GREEN))
        )

        assert response.status_code == 200
        inputs = [request.json()["input"] for request in moderation.received]
        assert [one for one in inputs if isinstance(one, str)] == ["one\n\ntwo"]
        images = [one for one in inputs if isinstance(one, list)]
        assert sorted(part["image_url"]["url"] for (part,) in images) == sorted([RED, BLUE, GREEN])
        assert {request.headers["authorization"] for request in moderation.received} == {"Bearer sk-moderation"}


async def test_moderation_gets_its_own_key_and_never_the_callers() -> None:
    async with (
        loopback_server(answers(verdict())) as moderation,
        loopback_server(answers()) as upstream,
        moderated_by(moderation, upstream, upstream_key="sk-upstream") as gateway,
    ):
        await gateway.chat(chat_request("hi", image_part(RED)))

        assert upstream.received[0].headers["authorization"] == "Bearer sk-upstream"
        assert not any(gateway.key in str(request.headers) for request in moderation.received)
        assert not any("sk-upstream" in str(request.headers) for request in moderation.received)


async def test_texts_of_all_messages_are_moderated_together() -> None:
    messages = [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": [text("look"), {"type": "text", "text": "  "}]},
        {"role": "tool", "tool_call_id": "c", "content": "result é"},
    ]
    async with (
        loopback_server(answers(verdict())) as moderation,
        loopback_server(answers()) as upstream,
        moderated_by(moderation, upstream) as gateway,
    ):
        await gateway.chat({"model": "m", "messages": messages})

        assert [request.json()["input"] for request in moderation.received] == ["be kind\n\nlook\n\nresult é"]


@pytest.mark.parametrize("content", ["", " \n", [], None])
async def test_a_request_without_text_has_no_text_moderation(content: object) -> None:
    async with (
        loopback_server(answers(verdict())) as moderation,
        loopback_server(answers()) as upstream,
        moderated_by(moderation, upstream) as gateway,
    ):
        response = await gateway.chat({"model": "m", "messages": [{"role": "user", "content": content}]})

        assert response.status_code == 200
        assert not moderation.received


async def test_flagged_text_is_blocked_by_its_highest_scoring_category() -> None:
    respond = flagging("awful", violence=0.6, sexual=0.8, hate=0.7)

    status, response, upstream_calls = await error_and_upstream_calls(
        respond, chat_request(text("something awful"), image_part(RED))
    )

    assert (status, upstream_calls) == (400, 0)
    assert response["error"]["code"] == "moderation_blocked"
    assert response["error"]["category"] == "sexual"
    assert "sexual" in response["error"]["message"]
    assert response["error"]["param"] is None
    assert "awful" not in response["error"]["message"]


async def test_a_flagged_image_is_blocked_and_named() -> None:
    respond = flagging(BLUE, violence=0.4)
    request = chat_request(text("look"), image_part(RED), {"type": "input_image", "image_url": BLUE}, image_part(GREEN))

    status, response, upstream_calls = await error_and_upstream_calls(respond, request)

    assert (status, upstream_calls) == (400, 0)
    assert response["error"]["code"] == "moderation_blocked"
    assert response["error"]["category"] == "violence"
    assert "violence" in response["error"]["message"]
    assert response["error"]["param"] == "messages[0].content[2].image_url"


async def test_a_stream_that_is_blocked_is_an_error_and_not_a_stream() -> None:
    status, response, _ = await error_and_upstream_calls(
        flagging("awful", hate=0.9), chat_request("awful", stream=True)
    )

    assert (status, response["error"]["category"]) == (400, "hate")


async def test_a_block_cancels_the_moderation_calls_that_are_under_way() -> None:
    async def respond(request: Received, wire: Wire) -> None:
        if BLUE.encode() not in request.body:
            await asyncio.Event().wait()
        await moderation.wait_for_requests(3)
        await answers(verdict({"violence": 0.9}))(request, wire)

    async with (
        loopback_server(respond) as moderation,
        loopback_server(answers()) as upstream,
        moderated_by(moderation, upstream) as gateway,
        asyncio.timeout(5),
    ):
        response = await gateway.chat(chat_request(text("hi"), image_part(RED), image_part(BLUE)))

        assert response.json()["error"]["code"] == "moderation_blocked"
        for request in moderation.received:
            if BLUE.encode() not in request.body:
                await request.caller_left.wait()


UNTRUSTWORTHY = {
    "status 500": answers({"error": "secret detail"}, 500),
    "status 401": answers({"error": "secret detail"}, 401),
    "malformed JSON": answers(b'{"results": [{"flagged": fal'),
    "no JSON": answers(b"<html>secret detail</html>"),
    "wrong shape": answers({"results": [{"flagged": "no"}]}),
    "no results": answers({"results": []}),
    "busy for too long": answers({}, 429, retry_after="3600"),
    "hangs up": hangs_up,
}


@pytest.mark.parametrize("respond", UNTRUSTWORTHY.values(), ids=UNTRUSTWORTHY.keys())
async def test_without_a_trustworthy_verdict_nothing_goes_upstream(respond: Respond) -> None:
    status, response, upstream_calls = await error_and_upstream_calls(
        respond, chat_request(text("hi"), image_part(RED))
    )

    assert (status, response["error"]["code"], upstream_calls) == (503, "moderation_unavailable", 0)
    assert "secret" not in json.dumps(response)


async def test_one_missing_verdict_among_clean_ones_stops_the_request() -> None:
    async def respond(request: Received, wire: Wire) -> None:
        clean = BLUE.encode() not in request.body
        await answers(verdict() if clean else {}, 200 if clean else 500)(request, wire)

    status, response, upstream_calls = await error_and_upstream_calls(
        respond, chat_request("hi", image_part(RED), image_part(BLUE))
    )

    assert (status, response["error"]["code"], upstream_calls) == (503, "moderation_unavailable", 0)


async def test_with_moderation_down_nothing_goes_upstream() -> None:
    async with loopback_server(answers()) as closed:
        pass
    async with loopback_server(answers()) as upstream, moderated_by(closed, upstream) as gateway:
        response = await gateway.chat(chat_request("hi"))

        assert (response.status_code, response.json()["error"]["code"]) == (503, "moderation_unavailable")
        assert not upstream.received
        assert str(closed.port) not in response.text


async def test_a_rejected_image_is_never_sent_to_moderation() -> None:
    async with (
        loopback_server(answers(verdict())) as moderation,
        loopback_server(answers()) as upstream,
        moderated_by(moderation, upstream) as gateway,
    ):
        response = await gateway.chat(chat_request("hi", image_part(RED), image_part(data_url(b"no image"))))

        assert response.json()["error"]["code"] == "unsupported_image_format"
        assert [request.json()["input"] for request in moderation.received] in ([], ["hi"])


async def test_the_prepared_image_is_moderated_not_the_one_that_was_sent() -> None:
    sent = data_url(a_photograph(1400, 700, "JPEG"))
    async with (
        loopback_server(answers(verdict())) as moderation,
        loopback_server(answers()) as upstream,
        moderated_by(moderation, upstream) as gateway,
    ):
        await gateway.chat(chat_request(image_part(sent)))

        (reviewed,) = data_urls_in(moderation.received[0].body)
        assert reviewed != sent.encode()
        assert [reviewed] == data_urls_in(upstream.received[0].body)


async def blocked_by_the_demo(gateway: Gateway, *parts: object) -> tuple[int, str | None, str | None]:
    response = await gateway.chat(chat_request(*parts))
    error = response.json().get("error", {})
    return response.status_code, error.get("category"), error.get("param")


async def test_the_demo_moderator_blocks_the_marker_word_and_the_magenta_image() -> None:
    magenta = [
        image_part(data_url(a_plain(*size, kind, MAGENTA))) for size, kind in (((64, 64), "PNG"), ((3000, 90), "JPEG"))
    ]
    async with running_gateway(moderation="demo") as gateway:
        assert await blocked_by_the_demo(gateway, "say Obscura-Block-Me") == (400, "demo/test", None)
        for one in magenta:
            assert await blocked_by_the_demo(gateway, text("hi"), one) == (
                400, "demo/test", "messages[0].content[1].image_url.url",
            )  # fmt: skip
        assert await blocked_by_the_demo(gateway, text("hi"), image_part(RED)) == (200, None, None)
