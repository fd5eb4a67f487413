"""The issuer's JSON Web Key Set (RFC 7517 §5): fetched within bounds, filtered to usable keys, and cached."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from math import ceil
from time import monotonic
from typing import TYPE_CHECKING

import httpx
import msgspec

from obscura.errors import UpstreamUnavailable

if TYPE_CHECKING:
    from jwt import PyJWK

FETCH_TIMEOUT_S = 5.0
MAX_SET_BYTES = 256 * 1024
MAX_KEYS = 64
TTL_S = 600.0
STALE_TTL_S = 3600.0
MIN_REFRESH_INTERVAL_S = 60.0
ALGORITHMS = {("RSA", None): "RS256", ("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA"}
"""The one algorithm of each kind of key that is accepted, by ``kty`` and ``crv`` (RFC 7518 §3.1, RFC 8037 §3.1).

The key decides the algorithm, not the JWT (ADR 22): a secret (``oct``) is not accepted, and no public key is a secret.
"""


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A public key and its only algorithm; ``id`` is its ``kid``."""

    id: str | None
    algorithm: str
    key: "PyJWK"


class _Jwk(msgspec.Struct):
    kty: str
    kid: str | None = None
    crv: str | None = None
    alg: str | None = None
    use: str | None = None
    key_ops: list[str] | None = None


class _JwkSet(msgspec.Struct):
    keys: list[msgspec.Raw]


async def fetch_key_set(client: httpx.AsyncClient, url: str) -> list[VerifyingKey]:
    """Return the keys at ``url``; raises UpstreamUnavailable if they cannot be fetched or none of them is usable."""
    try:
        async with asyncio.timeout(FETCH_TIMEOUT_S):
            body = await _fetch(client, url)
    except (TimeoutError, httpx.HTTPError):
        raise _jwks_unavailable("cannot be fetched") from None
    return await asyncio.to_thread(_parse, body)


async def _fetch(client: httpx.AsyncClient, url: str) -> bytes:
    headers = {"accept": "application/jwk-set+json, application/json", "accept-encoding": "identity"}
    timeout = httpx.Timeout(FETCH_TIMEOUT_S)
    async with client.stream("GET", url, headers=headers, timeout=timeout, follow_redirects=False) as response:
        if response.status_code != 200:
            raise _jwks_unavailable(f"cannot be fetched (status {response.status_code})")
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > MAX_SET_BYTES:
                raise _jwks_unavailable("are too long")
        return bytes(body)


def _parse(body: bytes) -> list[VerifyingKey]:
    try:
        raw_keys = msgspec.json.decode(body, type=_JwkSet).keys[:MAX_KEYS]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _jwks_unavailable("cannot be read") from None
    keys = [key for key in map(_verifying_key, raw_keys) if key is not None]
    if not keys:
        raise _jwks_unavailable("include none for RS256, ES256 or EdDSA")
    return keys


def _verifying_key(raw_key: msgspec.Raw) -> VerifyingKey | None:
    """Return the key, or None if it is invalid or has another purpose."""
    from jwt import PyJWK, PyJWTError

    try:
        jwk = msgspec.json.decode(raw_key, type=_Jwk)
        algorithm = ALGORITHMS.get((jwk.kty, jwk.crv))
        if algorithm is None or jwk.alg not in {None, algorithm} or jwk.use not in {None, "sig"}:
            return None
        if jwk.key_ops is not None and "verify" not in jwk.key_ops:
            return None
        return VerifyingKey(jwk.kid, algorithm, PyJWK(msgspec.json.decode(raw_key, type=dict), algorithm))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, PyJWTError, ValueError):
        return None


def _jwks_unavailable(reason: str) -> UpstreamUnavailable:
    return UpstreamUnavailable(f"The token issuer's public keys {reason}. Try again in a while.", retry_after_s=5)


class JwksCache:
    """The issuer's keys: fetched again after ``TTL_S``, and used for ``STALE_TTL_S`` while fetching fails.

    Fetches, failed ones included, are at least ``MIN_REFRESH_INTERVAL_S`` apart: tokens with a forged ``kid`` cause no
    more of them.
    """

    def __init__(
        self, fetch: Callable[[], Awaitable[Sequence[VerifyingKey]]], now_s: Callable[[], float] = monotonic
    ) -> None:
        """``fetch`` returns the keys or raises UpstreamUnavailable; ``now_s`` is a clock that never goes back."""
        self._fetch = fetch
        self._now_s = now_s
        self._keys: Sequence[VerifyingKey] = ()
        self._fetched_at_s = float("-inf")
        self._attempted_at_s = float("-inf")
        self._failure = ""
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, key_id: str | None) -> VerifyingKey | None:
        """Return the key with this ``kid``, or None; without a ``kid`` the only key, if there is just one.

        Raises UpstreamUnavailable while there are no keys, or only stale ones.
        """
        key = self._cached(key_id)
        if key is None or self._age_s() > TTL_S:
            await self._refresh()
            key = self._cached(key_id)
        if self._age_s() > STALE_TTL_S:
            raise self._unavailable()
        return key

    def _cached(self, key_id: str | None) -> VerifyingKey | None:
        if key_id is None:
            return self._keys[0] if len(self._keys) == 1 else None
        return next((key for key in self._keys if key.id == key_id), None)

    def _age_s(self) -> float:
        return self._now_s() - self._fetched_at_s

    def _unavailable(self) -> UpstreamUnavailable:
        next_try_s = self._attempted_at_s + MIN_REFRESH_INTERVAL_S - self._now_s()
        return UpstreamUnavailable(self._failure, retry_after_s=max(1, ceil(next_try_s)))

    async def _refresh(self) -> None:
        if self._fetching is None:
            if self._now_s() - self._attempted_at_s < MIN_REFRESH_INTERVAL_S:
                return
            self._attempted_at_s = self._now_s()
            self._fetching = asyncio.create_task(self._fetch_once())
        # Shielded: a client that disconnects does not cancel the fetch for others that wait for it.
        await asyncio.shield(self._fetching)

    async def _fetch_once(self) -> None:
        try:
            self._keys = await self._fetch()
            self._fetched_at_s = self._now_s()
        except UpstreamUnavailable as error:
            self._failure = error.message
        finally:
            self._fetching = None
