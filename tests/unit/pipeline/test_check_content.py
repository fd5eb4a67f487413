"""The check of one request's content: whose images are cached, and what the access record says of its steps."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from obscura.access_record import AccessRecord
from obscura.auth.access import Principal
from obscura.bootstrap import open_services
from obscura.execution import Caller, ImageExecutor
from obscura.moderation.base import Verdict
from obscura.pipeline.check_content import ContentCheck
from obscura.pipeline.prepare import PreparedImagePart
from obscura.pipeline.services import Services
from obscura.settings import Settings
from obscura.upstreams.base import CatalogModel
from obscura.upstreams.demo import DemoModel
from tests.support.chat_bodies import parse
from tests.support.gateway import chat_request, image_part, text
from tests.support.image_urls import data_url
from tests.unit.imaging.images import a_photograph

MODEL = CatalogModel("m", DemoModel())
PHOTO = image_part(data_url(a_photograph(1500, 1000, "JPEG"), "image/jpeg"))
REQUEST = chat_request(text("hello"), PHOTO)


@pytest.fixture
async def services(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Services]:
    async with open_services(Settings(data_dir=tmp_path, image_cache_mb=getattr(request, "param", 8))) as opened:
        yield opened


async def checked(services: Services, *, zero_retention: bool = False) -> tuple[PreparedImagePart, AccessRecord]:
    record = AccessRecord("req_1", zero_retention=zero_retention)
    principal = Principal("p", zero_retention)
    content = await ContentCheck.of(record, principal, MODEL, services, moderated=True).run(parse(REQUEST))
    [image] = content.images
    return image, record


async def test_an_image_of_the_turn_before_is_not_prepared_again(services: Services) -> None:
    first, _ = await checked(services)
    second, _ = await checked(services)

    assert second.data_url is first.data_url


async def test_zero_retention_neither_reads_nor_writes_the_image_cache(services: Services) -> None:
    assert services.image_cache is not None
    await checked(services, zero_retention=True)
    assert services.image_cache.size_bytes == 0

    cached, _ = await checked(services)
    prepared, _ = await checked(services, zero_retention=True)

    assert prepared.data_url == cached.data_url
    assert prepared.data_url is not cached.data_url


@pytest.mark.parametrize("services", [0], indirect=True)
async def test_by_default_no_image_is_cached(services: Services) -> None:
    first, _ = await checked(services)
    second, _ = await checked(services)

    assert services.image_cache is None
    assert second.data_url is not first.data_url


async def test_each_step_is_timed_from_its_first_start_to_its_last_end(services: Services) -> None:
    _, record = await checked(services)

    assert record.step_ms.keys() == {"load", "prepare", "moderate"}
    assert record.step_ms["moderate"] >= record.step_ms["prepare"]


class ExecutorBlockedAfterOneImage(ImageExecutor):
    """One worker, which after its first job does nothing until ``released``, or for ten seconds."""

    def __init__(self) -> None:
        super().__init__(workers=1)
        self.released = threading.Event()
        self.in_time: asyncio.Future[bool] | None = None

    async def run[Result](self, work: Callable[[], Result], caller: Caller) -> Result:
        job = asyncio.ensure_future(super().run(work, caller))
        if self.in_time is None:
            await asyncio.sleep(0)  # so that the first job is the first in the queue
            self.in_time = asyncio.ensure_future(super().run(lambda: self.released.wait(10), Caller("another")))
        return await job


class ReleasingModerator:
    """Finds everything clean, and lets the executor go on at the first image."""

    identity = "releasing"
    local = False

    def __init__(self, released: threading.Event) -> None:
        self.released = released

    async def review_image(self, data_url: bytes) -> Verdict:
        self.released.set()
        return Verdict(flagged=False)

    async def review_text(self, text: str) -> Verdict:
        return Verdict(flagged=False)


async def test_an_image_is_moderated_while_the_next_one_waits_for_a_worker(services: Services) -> None:
    with closing(ExecutorBlockedAfterOneImage()) as executor:
        blocked = replace(services, executor=executor, moderator=ReleasingModerator(executor.released))
        check = ContentCheck.of(AccessRecord("req_1"), Principal("p", False), MODEL, blocked, moderated=True)

        content = await check.run(parse(chat_request(text("hello"), PHOTO, PHOTO)))

        assert len(content.images) == 2
        assert executor.in_time is not None
        assert await executor.in_time is True
