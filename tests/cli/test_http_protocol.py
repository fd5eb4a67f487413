"""``obscura serve``'s HTTP/1.1, sent bytes that no well-behaved client sends."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from obscura.cli.request_head import MAX_HEAD_BYTES
from tests.support.fake_upstream import ANSWER, answers
from tests.support.gateway import Gateway, chat_request, running_gateway
from tests.support.loopback_server import loopback_server

BODY = json.dumps(chat_request("hi")).encode()
JAVA_HEADERS = "Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n"


@asynccontextmanager
async def connected(gateway: Gateway) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(gateway.url).port)
    try:
        yield reader, writer
    finally:
        writer.close()


def request_head(gateway: Gateway, more: str) -> bytes:
    lines = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {gateway.key}\r\n{more}"
    return lines.encode()


async def read_response(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        return int(head.split()[1]), await reader.readexactly(length)


@pytest.mark.parametrize("offer", ["Upgrade: h2c\r\n", "UPGRADE:h2c\r\n", "upgrade: websocket, h2c\r\n"])
@pytest.mark.parametrize("at_once", [True, False], ids=["in one piece", "body after its head"])
async def test_the_body_of_a_request_that_offers_an_upgrade_is_read(
    offer: str, at_once: bool, gateway: Gateway
) -> None:
    head = request_head(gateway, f"{JAVA_HEADERS}{offer}Content-Length: {len(BODY)}\r\n\r\n")
    async with connected(gateway) as (reader, writer):
        for _ in range(2):
            writer.writelines([head + BODY] if at_once else [head])
            await writer.drain()
            writer.write(b"" if at_once else BODY)
            status, response = await read_response(reader)

            assert (status, json.loads(response)) == (200, ANSWER)


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        ("X-Endless: ", b"a" * 65536),
        ("", b"X-One-Of-Many: a\r\n" * 4096),
        ("Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X-Trailer: a\r\n" * 4096),
        ("Transfer-Encoding: chunked\r\n\r\n0\r\nX-Trailer: ", b"a" * 65536),
    ],
    ids=["a header", "headers", "trailers", "a trailer"],
)
async def test_an_endless_head_closes_the_connection(start: str, piece: bytes) -> None:
    async with running_gateway() as gateway, connected(gateway) as (_, writer):
        writer.write(request_head(gateway, start))
        sent_bytes = 0
        with pytest.raises(ConnectionError):
            while sent_bytes < 64 * MAX_HEAD_BYTES:
                writer.write(piece)
                await writer.drain()
                sent_bytes += len(piece)

        assert (await gateway.client.get("/healthz")).status_code == 200


async def test_a_large_body_does_not_count_as_head_however_it_is_split() -> None:
    body = json.dumps(chat_request("x" * 3 * MAX_HEAD_BYTES)).encode()
    async with loopback_server(answers()) as upstream, running_gateway(upstream_url=upstream.v1) as gateway:
        async with connected(gateway) as (reader, writer):
            writer.write(request_head(gateway, f"Content-Length: {len(body)}\r\n\r\n"))
            for start in range(0, len(body), 10_000):
                writer.write(body[start : start + 10_000])
                await writer.drain()
            status, response = await read_response(reader)

        assert (status, json.loads(response)) == (200, ANSWER)
