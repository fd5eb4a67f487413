"""A JSON Web Key Set (RFC 7517 §5): fetched within bounds, and read down to the keys that may verify a token."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
import msgspec

from obscura.errors import UpstreamUnavailable

if TYPE_CHECKING:
    from jwt import PyJWK

FETCHED_WITHIN_S = 5.0
LARGEST_SET_BYTES = 256 * 1024
MOST_KEYS = 64
ALGORITHMS = {("RSA", None): "RS256", ("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA"}
"""The one algorithm of each kind of key that is taken, by ``kty`` and ``crv`` (RFC 7518 §3.1, RFC 8037 §3.1).

The key decides and not the token: a secret (``oct``) is no key here, and a public key never serves as one.
"""


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A public key and the only algorithm that it is for; ``id`` is its ``kid``."""

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
    """Give the keys at ``url``; raises UpstreamUnavailable when they cannot be had or none of them can be used."""
    try:
        async with asyncio.timeout(FETCHED_WITHIN_S):
            body = await _fetch(client, url)
    except (TimeoutError, httpx.HTTPError):
        raise _unavailable("cannot be fetched") from None
    return await asyncio.to_thread(_read, body)


async def _fetch(client: httpx.AsyncClient, url: str) -> bytes:
    headers = {"accept": "application/jwk-set+json, application/json", "accept-encoding": "identity"}
    timeout = httpx.Timeout(FETCHED_WITHIN_S)
    async with client.stream("GET", url, headers=headers, timeout=timeout, follow_redirects=False) as response:
        if response.status_code != 200:
            raise _unavailable(f"cannot be fetched (status {response.status_code})")
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > LARGEST_SET_BYTES:
                raise _unavailable("are too long")
        return bytes(body)


def _read(body: bytes) -> list[VerifyingKey]:
    try:
        written = msgspec.json.decode(body, type=_JwkSet).keys[:MOST_KEYS]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _unavailable("cannot be read") from None
    keys = [key for key in map(_verifying_key, written) if key is not None]
    if not keys:
        raise _unavailable("hold none for RS256, ES256 or EdDSA")
    return keys


def _verifying_key(written: msgspec.Raw) -> VerifyingKey | None:
    """Give the key, or None for one that is for something else, or that nothing can be made of."""
    from jwt import PyJWK, PyJWTError

    try:
        jwk = msgspec.json.decode(written, type=_Jwk)
        algorithm = ALGORITHMS.get((jwk.kty, jwk.crv))
        if algorithm is None or jwk.alg not in {None, algorithm} or jwk.use not in {None, "sig"}:
            return None
        if jwk.key_ops is not None and "verify" not in jwk.key_ops:
            return None
        return VerifyingKey(jwk.kid, algorithm, PyJWK(msgspec.json.decode(written, type=dict), algorithm))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, PyJWTError, ValueError):
        return None


def _unavailable(why: str) -> UpstreamUnavailable:
    return UpstreamUnavailable(f"The token issuer's public keys {why}. Try again in a while.", retry_after_s=5)
