"""What DynamoDB may answer and moto never does: transactions in each other's way, throttling, silence."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from unittest.mock import patch

import pytest

from obscura.auth.base import Counter, Window
from obscura.errors import UpstreamUnavailable
from obscura.stores.dynamodb.counters import CONFLICT_TRIES, DynamoQuotaStore, DynamoRateCounter
from obscura.stores.dynamodb.database import DynamoDb
from obscura.stores.dynamodb.keys import DynamoAddressSecret, DynamoKeyStore
from tests.support.aws_server import aws_environment
from tests.support.fake_upstream import answers, hangs_up, in_turn
from tests.support.loopback_server import LoopbackServer, Respond, loopback_server

TODAY = Window(86_400 * 20_000, 86_400)
IPV4 = [Counter("free:a", TODAY, 5)]
IPV6 = [Counter("free:64", TODAY, 5), Counter("free:56", TODAY, 40), Counter("free:48", TODAY, 160)]


def cancelled_by(*reasons: str) -> Respond:
    """A transaction that did not happen, with a reason for each item (DynamoDB API reference, TransactWriteItems)."""
    return refusal("TransactionCanceledException", CancellationReasons=[{"Code": reason} for reason in reasons])


def refusal(kind: str, status: int = 400, **more: object) -> Respond:
    response = {"__type": f"com.amazonaws.dynamodb.v20120810#{kind}", "message": "No."} | more
    return answers(response, status)


IN_THE_WAY = cancelled_by("None", "TransactionConflict", "None")
DONE = answers({})


@asynccontextmanager
async def answered_by(*responds: Respond) -> AsyncIterator[tuple[DynamoDb, LoopbackServer]]:
    async with loopback_server(in_turn(*responds)) as server:
        with patch.dict(os.environ, aws_environment(server.origin)), closing(DynamoDb("obscura")) as database:
            yield database, server


async def test_a_transaction_that_another_kept_from_happening_is_made_again() -> None:
    async with answered_by(IN_THE_WAY, IN_THE_WAY, DONE) as (database, server):
        assert await DynamoQuotaStore(database).take(IPV6) == 4

        assert len(server.received) == 3


async def test_a_place_in_everybodys_way_is_given_up_after_a_while_and_not_taken() -> None:
    async with answered_by(IN_THE_WAY) as (database, server):
        with pytest.raises(UpstreamUnavailable):
            await DynamoQuotaStore(database).take(IPV6)

        assert len(server.received) == CONFLICT_TRIES


async def test_who_may_not_make_the_address_secret_says_who_does() -> None:
    async with answered_by(DONE, refusal("AccessDeniedException"), DONE) as (database, _):
        with pytest.raises(UpstreamUnavailable, match="obscura keys create"):
            await DynamoAddressSecret(database).read()


@pytest.mark.parametrize("full", [0, 1, 2])
async def test_a_full_counter_is_the_answer_whatever_else_was_in_the_way(full: int) -> None:
    reasons = ["TransactionConflict"] * 3
    reasons[full] = "ConditionalCheckFailed"
    async with answered_by(cancelled_by(*reasons)) as (database, server):
        assert await DynamoQuotaStore(database).take(IPV6) is None

        assert len(server.received) == 1


async def test_a_transaction_names_each_counter_with_its_window_and_its_own_limit() -> None:
    async with answered_by(DONE) as (database, server):
        await DynamoQuotaStore(database).take(IPV6)

        updates = [item["Update"] for item in json.loads(server.received[0].body)["TransactItems"]]
        assert [update["Key"]["subject"]["S"] for update in updates] == [
            f"{counter.subject}@{TODAY.begins_at_s}" for counter in IPV6
        ]
        assert [update["ExpressionAttributeValues"][":limit"]["N"] for update in updates] == ["5", "40", "160"]


@pytest.mark.parametrize(
    "respond",
    [
        refusal("ThrottlingException"),
        refusal("ProvisionedThroughputExceededException"),
        refusal("InternalServerError", 500),
        hangs_up,
    ],
    ids=["throttled", "over capacity", "its own fault", "hangs up"],
)
@pytest.mark.parametrize("counters", [IPV4, IPV6], ids=["IPv4", "IPv6"])
async def test_what_may_have_been_counted_is_not_counted_again(respond: Respond, counters: list[Counter]) -> None:
    async with answered_by(respond) as (database, server):
        quotas = DynamoQuotaStore(database)
        for call in (DynamoRateCounter(database).count(counters[0]), quotas.take(counters), quotas.give_back(counters)):
            with pytest.raises(UpstreamUnavailable) as refused:
                await call
            assert refused.value.retry_after_s == 1

        assert len(server.received) == 3


@pytest.mark.parametrize("kind", ["AccessDeniedException", "ResourceNotFoundException", "ExpiredTokenException"])
async def test_a_store_that_refuses_says_so_once_and_to_whom_that_is_a_matter(kind: str) -> None:
    async with answered_by(refusal(kind)) as (database, server):
        for call in (DynamoKeyStore(database).find(bytes(32)), DynamoRateCounter(database).count(IPV4[0])):
            with pytest.raises(UpstreamUnavailable) as refused:
                await call
            assert f"refuses Obscura's call ({kind}). Not your fault" in refused.value.message

        assert len(server.received) == 2


async def test_a_region_that_is_not_told_is_named_and_not_taken_for_an_outage(monkeypatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)

    with (
        closing(DynamoDb("obscura")) as database,
        pytest.raises(UpstreamUnavailable, match="You must specify a region"),
    ):
        await DynamoKeyStore(database).find(bytes(32))
