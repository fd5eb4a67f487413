"""Moderation by several endpoints: who is asked, what passes, what the log and the cache keep."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from obscura.errors import ModerationUnavailable
from obscura.httpclient.transport import FastTransport
from obscura.moderation.endpoints import read_endpoints
from obscura.moderation.fallback import FallbackModerator
from obscura.moderation.guardrail import GuardrailModerator
from obscura.moderation.openai import OpenAIModerator
from obscura.settings import ConfigurationError, Settings
from tests.support.fake_upstream import answers, verdict
from tests.support.gateway import Gateway, chat_request, image_part, running_gateway, text
from tests.support.image_urls import a_data_url
from tests.support.loopback_server import LoopbackServer, Respond, loopback_server

CLEAN = answers(verdict(violence=0.25, hate=0.01))
FAILS = answers({}, 500)
PASSES = answers({"action": "NONE"})


@asynccontextmanager
async def endpoints(*responds: Respond) -> AsyncIterator[list[LoopbackServer]]:
    async with loopback_server(responds[0]) as first, loopback_server(responds[-1]) as second:
        yield [first, second]


@asynccontextmanager
async def gateway_with(urls: list[str], **settings: Any) -> AsyncIterator[Gateway]:
    async with loopback_server(answers()) as upstream:
        async with running_gateway(
            upstream_url=upstream.v1, moderation=None, moderation_urls=urls, **settings
        ) as served:
            yield served


def asked(servers: list[LoopbackServer]) -> list[int]:
    return [len(server.received) for server in servers]


async def test_the_next_endpoint_judges_what_the_first_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECOND_KEY", "sk-second")
    async with endpoints(FAILS, CLEAN) as (first, second):
        async with gateway_with(
            [f"{first.v1} OBSCURA_MODERATION_KEY", f"{second.v1} SECOND_KEY"], moderation_key="sk-first"
        ) as gateway:
            response = await gateway.chat(chat_request(text("look"), image_part(a_data_url(40, 40))))

            assert response.status_code == 200
            assert asked([first, second]) == [2, 2]
            assert {one.headers["authorization"] for one in first.received} == {"Bearer sk-first"}
            assert {one.headers["authorization"] for one in second.received} == {"Bearer sk-second"}


async def test_what_the_second_endpoint_flags_is_blocked() -> None:
    async with endpoints(FAILS, answers(verdict({"violence": 0.9}))) as (first, second):
        async with gateway_with([first.v1, second.v1]) as gateway:
            response = await gateway.chat(chat_request("hi"))

            assert (response.status_code, response.json()["error"]["code"]) == (400, "moderation_blocked")
            assert response.json()["error"]["category"] == "violence"


async def test_if_every_endpoint_fails_nothing_passes() -> None:
    async with endpoints(FAILS, FAILS) as (first, second):
        async with gateway_with([first.v1, f"guardrail+{second.origin}"]) as gateway:
            statuses = {(await gateway.chat(chat_request("hi"))).status_code for _ in range(8)}

            assert statuses == {503}
            assert min(asked([first, second])) == 8  # open circuits or not


async def test_while_the_first_endpoint_judges_no_other_is_asked() -> None:
    async with endpoints(CLEAN, CLEAN) as (first, second):
        async with gateway_with([first.v1, second.v1]) as gateway:
            await gateway.chat(chat_request("hi"))

            assert asked([first, second]) == [1, 0]


async def test_an_endpoint_that_failed_several_times_is_not_waited_for() -> None:
    async with endpoints(FAILS, CLEAN) as (first, second):
        async with FastTransport() as transport:
            moderator = FallbackModerator([OpenAIModerator(transport, server.v1, None) for server in (first, second)])
            identities = [moderator.identity]
            for _ in range(7):
                await moderator.review_text("hi")
            identities.append(moderator.identity)

            assert asked([first, second]) == [5, 7]
            assert identities == [endpoint.identity for endpoint in moderator.endpoints]


async def test_refusals_of_the_content_open_no_circuit() -> None:
    async with endpoints(answers({}, 400), CLEAN) as (first, second):
        async with FastTransport() as transport:
            moderator = FallbackModerator([OpenAIModerator(transport, server.v1, None) for server in (first, second)])
            for _ in range(7):
                await moderator.review_text("hi")

            assert asked([first, second]) == [7, 7]


async def test_verdicts_of_another_endpoint_are_not_cached_as_the_firsts() -> None:
    async with endpoints(FAILS, CLEAN) as (first, second):
        async with gateway_with([first.v1, second.v1]) as gateway:
            request = chat_request(text("look"), image_part(a_data_url(40, 40)))
            await gateway.chat(request)
            first.respond = CLEAN
            await gateway.chat(request)
            judged_again = asked([first, second])
            await gateway.chat(request)

            assert judged_again == [4, 2]
            assert asked([first, second]) == [4, 2]  # from the cache, the first's own


async def test_the_log_has_the_highest_score_of_each_category(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "obscura")
    named = verdict({}, violence=0.123456) | {}
    named["results"][0]["category_scores"]["a name with what was said in it"] = 0.5
    async with endpoints(FAILS, answers(named)) as (first, second):
        async with gateway_with([first.v1, second.v1]) as gateway:
            await gateway.chat(chat_request("hi"))
            await gateway.chat(chat_request("secret"), headers={"x-zero-retention": "true"})
    lines = [vars(record)["fields"] for record in caplog.records if record.message == "request"]

    assert [line.get("moderation_scores") for line in lines] == [{"violence": 0.1235}, None]
    assert [line.get("moderation_fallbacks") for line in lines] == [1, None]


@pytest.mark.parametrize(
    ("answer", "flagged"),
    [
        ({"action": "NONE"}, False),
        ({"action": "NONE", "texts": ["hi"], "images": None, "blocked_reason": None}, False),
        ({"action": "BLOCKED", "blocked_reason": "hi"}, True),
        ({"action": "GUARDRAIL_INTERVENED", "texts": ["[MASKED]"]}, True),
        ({"action": "NONE", "texts": ["[MASKED]"]}, True),
    ],
    ids=["none", "the same text", "blocked", "intervened", "another text"],
)
async def test_a_guardrail_lets_pass_what_it_neither_blocks_nor_changes(answer: dict, flagged: bool) -> None:
    async with loopback_server(answers(answer)) as server, FastTransport() as transport:
        found = await GuardrailModerator(transport, server.origin, "key").review_text("hi")
        (seen,) = server.received

        assert (found.flagged, found.category) == (flagged, "guardrail" if flagged else None)
        assert (seen.path, seen.headers["x-api-key"]) == ("/beta/litellm_basic_guardrail_api", "key")
        assert (seen.json()["input_type"], seen.json()["texts"], seen.json()["images"]) == ("request", ["hi"], None)


async def test_a_guardrail_gets_the_image_as_it_was_prepared() -> None:
    async with loopback_server(PASSES) as server, FastTransport() as transport:
        path = "/beta/litellm_basic_guardrail_api"
        await GuardrailModerator(transport, server.origin + path, None).review_image(b"data:image/png;base64,AAAA")

        assert server.received[0].path == path
        assert server.received[0].json()["images"] == ["data:image/png;base64,AAAA"]
        assert server.received[0].json()["texts"] == []


@pytest.mark.parametrize("answer", [{}, {"ok": True}, {"action": "ALLOW"}, {"action": None}, [], b"<html>", b""])
async def test_a_guardrail_without_an_action_gives_no_verdict(answer: Any) -> None:
    async with loopback_server(answers(answer)) as server, FastTransport() as transport:
        with pytest.raises(ModerationUnavailable):
            await GuardrailModerator(transport, server.origin, None).review_text("hi")


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (["ftp://mod/v1"], "entry 1 must begin with an http"),
        (["http://a/v1", "guardrail+b"], "entry 2 must begin with an http"),
        (["http://a/v1 sk-proj-abc"], "entry 1 has something other than a variable's name"),
        (["http://a/v1 NO_SUCH_KEY"], "takes its key from NO_SUCH_KEY, which is not set"),
        (["http://a/v1", "http://a/v1/"], "a URL is there twice"),
    ],
)
def test_an_invalid_entry_is_named(entries: list[str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as raised:
        read_endpoints(Settings(moderation_urls=tuple(entries)))

    assert "sk-proj-abc" not in str(raised.value)


def test_both_settings_of_an_endpoint_are_an_error() -> None:
    with pytest.raises(ConfigurationError, match="both set"):
        read_endpoints(Settings(moderation_url="http://a/v1", moderation_urls=("http://b/v1",)))
