"""The verdict cache: clean verdicts of images, never of a zero-retention request, and never flagged ones."""

import asyncio
import json
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from obscura.stores.dynamodb.database import DynamoDb
from obscura.stores.dynamodb.verdicts import DynamoVerdictCache
from obscura.stores.sqlite.counters import SqliteVerdictCache
from obscura.stores.sqlite.database import Database
from tests.support.fake_upstream import answers, hangs_up, in_turn, verdict
from tests.support.gateway import Gateway, chat_request, image_part, running_gateway, text
from tests.support.image_urls import data_url
from tests.support.loopback_server import LoopbackServer, Respond, loopback_server
from tests.unit.imaging.images import a_plain

RED, BLUE = (image_part(data_url(a_plain(40, 40, "PNG", colour))) for colour in ((255, 0, 0), (0, 0, 255)))
ZERO = {"x-zero-retention": "true"}


@asynccontextmanager
async def moderated(
    respond: Respond | None = None, **settings: object
) -> AsyncIterator[tuple[Gateway, LoopbackServer]]:
    async with loopback_server(answers()) as upstream, loopback_server(respond or answers(verdict())) as moderation:
        given: dict[str, Any] = {
            "upstream_url": upstream.v1,
            "moderation": "openai",
            "moderation_url": moderation.v1,
        } | settings
        async with running_gateway(**given) as gateway:
            yield gateway, moderation


def images_judged(moderation: LoopbackServer) -> int:
    return sum(isinstance(request.json()["input"], list) for request in moderation.received)


async def test_a_clean_image_is_moderated_once(caplog: pytest.LogCaptureFixture) -> None:
    async with moderated() as (gateway, moderation):
        responses = [await gateway.chat(chat_request(RED, text(words))) for words in ("one", "two", "one")]

        assert [response.status_code for response in responses] == [200] * 3
        assert images_judged(moderation) == 1
        assert len(moderation.received) == 1 + 2
        handler = logging.getLogger("obscura").handlers[0]
        lines = [json.loads(handler.format(record)) for record in caplog.records if record.name == "obscura"]
        assert [line["cached_verdicts"] for line in lines] == [0, 1, 2]


async def test_another_image_is_moderated_by_itself() -> None:
    async with moderated() as (gateway, moderation):
        for parts in ([RED], [BLUE], [RED, BLUE]):
            await gateway.chat(chat_request(*parts))

        assert images_judged(moderation) == 2


async def test_a_flagged_image_is_moderated_and_blocked_every_time() -> None:
    async with moderated(answers(verdict({"violence": 0.9}))) as (gateway, moderation):
        responses = [await gateway.chat(chat_request(RED)) for _ in range(3)]

        assert {response.json()["error"]["code"] for response in responses} == {"moderation_blocked"}
        assert images_judged(moderation) == 3


async def test_no_verdict_at_all_is_not_a_clean_one() -> None:
    async with moderated(in_turn(answers({}), answers(verdict()))) as (gateway, moderation):
        first = await gateway.chat(chat_request(RED))
        second = await gateway.chat(chat_request(RED))

        assert [first.status_code, second.status_code] == [503, 200]
        assert images_judged(moderation) == 2


async def test_a_zero_retention_request_neither_caches_nor_reads_verdicts() -> None:
    async with moderated() as (gateway, moderation):
        for headers in (ZERO, ZERO, {}, ZERO):
            await gateway.chat(chat_request(RED), headers=headers)

        assert images_judged(moderation) == 4


async def test_the_operator_may_turn_the_verdict_cache_off(tmp_path: Path) -> None:
    async with moderated(cache_verdicts=False, data_dir=tmp_path) as (gateway, moderation):
        for _ in range(2):
            await gateway.chat(chat_request(RED))

        assert images_judged(moderation) == 2
    assert list(tmp_path.iterdir()) == []


async def test_a_verdict_expires_after_a_day(tmp_path: Path) -> None:
    async with moderated(folder=tmp_path) as (gateway, moderation):
        await gateway.chat(chat_request(RED))
        with closing(sqlite3.connect(tmp_path / "obscura.sqlite3", autocommit=True)) as database:
            database.execute("UPDATE verdicts SET expires_at = expires_at - 24 * 3600")

        await gateway.chat(chat_request(RED))

        assert images_judged(moderation) == 2


async def test_a_verdict_of_another_model_is_not_used(tmp_path: Path) -> None:
    async with moderated(folder=tmp_path, moderation="demo") as (gateway, moderation):
        assert (await gateway.chat(chat_request(RED))).status_code == 200
    async with moderated(folder=tmp_path) as (gateway, moderation):
        await gateway.chat(chat_request(RED))

        assert images_judged(moderation) == 1


async def test_without_its_cache_the_moderator_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    async with loopback_server(hangs_up) as store:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
            monkeypatch.setenv(name, "testing")
        monkeypatch.setenv("AWS_ENDPOINT_URL", store.origin)
        with closing(DynamoDb("nowhere")) as nowhere, closing(sqlite3.connect(":memory:")) as empty:
            for verdicts in (DynamoVerdictCache(nowhere), SqliteVerdictCache(Database(empty))):
                async with moderated(verdicts=verdicts) as (gateway, moderation):
                    responses = await asyncio.gather(*[gateway.chat(chat_request(RED)) for _ in range(3)])

                    assert [response.status_code for response in responses] == [200] * 3
                    assert images_judged(moderation) == 3


async def test_a_verdict_is_valid_for_the_server_that_gave_it_alone(tmp_path: Path, upstream: LoopbackServer) -> None:
    async with loopback_server(answers(verdict())) as one, loopback_server(answers(verdict())) as another:
        for moderation in (one, one, another):
            settings: dict[str, Any] = {"moderation": "openai", "moderation_url": moderation.v1, "folder": tmp_path}
            async with running_gateway(upstream_url=upstream.v1, **settings) as gateway:
                response = await gateway.chat(chat_request(RED, text("hi")))

                assert response.status_code == 200

    assert (len(one.received), len(another.received)) == (2, 2)
