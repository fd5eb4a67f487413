"""Callers that send much and stall: they hold no more than the budget, and do not keep the others from being served.

A process of its own, since its memory is measured; that takes seconds.
"""

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.gateway import chat_request, image_part
from tests.support.image_urls import data_url
from tests.support.serving_process import ServingProcess, environment, serving
from tests.unit.imaging.images import a_photograph

MIB = 1024 * 1024
BUDGET_MIB, ATTACKERS, SENT_BYTES, DECLARED_BYTES = 64, 24, 10 * MIB, 30 * MIB
SENDING_S = 1.5


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[ServingProcess]:
    settings = {"MEMORY_BUDGET_MB": f"{BUDGET_MIB}", "MODERATION": "off", "KEY_REQUESTS_PER_MINUTE": "1000"}
    with serving(environment(tmp_path, **settings)) as served:
        yield served


def peak_mib(served: ServingProcess) -> float:
    status = Path(f"/proc/{served.process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def head(served: ServingProcess, path: str = "/v1/chat/completions", kind: str = "application/json") -> bytes:
    lines = [f"POST {path} HTTP/1.1", "host: gateway", f"authorization: Bearer {served.key}", f"content-type: {kind}"]
    return "\r\n".join([*lines, f"content-length: {DECLARED_BYTES}", "", ""]).encode()


async def stall(served: ServingProcess, beginning: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send the beginning of a large body, as much of it as is taken, and no more."""
    url = httpx.URL(served.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
    writer.write(beginning + b" " * SENT_BYTES)
    try:
        async with asyncio.timeout(SENDING_S):
            await writer.drain()
    except (TimeoutError, ConnectionError):
        pass
    return reader, writer


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux alone says how much memory a process had")
@pytest.mark.parametrize("form", [False, True], ids=["JSON", "a form"])
async def test_stalled_bodies_hold_no_more_than_their_share_and_others_are_served(
    gateway: ServingProcess, form: bool
) -> None:
    body = chat_request(image_part(data_url(a_photograph(1200, 900, "JPEG", quality=95))))
    assert len(json.dumps(body)) > 100_000
    beginning = head(gateway) + b'{"model":"'
    if form:
        part = b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n%PDF-'
        beginning = head(gateway, "/v1/files", "multipart/form-data; boundary=b") + part
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {gateway.key}"}, timeout=20) as client:
        before = await client.post(f"{gateway.v1}/chat/completions", json=body)
        assert before.status_code == 200
        before_mib = peak_mib(gateway)

        stalled = await asyncio.gather(*(stall(gateway, beginning) for _ in range(ATTACKERS)))
        under_attack = await client.post(f"{gateway.v1}/chat/completions", json=body)

        assert under_attack.status_code == 200, under_attack.text
        assert peak_mib(gateway) - before_mib < BUDGET_MIB
        statuses = [await status_of(reader, writer) for reader, writer in stalled]
        assert {"503", "408"} & set(statuses)


async def status_of(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    """Return the status that a stalled caller has got by now, or nothing; and leave."""
    try:
        async with asyncio.timeout(0.01):
            line = await reader.readline()
    except (TimeoutError, ConnectionError):
        line = b""
    writer.transport.abort()
    return line.decode().split(" ")[1] if line else ""
