"""Responses of DynamoDB that moto never gives: conflicting transactions, throttling, closed connections."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from unittest.mock import patch

import pytest

from obscura.auth.base import Counter, Window
from obscura.errors import StoreUnavailable
from obscura.stores.dynamodb.counters import MAX_CONFLICT_ATTEMPTS, DynamoQuotaStore, DynamoRateCounter
from obscura.stores.dynamodb.database import MAX_ATTEMPTS, DynamoDb
from obscura.stores.dynamodb.keys import DynamoAddressSecret, DynamoKeyStore
from tests.support.aws_server import aws_environment
from tests.support.fake_upstream import answers, hangs_up, in_turn
from tests.support.loopback_server import LoopbackServer, Respond, loopback_server

TODAY = Window(86_400 * 20_000, 86_400)
IPV4 = [Counter("free:a", TODAY, 5)]
IPV6 = [Counter("free:64", TODAY, 5), Counter("free:56", TODAY, 40), Counter("free:48", TODAY, 160)]


def cancelled_by(*reasons: str) -> Respond:
    """A cancelled transaction, with a reason for each item (DynamoDB API reference, TransactWriteItems)."""
    return rejection("TransactionCanceledException", CancellationReasons=[{"Code": reason} for reason in reasons])


def rejection(kind: str, status: int = 400, **more: object) -> Respond:
    response = {"__type": f"com.amazonaws.dynamodb.v20120810#{kind}", "message": "No."} | more
    return answers(response, status)


CONFLICT = cancelled_by("None", "TransactionConflict", "None")
DONE = answers({})


@asynccontextmanager
async def dynamodb_with(*responds: Respond) -> AsyncIterator[tuple[DynamoDb, LoopbackServer]]:
    async with loopback_server(in_turn(*responds)) as server:
        with patch.dict(os.environ, aws_environment(server.origin)), closing(DynamoDb("obscura")) as database:
            yield database, server


def calls_of(server: LoopbackServer) -> list[str]:
    """The operations that were called, in their order."""
    return [request.headers["x-amz-target"].rpartition(".")[2] for request in server.received]


async def test_a_transaction_that_conflicted_with_another_is_repeated() -> None:
    async with dynamodb_with(CONFLICT, CONFLICT, DONE) as (database, server):
        assert await DynamoQuotaStore(database).reserve(IPV6) == 4

        assert calls_of(server) == [*["TransactWriteItems"] * 3, "GetItem"]


async def test_after_the_last_conflict_a_reservation_fails() -> None:
    async with dynamodb_with(CONFLICT) as (database, server):
        with pytest.raises(StoreUnavailable):
            await DynamoQuotaStore(database).reserve(IPV6)

        assert len(server.received) == MAX_CONFLICT_ATTEMPTS


async def test_if_the_secret_cannot_be_created_the_error_names_the_command() -> None:
    async with dynamodb_with(DONE, rejection("AccessDeniedException"), DONE) as (database, _):
        with pytest.raises(StoreUnavailable, match="obscura keys create"):
            await DynamoAddressSecret(database).read()


@pytest.mark.parametrize("full", [0, 1, 2])
async def test_a_full_counter_decides_whatever_else_conflicted(full: int) -> None:
    reasons = ["TransactionConflict"] * 3
    reasons[full] = "ConditionalCheckFailed"
    async with dynamodb_with(cancelled_by(*reasons)) as (database, server):
        assert await DynamoQuotaStore(database).reserve(IPV6) is None

        assert len(server.received) == 1


async def test_a_transaction_has_each_counter_with_its_window_and_limit() -> None:
    async with dynamodb_with(DONE) as (database, server):
        await DynamoQuotaStore(database).reserve(IPV6)

        updates = [item["Update"] for item in json.loads(server.received[0].body)["TransactItems"]]
        assert [update["Key"]["subject"]["S"] for update in updates] == [
            f"{counter.subject}@{TODAY.begins_at_s}" for counter in IPV6
        ]
        assert [update["ExpressionAttributeValues"][":limit"]["N"] for update in updates] == ["5", "40", "160"]


@pytest.mark.parametrize(
    "respond",
    [
        rejection("ThrottlingException"),
        rejection("ProvisionedThroughputExceededException"),
        rejection("InternalServerError", 500),
        hangs_up,
    ],
    ids=["throttled", "over capacity", "server error", "hangs up"],
)
@pytest.mark.parametrize("counters", [IPV4, IPV6], ids=["IPv4", "IPv6"])
async def test_what_may_have_been_counted_is_sent_again_under_its_own_token_alone(
    respond: Respond, counters: list[Counter]
) -> None:
    async with dynamodb_with(respond) as (database, server):
        quotas = DynamoQuotaStore(database)
        for call in (
            DynamoRateCounter(database).increment("key:1", TODAY),
            quotas.reserve(counters),
            quotas.release(counters),
        ):
            with pytest.raises(StoreUnavailable) as error:
                await call
            assert error.value.retry_after_s == 1

        # A count that is sent again changes nothing of a rate; only a lost connection is worth it (ADR 141).
        counts = 2 if respond is hangs_up else 1
        assert calls_of(server) == [*["UpdateItem"] * counts, *["TransactWriteItems"] * 2 * MAX_ATTEMPTS]
        tokens = [request.json()["ClientRequestToken"] for request in server.received[counts:]]
        reserved, released = set(tokens[:MAX_ATTEMPTS]), set(tokens[MAX_ATTEMPTS:])
        assert (len(reserved), len(released), reserved & released) == (1, 1, set())


async def test_what_all_callers_share_is_written_by_no_transaction() -> None:
    counted = answers({"Attributes": {"taken": {"N": "2"}}})
    full = rejection("ConditionalCheckFailedException")
    async with dynamodb_with(counted, counted, full) as (database, server):
        quotas = DynamoQuotaStore(database)

        assert await quotas.reserve_shared(IPV4[0]) == 3
        await quotas.release_shared(IPV4[0])
        assert await quotas.reserve_shared(IPV4[0]) is None
        await quotas.release_shared(IPV4[0])
        assert calls_of(server) == ["UpdateItem"] * 4


async def test_a_shared_count_is_sent_again_and_its_release_is_not() -> None:
    async with dynamodb_with(hangs_up) as (database, server):
        quotas = DynamoQuotaStore(database)
        with pytest.raises(StoreUnavailable):
            await quotas.reserve_shared(IPV4[0])
        with pytest.raises(StoreUnavailable):
            await quotas.release_shared(IPV4[0])

        counts = [json.loads(request.body)["UpdateExpression"] for request in server.received]
        assert [" :one " in count for count in counts] == [True, True, False]


@pytest.mark.parametrize("kind", ["AccessDeniedException", "ResourceNotFoundException", "ExpiredTokenException"])
async def test_a_rejected_call_is_not_repeated_and_the_error_names_the_operator(kind: str) -> None:
    async with dynamodb_with(rejection(kind)) as (database, server):
        for call in (DynamoKeyStore(database).find(bytes(32)), DynamoRateCounter(database).increment("key:1", TODAY)):
            with pytest.raises(StoreUnavailable) as error:
                await call
            assert f"rejects Obscura's call ({kind}). Not your fault" in error.value.message

        assert len(server.received) == 2


async def test_a_missing_region_is_named_in_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)

    with (
        closing(DynamoDb("obscura")) as database,
        pytest.raises(StoreUnavailable, match="You must specify a region"),
    ):
        await DynamoKeyStore(database).find(bytes(32))
