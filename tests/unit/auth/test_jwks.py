"""Which keys of an issuer's set are used, and when they are fetched, without a network."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest

from obscura.auth.jwt.jwks import FETCH_TIMEOUT_S, JwksCache, VerifyingKey, fetch_key_set
from obscura.errors import UpstreamUnavailable
from tests.support.token_issuer import a_jwk

MAX_KEYS, MAX_SET_BYTES = 64, 262_144
URL = "https://login.example/keys"


async def fetched(content: bytes, status: int = 200) -> list[VerifyingKey]:
    def respond(request: httpx.Request) -> httpx.Response:
        assert request.headers["accept-encoding"] == "identity"
        return httpx.Response(status, content=content)

    async with httpx.AsyncClient(transport=httpx.MockTransport(respond)) as client:
        return await fetch_key_set(client, URL)


async def algorithms(*keys: Any) -> list[str]:
    """The algorithms of the usable keys among ``keys``; an RSA key after them makes the set usable."""
    found = await fetched(json.dumps({"keys": [*keys, a_jwk("RS256", kid="last")]}).encode())
    assert found[-1].id == "last"
    return [key.algorithm for key in found[:-1]]


async def refused(content: bytes, status: int = 200) -> str:
    with pytest.raises(UpstreamUnavailable) as error:
        await fetched(content, status)
    assert error.value.retry_after_s == 5
    return error.value.message


async def test_a_key_of_each_kind_has_its_only_algorithm() -> None:
    assert await algorithms(*map(a_jwk, ("RS256", "ES256", "EdDSA"))) == ["RS256", "ES256", "EdDSA"]


@pytest.mark.parametrize(
    "fields",
    [
        {"alg": "RS512"},
        {"alg": "HS256"},
        {"alg": "none"},
        {"use": "enc"},
        {"key_ops": ["sign"]},
        {"key_ops": []},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"crv": "P-256"},
        {"n": 7},
        {"n": ""},
        {"e": "%%%"},
        {"kid": 7},
    ],
)
async def test_a_key_that_is_broken_or_for_something_else_is_passed_over(fields: dict[str, Any]) -> None:
    assert await algorithms(a_jwk("RS256", **fields)) == []


@pytest.mark.parametrize(
    "fields", [{"alg": "RS256"}, {"use": "sig"}, {"key_ops": ["verify"]}, {"key_ops": ["sign", "verify"]}, {"x5c": []}]
)
async def test_a_key_that_says_it_verifies_is_used(fields: dict[str, Any]) -> None:
    assert await algorithms(a_jwk("RS256", **fields)) == ["RS256"]


@pytest.mark.parametrize("key", [7, "key", None, [], {}, {"kty": "RSA"}, {"kty": "EC", "crv": "P-521"}])
async def test_what_is_no_key_is_passed_over(key: Any) -> None:
    assert await algorithms(key) == []


@pytest.mark.parametrize("field", [b'"kid":"\xff"', b'"other":"\xff"'])
async def test_a_key_that_cannot_be_decoded_is_passed_over(field: bytes) -> None:
    broken = json.dumps(a_jwk()).encode().replace(b"{", b"{" + field + b",", 1)

    found = await fetched(b'{"keys":[%b,%b]}' % (broken, json.dumps(a_jwk("ES256")).encode()))

    assert [key.algorithm for key in found] == ["ES256"]


async def test_of_a_large_set_the_first_64_keys_are_read() -> None:
    keys = [{"kty": "oct"}] * (MAX_KEYS - 1) + [a_jwk("ES256"), a_jwk("RS256")]

    assert [key.algorithm for key in await fetched(json.dumps({"keys": keys}).encode())] == ["ES256"]


async def test_a_set_of_256_kib_is_read_and_one_byte_more_is_not() -> None:
    keys = json.dumps({"keys": [a_jwk()]}).encode()

    assert len(await fetched(keys.ljust(MAX_SET_BYTES))) == 1
    assert "too long" in await refused(keys.ljust(MAX_SET_BYTES + 1))


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"keys":7}', b"\xff", b'{"keys":[' + b"[" * 100_000])
async def test_what_is_no_set_cannot_be_read(content: bytes) -> None:
    assert "cannot be read" in await refused(content)


async def test_a_set_without_a_usable_key_is_unavailable() -> None:
    assert "include none for RS256, ES256 or EdDSA" in await refused(b'{"keys":[]}')


@pytest.mark.parametrize("status", [199, 201, 204, 301, 404, 500])
async def test_another_status_than_200_is_unavailable(status: int) -> None:
    assert f"status {status}" in await refused(json.dumps({"keys": [a_jwk()]}).encode(), status)


async def test_an_endless_set_is_given_up_after_five_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    async def trickle() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.01)

    assert FETCH_TIMEOUT_S == 5
    monkeypatch.setattr("obscura.auth.jwt.jwks.FETCH_TIMEOUT_S", 0.05)
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=trickle()))
    async with httpx.AsyncClient(transport=transport) as client:
        with pytest.raises(UpstreamUnavailable, match="cannot be fetched"):
            await fetch_key_set(client, URL)


class Issuer:
    """What ``fetch`` returns or raises, how often it was asked, and the seconds that a test moves."""

    def __init__(self, *ids: str | None) -> None:
        self.keys: Sequence[VerifyingKey] = [VerifyingKey(each, "RS256", None) for each in ids]  # type: ignore[arg-type]
        self.fails = False
        self.fetches = 0
        self.at_s = 1000.0
        self.cache = JwksCache(self.fetch, lambda: self.at_s)

    async def fetch(self) -> Sequence[VerifyingKey]:
        self.fetches += 1
        if self.fails:
            raise UpstreamUnavailable("down", retry_after_s=5)
        return self.keys


async def test_without_a_key_id_the_only_key_is_meant() -> None:
    for ids, found in (((), None), (("a",), "a"), ((None,), None), (("a", "b"), None)):
        key = await Issuer(*ids).cache.find(None)
        assert (key and key.id) == found


async def test_keys_are_fetched_again_after_600_seconds() -> None:
    issuer = Issuer("a")
    for at_s, fetches in ((1000.0, 1), (1600.0, 1), (1600.5, 2)):
        issuer.at_s = at_s
        assert await issuer.cache.find("a")
        assert issuer.fetches == fetches


async def test_fetches_for_unknown_keys_are_60_seconds_apart() -> None:
    issuer = Issuer("a")
    for at_s, fetches in ((1000.0, 1), (1059.5, 1), (1060.0, 2), (1119.5, 2), (1120.0, 3)):
        issuer.at_s = at_s
        assert await issuer.cache.find("b") is None
        assert issuer.fetches == fetches


async def test_stale_keys_are_used_for_an_hour_while_fetching_fails() -> None:
    issuer = Issuer("a")
    await issuer.cache.find("a")
    issuer.fails = True

    issuer.at_s = 4600.0
    assert await issuer.cache.find("a")
    issuer.at_s = 4600.5
    with pytest.raises(UpstreamUnavailable, match="down"):
        await issuer.cache.find("a")


async def test_without_keys_the_wait_is_until_the_next_fetch_and_a_second_at_least() -> None:
    issuer = Issuer("a")
    issuer.fails = True
    for at_s, retry_after_s in ((1000.0, 60), (1000.5, 60), (1059.0, 1), (1059.9, 1)):
        issuer.at_s = at_s
        with pytest.raises(UpstreamUnavailable) as error:
            await issuer.cache.find("a")
        assert error.value.retry_after_s == retry_after_s
    assert issuer.fetches == 1


async def test_after_a_failure_the_next_fetch_is_a_new_one() -> None:
    issuer = Issuer("a")
    issuer.fails = True
    with pytest.raises(UpstreamUnavailable):
        await issuer.cache.find("a")
    issuer.fails, issuer.at_s = False, 1060.0

    assert await issuer.cache.find("a")
    assert issuer.fetches == 2


async def test_concurrent_requests_share_a_fetch() -> None:
    issuer = Issuer("a")

    found = await asyncio.gather(*(issuer.cache.find("a") for _ in range(20)))

    assert all(found)
    assert issuer.fetches == 1
