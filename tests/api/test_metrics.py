"""``/metrics``: who may read it, what a served request adds to it, and what never stands in it."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from obscura.auth.base import KeyScope
from obscura.settings import ConfigurationError, Settings
from obscura.telemetry.metrics import Metrics
from obscura.telemetry.port import metrics_port
from obscura.telemetry.sharing import SharedMetrics
from tests.support.fake_upstream import CHUNKS, answers, streams
from tests.support.gateway import Gateway, chat_request, image_part, running_gateway, text
from tests.support.image_urls import a_data_url
from tests.support.loopback_server import LoopbackServer
from tests.unit.telemetry.test_metrics import CHAT, samples

CANARY = "canary-4711"


def run_python(program: str) -> None:
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])


async def metrics_of(gateway: Gateway) -> dict[tuple[str, ...], float]:
    admin = await gateway.headers_of("operators", scopes=frozenset({KeyScope.ADMIN}))
    response = await gateway.client.get("/metrics", headers=admin)
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return samples(response.raise_for_status().content)


async def test_only_a_key_of_scope_admin_reads_the_metrics(gateway: Gateway) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        without = await client.get(f"{gateway.url}/metrics")
    ordinary = await gateway.client.get("/metrics")

    assert (without.status_code, without.json()["error"]["code"]) == (401, "missing_credentials")
    assert (ordinary.status_code, ordinary.json()["error"]["code"]) == (403, "permission_denied")
    assert (await metrics_of(gateway))["obscura_requests_total", "/metrics", "", "4xx", "permission_denied"] == 1


@pytest.mark.gateway(moderation="demo")
async def test_a_chat_with_an_image_is_counted(gateway: Gateway) -> None:
    (await gateway.chat(chat_request(text("What is it?"), image_part(a_data_url(200, 100))))).raise_for_status()

    found = await metrics_of(gateway)

    assert found["obscura_requests_total", CHAT, "chat", "2xx", ""] == 1
    assert found["obscura_upstream_calls_total", "default", "ok"] == 1
    assert found["obscura_moderation_results_total", "clean"] == 2
    assert found["obscura_images_prepared_total", "PNG"] == 1
    assert found["obscura_tokens_total", "other", "input"] > 0
    assert found["obscura_time_to_first_byte_seconds_count", CHAT] == 1
    assert found["obscura_requests_in_flight",] == 1  # the one that reads them
    assert found["obscura_memory_budget_bytes",] > 0


async def test_streams_and_refusals_are_counted_by_their_ends(gateway: Gateway, upstream: LoopbackServer) -> None:
    upstream.respond = streams(*CHUNKS)
    (await gateway.chat(chat_request("Hello.", stream=True))).raise_for_status()
    upstream.respond = answers(status=429)
    await gateway.chat(chat_request("Hello."))
    await gateway.chat({"model": "m"})

    found = await metrics_of(gateway)

    assert found["obscura_requests_total", CHAT, "chat", "2xx", ""] == 1
    assert found["obscura_requests_total", CHAT, "chat", "4xx", "invalid_request"] == 1
    assert sum(value for key, value in found.items() if key[0] == "obscura_upstream_calls_total") == 2


async def test_no_path_model_key_or_text_of_a_caller_is_shown(gateway: Gateway) -> None:
    await gateway.chat(chat_request(CANARY, model=CANARY))
    await gateway.client.get(f"/{CANARY}?q={CANARY}")
    await gateway.client.get(f"/v1/files/{CANARY}")
    await gateway.client.get("/v1/models", headers={"authorization": f"Bearer obs_{CANARY}"})
    admin = await gateway.headers_of("operators", scopes=frozenset({KeyScope.ADMIN}))

    shown = (await gateway.client.get("/metrics", headers=admin)).text

    assert CANARY not in shown
    assert gateway.key not in shown and "127.0.0.1" not in shown
    assert 'endpoint="/v1/files/{file_id}"' in shown
    assert 'code="not_found",dialect="",endpoint="other"' in shown


async def test_without_metrics_there_is_no_endpoint_and_no_library() -> None:
    async with running_gateway(metrics=False) as gateway:
        admin = await gateway.headers_of("operators", scopes=frozenset({KeyScope.ADMIN}))
        assert (await gateway.client.get("/metrics", headers=admin)).status_code == 404

    program = (
        "import sys\nfrom obscura.api.app import create_app\nfrom obscura.settings import Settings\n"
        "create_app(Settings(metrics=False))\n"
        "assert not [name for name in sys.modules if name.startswith(('prometheus', 'obscura.telemetry'))]\n"
    )
    run_python(program)


@pytest.fixture
def free_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    yield port


async def test_a_port_of_its_own_needs_no_key_and_shows_nothing_else(free_port: int) -> None:
    metrics = Metrics()
    metrics.in_flight = 7
    with metrics_port(Settings(metrics_port=free_port), SharedMetrics(metrics)):
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{free_port}", trust_env=False) as client:
            shown, head, other = await asyncio.gather(
                client.get("/metrics"), client.head("/metrics"), client.get("/v1/models")
            )

    assert samples(shown.content)["obscura_requests_in_flight",] == 7
    assert shown.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert (head.status_code, head.content) == (200, b"")
    assert other.status_code == 404


async def test_a_supervisor_shows_the_sum_of_its_processes(free_port: int) -> None:
    program = "from tests.unit.telemetry.test_metrics import a_worker\na_worker(requests=3, in_flight=2)"
    with metrics_port(Settings(metrics_port=free_port), None):
        run_python(program + "; a_worker(requests=3, in_flight=2)")
        async with httpx.AsyncClient(trust_env=False) as client:
            shown = await client.get(f"http://127.0.0.1:{free_port}/metrics")

    assert samples(shown.content)["obscura_requests_total", CHAT, "chat", "2xx", ""] == 6


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = Settings(metrics_port=listener.getsockname()[1])
        with pytest.raises(ConfigurationError, match=r"OBSCURA_METRICS_PORT: cannot listen on 127\.0\.0\.1:"):
            with metrics_port(taken, SharedMetrics(Metrics())):
                pass


def test_a_port_without_metrics_is_refused(free_port: int) -> None:
    with pytest.raises(ConfigurationError, match="OBSCURA_METRICS_PORT needs OBSCURA_METRICS"):
        with metrics_port(Settings(metrics_port=free_port, metrics=False), None):
            pass
