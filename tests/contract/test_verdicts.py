"""The contract of every verdict cache."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.aws_server import aws_server
from tests.support.file_stores import OpenFileStores, on_aws, on_this_machine

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(hours=24)
DIGEST, ANOTHER = bytes(range(32)), bytes(range(1, 33))
each_store = pytest.mark.parametrize("store", [on_this_machine, on_aws])


@pytest.fixture(scope="module", autouse=True)
def _aws() -> Iterator[None]:
    with aws_server():
        yield


@each_store
async def test_a_clean_verdict_is_valid_until_it_expires(store: OpenFileStores, tmp_path: Path) -> None:
    async with store(tmp_path) as stores:
        assert await stores.verdicts.is_clean(DIGEST, NOON) is False

        await stores.verdicts.add_clean(DIGEST, NOON, NOON + DAY)

        assert await stores.verdicts.is_clean(DIGEST, NOON + DAY - timedelta(seconds=1)) is True
        assert await stores.verdicts.is_clean(DIGEST, NOON + DAY) is False
        assert await stores.verdicts.is_clean(ANOTHER, NOON) is False


@each_store
async def test_a_verdict_that_is_added_again_is_valid_for_longer(store: OpenFileStores, tmp_path: Path) -> None:
    async with store(tmp_path) as stores:
        await stores.verdicts.add_clean(DIGEST, NOON, NOON + DAY)
        await stores.verdicts.add_clean(DIGEST, NOON + DAY, NOON + 2 * DAY)

        assert await stores.verdicts.is_clean(DIGEST, NOON + DAY) is True


async def test_in_sqlite_adding_a_verdict_deletes_expired_ones(tmp_path: Path) -> None:
    async with on_this_machine(tmp_path) as stores:
        await stores.verdicts.add_clean(DIGEST, NOON, NOON + DAY)

        await stores.verdicts.add_clean(ANOTHER, NOON + DAY, NOON + 2 * DAY)

        assert await stores.verdicts.is_clean(DIGEST, NOON) is False
        assert await stores.verdicts.is_clean(ANOTHER, NOON + DAY) is True
