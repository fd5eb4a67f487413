"""Admit: who is asking, and may they."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from obscura.errors import InvalidApiKey, MissingCredentials
from obscura.ports import Keys

KEY_PREFIX = "obs_"


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who was let in."""

    project: str
    zero_retention: bool
    anonymous: bool = False


def key_digest(secret: str) -> bytes:
    """Give the SHA-256 under which a key is stored: 32 random bytes need no slow hash."""
    return hashlib.sha256(secret.encode()).digest()


async def admit(headers: Mapping[str, str], keys: Keys) -> Caller:
    """Let the holder of a key in; the key stands in ``Authorization: Bearer`` or in ``x-api-key``.

    Raises MissingCredentials without one, InvalidApiKey for one that was never created here or is revoked.
    """
    secret = _credential(headers)
    if secret is None and _is_true(headers.get("x-free-tier", "")):
        return Caller("free tier", _is_true(headers.get("x-zero-retention", "")), anonymous=True)
    if secret is None:
        raise MissingCredentials(
            "No credentials. Send 'Authorization: Bearer obs_…' or 'x-api-key: obs_…'; "
            "'obscura keys create --project NAME' makes a key."
        )
    key = await keys.find(key_digest(secret)) if secret.startswith(KEY_PREFIX) else None
    if key is None:
        raise InvalidApiKey("This API key was not created here or is revoked. 'obscura keys create' makes a new one.")
    return Caller(key.project, key.zero_retention or _is_true(headers.get("x-zero-retention", "")))


def _credential(headers: Mapping[str, str]) -> str | None:
    authorization = headers.get("authorization")
    if authorization is None:
        return headers.get("x-api-key") or None
    scheme, _, credential = authorization.partition(" ")
    if scheme.lower() != "bearer" or not credential.strip():
        raise InvalidApiKey("The Authorization header must be 'Bearer' and a key.")
    return credential.strip()


def _is_true(value: str) -> bool:
    return value.strip().lower() in {"true", "1"}
