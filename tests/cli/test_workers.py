"""``obscura serve --workers``: one socket and one store, exact counts, and workers that are replaced."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import time

import httpx
import pytest

from obscura.auth.api_keys import create_key
from obscura.settings import Settings
from obscura.stores.open import open_stores
from tests.support.fake_upstream import CHUNKS
from tests.support.gateway import chat_request
from tests.support.loopback_server import Received, Wire, loopback_server
from tests.support.serving_process import ServingProcess, environment, serving

WORKERS = 2


@contextmanager
def workers(data_dir: Path, **settings: str) -> Iterator[ServingProcess]:
    with serving(environment(data_dir, WORKERS=f"{WORKERS}", MODERATION="off", **settings)) as gateway:
        yield gateway


def worker_ids(gateway: ServingProcess) -> list[int]:
    pid = gateway.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServingProcess]:
    """Two workers with the demo model, and limits that are soon exhausted."""
    settings = {"FREE_TIER_REQUESTS": "20", "KEY_REQUESTS_PER_MINUTE": "40", "JWT_REQUESTS_PER_MINUTE": "40"}
    with workers(tmp_path_factory.mktemp("data"), **settings) as running:
        yield running


async def ask_at_once(gateway: ServingProcess, requests: int, headers: dict[str, str]) -> Counter[int]:
    """Send requests on a connection each, so that all workers get some."""
    body = chat_request("hi", model="obscura-demo")

    async with each_on_its_own_connection() as client:

        async def ask() -> int:
            return (await client.post(f"{gateway.v1}/chat/completions", json=body, headers=headers)).status_code

        return Counter(await asyncio.gather(*(ask() for _ in range(requests))))


def each_on_its_own_connection() -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    return httpx.AsyncClient(trust_env=False, timeout=30, limits=limits)


async def test_the_free_tier_is_exact_across_workers(gateway: ServingProcess) -> None:
    statuses = await ask_at_once(gateway, 60, {"X-Free-Tier": "true"})

    assert statuses == {200: 20, 429: 40}


async def test_the_rate_of_a_key_is_exact_across_workers(gateway: ServingProcess) -> None:
    if time() % 60 > 57:
        await asyncio.sleep(60 - time() % 60)  # all of them in one window
    statuses = await ask_at_once(gateway, 60, {"Authorization": f"Bearer {gateway.key}"})

    assert statuses == {200: 40, 429: 20}


async def test_a_revoked_key_stops_at_once_at_every_worker(gateway: ServingProcess) -> None:
    async with open_stores(Settings(data_dir=gateway.data_dir)) as stores:
        key, secret = await create_key(stores.keys, "workers")
        before = {status_of_models(gateway, secret) for _ in range(8)}
        await stores.keys.revoke(key.id, datetime.now(UTC))
        after = {status_of_models(gateway, secret) for _ in range(8)}

    assert (before, after) == ({200}, {401})


def status_of_models(gateway: ServingProcess, key: str) -> int:
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.get(f"{gateway.v1}/models", headers=headers, trust_env=False).status_code


async def test_a_killed_worker_is_replaced_and_the_rest_drain_at_a_signal(tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def respond(request: Received, wire: Wire) -> None:
        await wire.head(200, content_type="text/event-stream", transfer_encoding="chunked")
        await wire.chunk(CHUNKS[0])
        await gate.wait()
        for piece in (*CHUNKS[1:], b""):
            await wire.chunk(piece)

    async with loopback_server(respond) as upstream, each_on_its_own_connection() as client:
        starting = workers(tmp_path, UPSTREAM_URL=upstream.v1)
        gateway = await asyncio.to_thread(starting.__enter__)
        try:
            first, second = worker_ids(gateway)
            streams = [asyncio.create_task(stream(client, gateway)) for _ in range(16)]
            await upstream.wait_for_requests(16)
            os.kill(first, signal.SIGKILL)
            while len(present := worker_ids(gateway)) < WORKERS or first in present:
                await asyncio.sleep(0.02)
            gateway.process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(_refused, gateway)
            gate.set()
            ends = Counter(await asyncio.gather(*streams))
            await asyncio.to_thread(gateway.process.wait, 15)
        finally:
            await asyncio.to_thread(starting.__exit__, None, None, None)

    assert ends == {"whole": 8, "broken": 8}
    assert second in present
    assert '"worker_ended"' in "".join(gateway.lines)
    assert gateway.process.returncode == 0
    assert [pid for pid in present if Path(f"/proc/{pid}").exists()] == []
    async with open_stores(Settings(data_dir=tmp_path)) as stores:
        assert [key.revoked_at is None for key in await stores.keys.list_all()] == [False]


async def stream(client: httpx.AsyncClient, gateway: ServingProcess) -> str:
    headers = {"Authorization": f"Bearer {gateway.key}"}
    body = chat_request("hi", stream=True)
    try:
        response = await client.post(f"{gateway.v1}/chat/completions", json=body, headers=headers)
    except httpx.TransportError:
        return "broken"
    return "whole" if response.content.endswith(CHUNKS[-1]) else "broken"


def _refused(gateway: ServingProcess) -> None:
    """Wait until the workers have begun to end: a new connection gets no response any more."""
    while True:
        try:
            httpx.get(f"{gateway.url}/healthz", trust_env=False, timeout=0.2)
        except httpx.TransportError:
            return


async def test_workers_end_if_their_supervisor_is_killed(gateway: ServingProcess) -> None:
    """The last test of this gateway."""
    pids = worker_ids(gateway)
    gateway.process.kill()

    async with asyncio.timeout(15):
        while any(Path(f"/proc/{pid}").exists() for pid in pids):
            await asyncio.sleep(0.02)
