"""An identity provider on loopback: its public keys of every kind, and JWTs as valid or invalid as a test needs."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tests.support.loopback_server import LoopbackServer, Received, Wire, loopback_server

ISSUER = "https://login.example/"
AUDIENCE = "obscura"

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SIGNING_KEYS: dict[str, Any] = {
    "RS256": RSA_KEY,
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
_WRITERS: dict[str, Any] = {
    "RS256": jwt.algorithms.RSAAlgorithm,
    "ES256": jwt.algorithms.ECAlgorithm,
    "EdDSA": jwt.algorithms.OKPAlgorithm,
}


def a_jwk(algorithm: str = "RS256", key: Any = None, **fields: Any) -> dict[str, Any]:
    """The public half of a key as in RFC 7517; its ``kid`` is the algorithm's name unless another is given."""
    public = (key or SIGNING_KEYS[algorithm]).public_key()
    jwk: dict[str, Any] = json.loads(_WRITERS[algorithm].to_jwk(public))
    return jwk | {"kid": algorithm} | fields


def a_token(algorithm: str = "RS256", key: Any = None, kid: str | None = "", **claims: Any) -> str:
    """A valid token unless the arguments change it; a claim of None is left out."""
    now_s = int(time.time())
    usual = {"iss": ISSUER, "aud": AUDIENCE, "sub": "user-1", "exp": now_s + 86_400, "iat": now_s}
    payload = {name: value for name, value in (usual | claims).items() if value is not None}
    headers = {} if kid is None else {"kid": kid or algorithm}
    return jwt.encode(payload, SIGNING_KEYS[algorithm] if key is None else key, algorithm, headers)


@dataclass
class TokenIssuer:
    """Publishes ``jwks`` at ``url``, with ``status``."""

    server: LoopbackServer
    jwks: dict[str, Any] = field(default_factory=lambda: {"keys": [a_jwk(algorithm) for algorithm in SIGNING_KEYS]})
    status: int = 200

    @property
    def url(self) -> str:
        return f"{self.server.origin}/keys"

    @property
    def settings(self) -> dict[str, Any]:
        return {"jwks_url": self.url, "jwt_issuer": ISSUER, "jwt_audience": AUDIENCE}

    @property
    def fetches(self) -> int:
        return len(self.server.received)


@asynccontextmanager
async def token_issuer() -> AsyncIterator[TokenIssuer]:
    async def respond(request: Received, wire: Wire) -> None:
        await wire.answer(issuer.status, json.dumps(issuer.jwks).encode())

    async with loopback_server(respond) as server:
        issuer = TokenIssuer(server)
        yield issuer
