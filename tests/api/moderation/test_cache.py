"""The cache of verdicts when its store on AWS fails: the image is reviewed, without a long wait."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from time import monotonic
from typing import Any

import pytest

from obscura.access_record import AccessRecord
from obscura.clock import SystemClock
from obscura.execution import ImageExecutor
from obscura.moderation.base import Verdict
from obscura.moderation.cache import CachingModerator
from obscura.stores.dynamodb.database import DynamoDb
from obscura.stores.dynamodb.verdicts import DynamoVerdictCache
from tests.support.aws_server import aws_environment, aws_server
from tests.support.fake_upstream import hangs_up, stays_silent
from tests.support.image_urls import a_data_url
from tests.support.loopback_server import Respond, loopback_server


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
        with closing(ImageExecutor()) as executor, closing(DynamoDb("nowhere")) as database:
            verdicts = DynamoVerdictCache(database)
            caching = CachingModerator(moderator, verdicts, executor, record, SystemClock())
            image = a_data_url(9, 9).encode()
            began_s = monotonic()

            reviewed = await asyncio.gather(*[caching.review_image(image) for _ in range(3)])

            assert [verdict.flagged for verdict in reviewed] == [False] * 3
            assert monotonic() - began_s < 5

    assert (moderator.images, record.cached_verdicts) == (3, 0)
