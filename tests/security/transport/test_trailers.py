"""Trailers of a chunked request (RFC 9110 §6.5.1): whatever they are called, they are no headers."""

import asyncio
from collections.abc import Callable

import pytest

from tests.support.gateway import running_gateway
from tests.support.raw_http import CHAT, CHUNKED, FREE, RawClient, RawResponse, chunked, head, length, raw_client

type Sending = Callable[[RawClient, bytes, bytes], asyncio.Future]


async def at_once(client: RawClient, request_head: bytes, body: bytes) -> RawResponse:
    await client.send(request_head + body)
    return await client.response()


async def in_two_packets(client: RawClient, request_head: bytes, body: bytes) -> RawResponse:
    await client.send(request_head, body)
    return await client.response()


sendings = pytest.mark.parametrize("send", [at_once, in_two_packets])


@sendings
@pytest.mark.parametrize("name", [b"X-Free-Tier: true", b"Authorization: Bearer %b", b"X-Api-Key: %b"])
async def test_credentials_in_trailers_admit_no_caller(name: bytes, send: Sending) -> None:
    async with running_gateway(free_tier_requests=9) as gateway, raw_client(gateway.url) as client:
        line = name.replace(b"%b", gateway.key.encode()) + b"\r\n"

        response = await send(client, head(CHUNKED), chunked(trailers=line))

    assert response.status == 401


@sendings
async def test_addresses_in_trailers_give_no_second_free_request(send: Sending) -> None:
    async with running_gateway(trusted_proxies="127.0.0.0/8") as gateway, raw_client(gateway.url) as client:
        proxied = head(FREE, b"X-Forwarded-For: 203.0.113.1\r\n", CHUNKED)

        statuses = [
            (await send(client, proxied, chunked(trailers=b"X-Forwarded-For: 198.51.100.%d\r\n" % host))).status
            for host in range(10)
        ]

    assert statuses == [200] + [429] * 9


async def test_a_trailer_is_no_header_of_the_next_request_either() -> None:
    async with running_gateway(free_tier_requests=9) as gateway, raw_client(gateway.url) as client:
        await client.send(head(FREE, CHUNKED) + chunked(trailers=FREE) + head(length()) + CHAT)

        assert [(await client.response()).status, (await client.response()).status] == [200, 401]


async def test_retention_cannot_be_lifted_or_asked_for_in_a_trailer() -> None:
    async with running_gateway(free_tier_requests=9) as gateway, raw_client(gateway.url) as client:
        await client.send(head(FREE, CHUNKED) + chunked(trailers=b"X-Zero-Retention: true\r\n"))
        response = await client.response()

    assert response.status == 200
    assert b"x-zero-retention" not in response.head
