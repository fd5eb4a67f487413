"""Connections to DynamoDB after a pause: none is trusted that was idle for long, and none that was lost costs a 503."""

import json
import os
import socketserver
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from unittest.mock import patch

import boto3
import pytest

from obscura.auth.base import Counter, Window
from obscura.errors import StoreUnavailable
from obscura.stores.dynamodb.connections import MAX_IDLE_S, ConnectionAge, keep_connections_fresh
from obscura.stores.dynamodb.counters import DynamoQuotaStore, DynamoRateCounter
from obscura.stores.dynamodb.database import DynamoDb

DAY = Window(86_400 * 20_000, 86_400)
ALTERNATIONS = 100


class Table:
    """One counter behind a server whose connections are gone when they are used a second time.

    ``answers_lost``: such a call is made all the same, and its response alone is lost.
    """

    def __init__(self, *, answers_lost: bool = False) -> None:
        self.answers_lost = answers_lost
        self.taken = 0
        self.connections = 0
        self.lost = 0
        self.tokens: set[str] = set()
        self.lock = threading.Lock()

    def call(self, body: dict[str, Any]) -> dict[str, Any]:
        with self.lock:
            token = body.get("ClientRequestToken")
            if token not in self.tokens:
                self.taken += 1
            if token is not None:
                self.tokens.add(token)
            return {} if token else {"Attributes": {"taken": {"N": str(self.taken)}}}


@contextmanager
def served(table: Table, requests_a_connection: int = 1) -> Iterator[None]:
    class Connection(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            table.connections += 1
            for number in range(requests_a_connection + 1):
                length = 0
                while (line := self.rfile.readline()).strip():
                    if line.lower().startswith(b"content-length:"):
                        length = int(line[15:])
                if not length:
                    return
                body = json.loads(self.rfile.read(length))
                if number == requests_a_connection:
                    table.lost += 1
                    if table.answers_lost:
                        table.call(body)
                    return
                response = json.dumps(table.call(body)).encode()
                head = f"HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {len(response)}"
                self.wfile.write(head.encode() + b"\r\n\r\n" + response)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Connection) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        environment = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_address[1]}",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "eu-central-1",
        }
        try:
            with patch.dict(os.environ, environment):
                yield
        finally:
            server.shutdown()


async def test_of_100_stale_connections_none_fails_a_counting_call() -> None:
    table = Table()
    with served(table), closing(DynamoDb("obscura")) as database:
        rates = DynamoRateCounter(database)
        counts = [await rates.increment("key:a", DAY) for _ in range(ALTERNATIONS)]

    assert counts == list(range(1, ALTERNATIONS + 1))
    assert table.lost == ALTERNATIONS - 1


@pytest.mark.parametrize("answers_lost", [False, True], ids=["call lost", "answer lost"])
async def test_a_free_request_is_taken_once_though_its_connection_is_lost(answers_lost: bool) -> None:
    table = Table(answers_lost=answers_lost)
    with served(table), closing(DynamoDb("obscura")) as database:
        quotas = DynamoQuotaStore(database)
        left = [await quotas.reserve([Counter(f"free:{n}", DAY, 1)]) for n in range(ALTERNATIONS)]

    assert left == [0] * ALTERNATIONS
    assert table.taken == ALTERNATIONS


async def test_a_call_that_no_caller_may_repeat_is_not_repeated() -> None:
    table = Table()
    with served(table), closing(DynamoDb("obscura")) as database:
        await database.call_once(lambda client: client.update_item(TableName="t", Key={}))
        with pytest.raises(StoreUnavailable):
            await database.call_once(lambda client: client.update_item(TableName="t", Key={}))

    assert table.taken == 1


@pytest.mark.parametrize(
    ("idle_s", "wall_s", "connections"),
    [(MAX_IDLE_S - 1, MAX_IDLE_S - 1, 1), (MAX_IDLE_S + 1, MAX_IDLE_S + 1, 2), (0.0, MAX_IDLE_S + 1, 2)],
    ids=["in use", "idle", "frozen"],
)
def test_a_connection_is_replaced_after_20_idle_seconds(idle_s: float, wall_s: float, connections: int) -> None:
    clocks = [(1000.0, 9000.0)]
    table = Table()
    with served(table, requests_a_connection=2):
        client = boto3.client("dynamodb")
        keep_connections_fresh(client, ConnectionAge(lambda: clocks[-1]))
        client.update_item(TableName="t", Key={})
        clocks.append((1000.0 + idle_s, 9000.0 + wall_s))
        client.update_item(TableName="t", Key={})
        client.close()

    assert table.connections == connections


def test_after_a_lost_connection_none_that_was_idle_is_used() -> None:
    now = [1000.0]
    age = ConnectionAge(lambda: (now[0],))
    idle_since = age.now()
    now[0] += 1
    assert not age.is_stale(idle_since)

    age.connection_lost()
    now[0] += 1

    assert age.is_stale(idle_since)
    assert not age.is_stale(age.now())
