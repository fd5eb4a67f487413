"""The cache of verdicts when its store on AWS fails or is busy: what it does not know is reviewed."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from time import monotonic
from typing import Any

import pytest

from obscura.access_record import AccessRecord
from obscura.clock import SystemClock
from obscura.moderation.base import Verdict
from obscura.moderation.cache import CachingModerator, CleanVerdicts
from obscura.stores.dynamodb.database import DynamoDb
from obscura.stores.dynamodb.verdicts import DynamoVerdictCache
from tests.support.aws_server import aws_environment, aws_server
from tests.support.fake_upstream import hangs_up, stays_silent
from tests.support.image_urls import a_data_url
from tests.support.loopback_server import Received, Respond, Wire, loopback_server


class CountingModerator:
    """Finds everything clean, and counts the images."""

    identity = "counting"
    local = False

    def __init__(self) -> None:
        self.images = 0

    async def review_image(self, data_url: bytes) -> Verdict:
        self.images += 1
        return Verdict(flagged=False)

    async def review_text(self, text: str) -> Verdict:
        return Verdict(flagged=False)


@asynccontextmanager
async def a_store_with(respond: Respond, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    async with loopback_server(respond) as store:
        for name, value in aws_environment(store.origin).items():
            monkeypatch.setenv(name, value)
        yield


@asynccontextmanager
async def an_account_without_tables(_: object, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    with aws_server():
        yield


@pytest.mark.parametrize(
    ("store", "respond"), [(a_store_with, hangs_up), (a_store_with, stays_silent), (an_account_without_tables, None)]
)
async def test_without_the_store_every_image_is_reviewed(
    store: Callable[..., Any], respond: Respond, monkeypatch: pytest.MonkeyPatch
) -> None:
    moderator = CountingModerator()
    record = AccessRecord("req_1")
    async with store(respond, monkeypatch):
        with closing(DynamoDb("nowhere")) as database:
            clean = CleanVerdicts(DynamoVerdictCache(database), record, SystemClock())
            caching = CachingModerator(moderator, clean)
            image = a_data_url(9, 9).encode()
            began_s = monotonic()

            reviewed = await asyncio.gather(*[caching.review_image(image) for _ in range(3)])

            assert [verdict.flagged for verdict in reviewed] == [False] * 3
            assert monotonic() - began_s < 5

    assert (moderator.images, record.cached_verdicts) == (3, 0)


NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DIGESTS = [sha256(b"%d" % number).digest() for number in range(60)]
TABLE = "nowhere-verdicts"


class BusyTable:
    """Reads and writes ``at_once`` items of a batch, and returns the others as unprocessed."""

    def __init__(self, at_once: int) -> None:
        self.at_once = at_once
        self.ids: set[str] = set()
        self.batches: list[int] = []

    async def __call__(self, request: Received, wire: Wire) -> None:
        requested = request.json()["RequestItems"][TABLE]
        reads = request.headers["x-amz-target"].endswith(".BatchGetItem")
        await (self.read(requested["Keys"], wire) if reads else self.write(requested, wire))

    async def read(self, keys: list, wire: Wire) -> None:
        self.batches.append(len(keys))
        now, later = keys[: self.at_once], keys[self.at_once :]
        items = [key | {"expires_at": {"N": "9999999999"}} for key in now if key["id"]["S"] in self.ids]
        left = {TABLE: {"Keys": later}} if later else {}
        await self.answer({"Responses": {TABLE: items}, "UnprocessedKeys": left}, wire)

    async def write(self, puts: list, wire: Wire) -> None:
        self.batches.append(len(puts))
        self.ids |= {put["PutRequest"]["Item"]["id"]["S"] for put in puts[: self.at_once]}
        later = puts[self.at_once :]
        await self.answer({"UnprocessedItems": {TABLE: later} if later else {}}, wire)

    async def answer(self, response: dict, wire: Wire) -> None:
        await wire.answer(200, json.dumps(response).encode(), "application/x-amz-json-1.0")


@pytest.mark.parametrize(
    ("at_once", "batches", "known"),
    [(100, [25, 25, 10, 60], 60), (20, [25, 5, 25, 5, 10, 60, 40, 20], 60), (3, [25, 22, 19] * 2 + [10, 7, 4], 27)],
    ids=["at once", "in parts", "not all"],
)
async def test_what_a_busy_table_left_is_sent_again_up_to_three_times(
    at_once: int, batches: list[int], known: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = BusyTable(at_once)
    async with a_store_with(table, monkeypatch):
        with closing(DynamoDb("nowhere")) as database:
            verdicts = DynamoVerdictCache(database)

            await verdicts.add_clean_all(DIGESTS, NOON, NOON + timedelta(days=1))
            assert len(table.ids) == known
            found = await verdicts.clean_among(DIGESTS, NOON)

    assert found <= set(DIGESTS)
    assert len(found) == min(known, 3 * at_once)
    if known == len(DIGESTS):
        assert sorted(table.batches) == sorted(batches)
