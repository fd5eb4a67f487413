"""Outages of the store amid traffic: no caller is admitted who was not counted."""

import asyncio
import sqlite3
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx

from obscura.stores.dynamodb.database import DynamoDb
from obscura.stores.dynamodb.tables import create_missing_tables
from obscura.stores.sqlite.counters_file import COUNTERS_FILE
from tests.support.anonymous import anonymous_client
from tests.support.aws_server import aws_server_until_killed
from tests.support.fake_upstream import answers
from tests.support.gateway import chat_request, running_gateway
from tests.support.loopback_server import loopback_server
from tests.support.stores import CallCounter, a_table

FREE_REQUESTS = 5


async def a_table_on_aws() -> str:
    table = a_table()
    with closing(DynamoDb(table)) as database:
        await create_missing_tables(database)
    return table


def statuses(responses: list[httpx.Response]) -> Counter[int]:
    return Counter(response.status_code for response in responses)


async def test_dynamodb_killed_amid_the_load_admits_no_extra_caller() -> None:
    with aws_server_until_killed() as (_, kill):
        table = await a_table_on_aws()
        async with loopback_server(answers()) as upstream:
            settings: dict[str, Any] = {
                "upstream_url": upstream.v1,
                "table": table,
                "free_tier_requests": FREE_REQUESTS,
            }
            async with running_gateway(**settings) as gateway, anonymous_client(gateway) as anonymous:
                pending = [asyncio.create_task(anonymous.chat(chat_request("hi"))) for _ in range(60)]
                await upstream.wait_for_requests(2)
                await asyncio.to_thread(kill)
                amid = await asyncio.gather(*pending)
                after = [await anonymous.chat(chat_request("hi")), await gateway.chat(chat_request("hi"))]

                assert statuses(amid)[200] <= FREE_REQUESTS
                assert set(statuses(amid)) <= {200, 429, 503}
                assert len(upstream.received) == statuses(amid)[200]
                for response in after:
                    assert (response.status_code, response.json()["error"]["code"]) == (503, "upstream_unavailable")
                    assert response.headers["retry-after"] == "1"
                    assert response.headers["x-ratelimit-remaining-requests"] == "0"


async def test_a_locked_database_admits_no_caller_and_does_not_block_the_loop(tmp_path: Path) -> None:
    async with (
        loopback_server(answers()) as upstream,
        running_gateway(folder=tmp_path, upstream_url=upstream.v1) as gateway,
    ):
        async with anonymous_client(gateway) as anonymous:
            with closing(sqlite3.connect(tmp_path / COUNTERS_FILE, autocommit=True)) as other:
                other.execute("BEGIN IMMEDIATE")
                pending = asyncio.gather(
                    *[anonymous.chat(chat_request("hi")) for _ in range(20)], gateway.chat(chat_request("hi"))
                )
                began_s = time.monotonic()
                alive = await gateway.client.get("/healthz")
                alive_after_s = time.monotonic() - began_s
                responses = await pending
                other.execute("COMMIT")
            later = await anonymous.chat(chat_request("hi"))

            assert alive.status_code == 200
            assert alive_after_s < 1
            assert statuses(responses) == {503: 21}
            assert upstream.received[1:] == []
            assert later.status_code == 200


async def test_in_an_outage_only_cached_keys_are_admitted_if_the_operator_allows() -> None:
    with aws_server_until_killed() as (_, kill):
        table = await a_table_on_aws()
        async with running_gateway(table=table, store_outage="cached_keys", key_requests_per_minute=120) as gateway:
            async with anonymous_client(gateway) as anonymous:
                before = await gateway.chat(chat_request("hi"))
                await asyncio.to_thread(kill)
                cached = await gateway.chat(chat_request("hi"))
                unknown = await gateway.chat(chat_request("hi"), headers={"authorization": "Bearer obs_unknown"})
                free = await anonymous.chat(chat_request("hi"))

                assert (before.status_code, cached.status_code) == (200, 200)
                assert cached.headers["x-ratelimit-remaining-requests"] == "120"
                assert (unknown.status_code, free.status_code) == (503, 503)


async def test_on_dynamodb_an_admission_by_key_is_one_call_and_a_free_one_two() -> None:
    with aws_server_until_killed():
        table, counter = await a_table_on_aws(), CallCounter()
        async with (
            running_gateway(table=table, free_tier_requests=3) as gateway,
            anonymous_client(gateway) as anonymous,
        ):
            counter.calls.clear()
            await gateway.chat(chat_request("hi"))
            first = list(counter.calls)
            counter.calls.clear()
            for _ in range(5):
                assert (await gateway.chat(chat_request("hi"))).status_code == 200
            cached = list(counter.calls)
            await anonymous.chat(chat_request("hi"))
            counter.calls.clear()
            await anonymous.chat(chat_request("hi"))

            assert first == ["GetItem", "UpdateItem"]
            assert cached == ["UpdateItem"] * 5
            # A transaction does not report what it left (ADR 141).
            assert counter.calls == ["TransactWriteItems", "GetItem"]


async def test_on_dynamodb_an_ipv6_reservation_is_two_calls_and_a_release_one() -> None:
    with aws_server_until_killed():
        table, counter = await a_table_on_aws(), CallCounter()
        async with running_gateway(table=table, free_tier_requests=2, trusted_proxies="127.0.0.1/32") as gateway:
            async with anonymous_client(gateway) as anonymous:
                await anonymous.chat(chat_request("hi"), x_forwarded_for="2001:db8::1")
                counter.calls.clear()
                failed = await anonymous.chat({"model": "m"}, x_forwarded_for="2001:db8::1")
                responses = [await anonymous.chat(chat_request("hi"), x_forwarded_for="2001:db8::1") for _ in range(2)]

                assert failed.status_code == 400
                assert [response.status_code for response in responses] == [200, 429]
                # The refused one is counted in its minute, for each of its networks (ADR 76).
        reserved = ["TransactWriteItems", "GetItem"]
        refused = [*reserved, *["UpdateItem"] * 3, "TransactWriteItems"]
        assert counter.calls == [*refused, *reserved, "TransactWriteItems"]
