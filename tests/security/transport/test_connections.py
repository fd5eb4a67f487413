"""More connections than are allowed: idle ones give way, and without any the new one gets a 503."""

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.support.gateway import Gateway, chat_request, running_gateway

MAX_CONNECTIONS = 16
type Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with running_gateway(max_connections=MAX_CONNECTIONS) as served:
        yield served


async def connect(gateway: Gateway, sent: bytes = b"") -> Streams:
    url = httpx.URL(gateway.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(sent)
    return reader, writer


def request(gateway: Gateway, body: bytes, *, declared_bytes: int | None = None) -> bytes:
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {gateway.key}\r\n"
    return f"{head}content-length: {declared_bytes or len(body)}\r\n\r\n".encode() + body


async def ask(gateway: Gateway) -> tuple[bytes, bytes]:
    """Ask on a connection of its own; return the response's head, and its body."""
    reader, writer = await connect(gateway, request(gateway, json.dumps(chat_request("hi")).encode()))
    head = await reader.readuntil(b"\r\n\r\n")
    body = await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split()[0]))
    writer.close()
    return head, body


@pytest.mark.parametrize("begun", [b"", b"POST /v1/chat/completions HTTP/1.1\r\nx-slow: "], ids=["silent", "a head"])
async def test_connections_without_a_request_give_way_to_new_ones(gateway: Gateway, begun: bytes) -> None:
    idle = [await connect(gateway, begun) for _ in range(MAX_CONNECTIONS)]
    await asyncio.sleep(0.05)  # until the server has accepted them, in their order

    head, _ = await ask(gateway)

    assert head.startswith(b"HTTP/1.1 200")
    async with asyncio.timeout(2):
        assert await idle[0][0].read() == b""
    assert not idle[-1][0].at_eof()
    for _, writer in idle:
        writer.close()


async def test_without_an_idle_connection_a_new_one_is_overloaded_until_one_ends(gateway: Gateway) -> None:
    unfinished = request(gateway, b"{", declared_bytes=100)
    busy = [await connect(gateway, unfinished) for _ in range(MAX_CONNECTIONS)]
    await asyncio.sleep(0.05)

    head, body = await ask(gateway)
    busy[0][1].close()
    await asyncio.sleep(0.05)
    later, _ = await ask(gateway)

    assert head.startswith(b"HTTP/1.1 503 Service Unavailable")
    assert b"retry-after: " in head
    assert json.loads(body)["error"]["code"] == "overloaded"
    assert later.startswith(b"HTTP/1.1 200")
    for _, writer in busy:
        writer.close()
