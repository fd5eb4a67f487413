"""Credentials: what a request brings to say who is asking, and which kind it is."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from obscura.errors import InvalidApiKey

KEY_PREFIX = "obs_"
_NO = frozenset({"", "false", "0", "no", "off"})


class CredentialKind(Enum):
    """How a credential is checked."""

    KEY = "an API key"
    TOKEN = "a JWT"


@dataclass(frozen=True, slots=True)
class Credential:
    """A key or a token as it was sent."""

    kind: CredentialKind
    secret: str


def key_digest(secret: str) -> bytes:
    """Give the SHA-256 under which a key is stored: 32 random bytes need no slow hash."""
    return hashlib.sha256(secret.encode()).digest()


def credential_of(headers: Mapping[str, str]) -> Credential | None:
    """Give the credential in ``Authorization: Bearer`` or else in ``x-api-key``; None without any.

    Raises InvalidApiKey for what is neither a key nor, with its three parts, a JWT (RFC 7515 §3.1).
    """
    secret = _secret(headers)
    if secret is None:
        return None
    if secret.startswith(KEY_PREFIX):
        return Credential(CredentialKind.KEY, secret)
    if secret.count(".") == 2:
        return Credential(CredentialKind.TOKEN, secret)
    raise invalid_key()


def asks_for(headers: Mapping[str, str], name: str) -> bool:
    """Whether a header such as ``x-free-tier`` says ``true`` or ``1``."""
    return headers.get(name, "").strip().lower() in {"true", "1"}


def asks_for_zero_retention(headers: Mapping[str, str]) -> bool:
    """Whether ``x-zero-retention`` says anything but no: a wrong word for yes must not cost privacy."""
    said = headers.get("x-zero-retention", "").lower().split(",")
    return any(word.strip() not in _NO for word in said)


def invalid_key() -> InvalidApiKey:
    """Give the one answer to every key that opens nothing."""
    return InvalidApiKey("This API key was not created here or is revoked. 'obscura keys create' makes a new one.")


def _secret(headers: Mapping[str, str]) -> str | None:
    authorization = headers.get("authorization")
    if authorization is None:
        return headers.get("x-api-key") or None
    scheme, _, credential = authorization.partition(" ")
    if scheme.lower() != "bearer" or not credential.strip():
        raise InvalidApiKey("The Authorization header must be 'Bearer' and a key or a token.")
    return credential.strip()
