"""The memory of verdicts when its store on AWS fails: the moderator is asked, and nobody waits long."""

import asyncio
from contextlib import asynccontextmanager, closing
from time import monotonic

import pytest

from obscura.access_record import AccessRecord
from obscura.execution import ImageExecutor
from obscura.moderation.base import Verdict
from obscura.moderation.cache import CachingModerator
from obscura.stores.dynamodb.counters import DynamoVerdictCache
from obscura.stores.dynamodb.database import DynamoDb
from tests.support.aws_server import aws_environment, aws_server
from tests.support.fake_upstream import hangs_up, stays_silent
from tests.support.image_urls import a_data_url
from tests.support.loopback_server import loopback_server


class CountingModerator:
    """Finds everything clean, and counts the images."""

    model = "counting"

    def __init__(self) -> None:
        self.images = 0

    async def review_image(self, data_url: bytes) -> Verdict:
        self.images += 1
        return Verdict(flagged=False)

    async def review_text(self, text: str) -> Verdict:
        return Verdict(flagged=False)


@asynccontextmanager
async def a_store_that(respond, monkeypatch):
    async with loopback_server(respond) as store:
        for name, value in aws_environment(store.origin).items():
            monkeypatch.setenv(name, value)
        yield


@asynccontextmanager
async def an_account_without_tables(_, monkeypatch):
    with aws_server():
        yield


@pytest.mark.parametrize(
    ("store", "respond"), [(a_store_that, hangs_up), (a_store_that, stays_silent), (an_account_without_tables, None)]
)
async def test_a_memory_that_fails_is_none(store, respond, monkeypatch):
    moderator = CountingModerator()
    record = AccessRecord("req_1")
    async with store(respond, monkeypatch):
        with closing(ImageExecutor()) as executor, closing(DynamoDb("nowhere")) as database:
            remembering = CachingModerator(moderator, DynamoVerdictCache(database), executor, record)
            image = a_data_url(9, 9).encode()
            began_s = monotonic()

            response = await asyncio.gather(*[remembering.review_image(image) for _ in range(3)])

            assert [verdict.flagged for verdict in response] == [False] * 3
            assert monotonic() - began_s < 5

    assert (moderator.images, record.cached_verdicts) == (3, 0)
