"""The contract of every verdict cache."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import boto3
import pytest

from obscura.stores.dynamodb.database import DynamoDb
from obscura.stores.dynamodb.tables import create_missing_tables
from obscura.stores.dynamodb.verdicts import DynamoVerdictCache
from tests.support.aws_server import aws_server
from tests.support.file_stores import OpenFileStores, on_aws, on_this_machine
from tests.support.stores import CallCounter, a_table

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(hours=24)
DIGEST, ANOTHER = bytes(range(32)), bytes(range(1, 33))
each_store = pytest.mark.parametrize("store", [on_this_machine, on_aws])


def digests(count: int) -> list[bytes]:
    return [sha256(b"%d" % number).digest() for number in range(count)]


@pytest.fixture(scope="module", autouse=True)
def _aws() -> Iterator[None]:
    with aws_server():
        yield


@each_store
async def test_a_clean_verdict_is_valid_until_it_expires(store: OpenFileStores, tmp_path: Path) -> None:
    async with store(tmp_path) as stores:
        assert await stores.verdicts.clean_among([DIGEST], NOON) == set()

        await stores.verdicts.add_clean_all([DIGEST], NOON, NOON + DAY)

        assert await stores.verdicts.clean_among([DIGEST], NOON + DAY - timedelta(seconds=1)) == {DIGEST}
        assert await stores.verdicts.clean_among([DIGEST], NOON + DAY) == set()
        assert await stores.verdicts.clean_among([ANOTHER], NOON) == set()


@each_store
async def test_a_verdict_that_is_added_again_is_valid_for_longer(store: OpenFileStores, tmp_path: Path) -> None:
    async with store(tmp_path) as stores:
        await stores.verdicts.add_clean_all([DIGEST], NOON, NOON + DAY)
        await stores.verdicts.add_clean_all([DIGEST], NOON + DAY, NOON + 2 * DAY)

        assert await stores.verdicts.clean_among([DIGEST], NOON + DAY) == {DIGEST}


@each_store
@pytest.mark.parametrize("count", [0, 1, 25, 26, 101, 450])
async def test_any_number_is_added_and_looked_up_at_once(store: OpenFileStores, tmp_path: Path, count: int) -> None:
    known, unknown = digests(count), [ANOTHER, DIGEST]
    async with store(tmp_path) as stores:
        await stores.verdicts.add_clean_all(known, NOON, NOON + DAY)

        assert await stores.verdicts.clean_among(known + unknown, NOON) == set(known)


@each_store
async def test_a_digest_may_be_given_twice(store: OpenFileStores, tmp_path: Path) -> None:
    async with store(tmp_path) as stores:
        await stores.verdicts.add_clean_all([DIGEST, DIGEST], NOON, NOON + DAY)

        assert await stores.verdicts.clean_among([DIGEST, ANOTHER, DIGEST], NOON) == {DIGEST}


@each_store
@pytest.mark.parametrize("count", [0, 3, 1_001])
async def test_all_verdicts_are_forgotten_at_once(store: OpenFileStores, count: int, tmp_path: Path) -> None:
    known = digests(count)
    async with store(tmp_path) as stores:
        await stores.verdicts.add_clean_all(known, NOON, NOON + DAY)

        assert await stores.verdicts.clear() == count
        assert await stores.verdicts.clean_among([*known, DIGEST], NOON) == set()
        assert await stores.verdicts.clear() == 0


async def test_in_sqlite_adding_a_verdict_deletes_expired_ones(tmp_path: Path) -> None:
    async with on_this_machine(tmp_path) as stores:
        await stores.verdicts.add_clean_all([DIGEST], NOON, NOON + DAY)

        await stores.verdicts.add_clean_all([ANOTHER], NOON + DAY, NOON + 2 * DAY)

        assert await stores.verdicts.clean_among([DIGEST], NOON) == set()
        assert await stores.verdicts.clean_among([ANOTHER], NOON + DAY) == {ANOTHER}


async def test_in_dynamodb_500_lookups_take_five_calls() -> None:
    counter = CallCounter()
    database = DynamoDb(a_table())
    try:
        await create_missing_tables(database)
        counter.calls.clear()

        await DynamoVerdictCache(database).clean_among(digests(500), NOON)

        assert counter.calls == ["BatchGetItem"] * 5
    finally:
        database.close()
        boto3.setup_default_session()
