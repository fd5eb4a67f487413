"""The cache of an issuer's public keys: when they are fetched again, and how long stale ones are used."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import httpx
import pytest

from obscura.auth.jwt.jwks import JwksCache, fetch_key_set
from obscura.errors import UpstreamUnavailable
from tests.support.loopback_server import Received, Wire, loopback_server
from tests.support.token_issuer import TokenIssuer, a_jwk, token_issuer


class MovedClock:
    """Seconds that a test moves by hand."""

    def __init__(self) -> None:
        self.at_s = 5000.0

    def __call__(self) -> float:
        return self.at_s


@asynccontextmanager
async def published() -> AsyncIterator[tuple[JwksCache, TokenIssuer, MovedClock]]:
    async with token_issuer() as issuer, httpx.AsyncClient(trust_env=False) as client:
        issuer.jwks = {"keys": [a_jwk("RS256"), a_jwk("ES256")]}
        clock = MovedClock()
        yield JwksCache(partial(fetch_key_set, client, issuer.url), clock), issuer, clock


async def test_keys_are_fetched_at_the_first_token_and_cached() -> None:
    async with published() as (keys, issuer, _):
        found = [await keys.find("RS256") for _ in range(5)]

        assert {key and key.algorithm for key in found} == {"RS256"}
        assert issuer.fetches == 1


async def test_a_new_key_is_found_after_at_most_a_minute() -> None:
    async with published() as (keys, issuer, clock):
        await keys.find("RS256")
        issuer.jwks["keys"].append(a_jwk("EdDSA", kid="new"))

        clock.at_s += 59
        assert await keys.find("new") is None

        clock.at_s += 1
        new = await keys.find("new")
        assert new is not None
        assert new.algorithm == "EdDSA"


async def test_forged_key_ids_cause_one_fetch_a_minute_at_most() -> None:
    async with published() as (keys, issuer, clock):
        for number in range(100):
            assert await keys.find(f"forged {number}") is None
        assert issuer.fetches == 1

        clock.at_s += 60
        await asyncio.gather(*[keys.find(f"forged {number}") for number in range(100)])

        assert issuer.fetches == 2


async def test_a_failed_fetch_is_repeated_once_a_minute_at_most() -> None:
    async with published() as (keys, issuer, clock):
        issuer.status = 500
        for expected_s in (60, 50, 40):
            with pytest.raises(UpstreamUnavailable) as error:
                await keys.find("RS256")
            assert error.value.retry_after_s == expected_s
            clock.at_s += 10
        assert issuer.fetches == 1

        issuer.status = 200
        clock.at_s += 30

        assert await keys.find("RS256") is not None


async def test_concurrent_requests_share_one_fetch_and_cancelling_one_keeps_it() -> None:
    requested, respond_now = asyncio.Event(), asyncio.Event()

    async def respond(request: Received, wire: Wire) -> None:
        requested.set()
        await respond_now.wait()
        await wire.answer(200, httpx.Response(200, json={"keys": [a_jwk()]}).content)

    async with loopback_server(respond) as server, httpx.AsyncClient(trust_env=False) as client:
        keys = JwksCache(partial(fetch_key_set, client, f"{server.origin}/keys"))
        waiting = [asyncio.create_task(keys.find("RS256")) for _ in range(50)]
        await requested.wait()

        waiting[0].cancel()
        respond_now.set()
        found = await asyncio.gather(*waiting[1:])

        assert all(key is not None for key in found)
        assert len(server.received) == 1


async def test_keys_are_fetched_again_after_ten_minutes_and_old_ones_dropped() -> None:
    async with published() as (keys, issuer, clock):
        await keys.find("RS256")
        issuer.jwks = {"keys": [a_jwk("ES256")]}

        clock.at_s += 600
        assert await keys.find("RS256") is not None

        clock.at_s += 1
        assert await keys.find("RS256") is None


async def test_while_the_issuer_is_down_cached_keys_are_used_for_an_hour() -> None:
    async with published() as (keys, issuer, clock):
        await keys.find("RS256")
        issuer.status = 503

        clock.at_s += 3600
        assert await keys.find("RS256") is not None

        clock.at_s += 1
        with pytest.raises(UpstreamUnavailable):
            await keys.find("RS256")


async def test_a_token_without_a_key_id_means_the_only_key() -> None:
    async with published() as (keys, issuer, clock):
        assert await keys.find(None) is None
        issuer.jwks = {"keys": [a_jwk("ES256")]}
        clock.at_s += 601

        only = await keys.find(None)
        assert only is not None
        assert only.id == "ES256"


@pytest.mark.parametrize("status", [301, 404, 500])
async def test_only_a_200_from_the_url_itself_yields_keys(status: int) -> None:
    async with published() as (keys, issuer, _):
        issuer.status = status

        with pytest.raises(UpstreamUnavailable):
            await keys.find("RS256")
        assert issuer.fetches == 1


async def test_an_issuer_that_refuses_connections_is_unavailable() -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(UpstreamUnavailable):
            await fetch_key_set(client, "http://127.0.0.1:9/keys")
