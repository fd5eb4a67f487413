"""Verifying a JWT: its signature by a published key, its claims by what the operator pinned (RFC 7519, RFC 8725)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from obscura.auth.base import TokenSubject
from obscura.auth.jwt.jwks import ALGORITHMS, JwksCache
from obscura.errors import InvalidToken

if TYPE_CHECKING:
    from obscura.auth.jwt.jwks import VerifyingKey

MAX_TOKEN_BYTES = 8 * 1024
MAX_NAME_CHARS = 200
LEEWAY_S = 60


@dataclass(frozen=True, slots=True)
class TokenIssuer:
    """Whose tokens are taken, and for whom they must be meant."""

    issuer: str
    audience: str


class _Claims(msgspec.Struct):
    sub: str
    project: str | None = None
    zero_retention: bool = False


class JwtVerifier:
    """Tokens signed with RS256, ES256 or EdDSA; whichever of them, the key decides (RFC 8725 §3.1)."""

    def __init__(self, keys: JwksCache, provider: TokenIssuer) -> None:
        """``keys`` are the provider's."""
        self._keys = keys
        self._provider = provider

    async def verify(self, token: str) -> TokenSubject:
        """Return the holder of a valid token; see ``obscura.ports.Tokens``."""
        if len(token) > MAX_TOKEN_BYTES:
            raise InvalidToken(f"The token is over {MAX_TOKEN_BYTES:,} bytes. Ask for one with fewer claims.")
        key = await self._keys.find(_key_id(token))
        if key is None:
            raise InvalidToken("The token was signed with a key that its issuer does not publish. Sign in again.")
        return self._holder(_claims(token, key, self._provider))

    def _holder(self, payload: dict[str, Any]) -> TokenSubject:
        try:
            claims = msgspec.convert(payload, _Claims)
        except msgspec.ValidationError as wrong:
            raise InvalidToken(f"A claim of the token is of the wrong kind: {wrong}.") from None
        project = claims.sub if claims.project is None else claims.project
        if not all(0 < len(name) <= MAX_NAME_CHARS for name in (claims.sub, project)):
            raise InvalidToken(f"The claims 'sub' and 'project' must have 1 to {MAX_NAME_CHARS} characters.")
        return TokenSubject(f"{self._provider.issuer} {claims.sub}", project, claims.zero_retention)


def _key_id(token: str) -> str | None:
    """Return the ``kid`` of the header, before anything of it is believed."""
    import jwt

    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise InvalidToken("The token is not a signed JWT.") from None
    if header.get("alg") not in ALGORITHMS.values():
        raise InvalidToken("The token must be signed with RS256, ES256 or EdDSA.")
    key_id: str | None = header.get("kid")
    return key_id


def _claims(token: str, key: "VerifyingKey", provider: TokenIssuer) -> dict[str, Any]:
    import jwt

    try:
        return jwt.decode(
            token,
            key.key,
            algorithms=[key.algorithm],
            issuer=provider.issuer,
            audience=provider.audience,
            leeway=LEEWAY_S,
            options={"require": ["exp", "iss", "aud", "sub"], "enforce_minimum_key_length": True},
        )
    except jwt.ExpiredSignatureError:
        raise InvalidToken("The token has expired. Sign in again.") from None
    except (jwt.ImmatureSignatureError, jwt.InvalidIssuedAtError):
        raise InvalidToken("The token is not valid yet. Check the clock of its issuer.") from None
    except jwt.InvalidIssuerError:
        raise InvalidToken("The token comes from another issuer than the one that is trusted here.") from None
    except jwt.InvalidAudienceError:
        raise InvalidToken(
            "The token is meant for another audience. Ask its issuer for one for this gateway."
        ) from None
    except jwt.MissingRequiredClaimError as missing:
        raise InvalidToken(
            f"The token lacks the claim '{missing.claim}'. Ask its issuer for one that has it."
        ) from None
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise InvalidToken("The token's signature is not that of its issuer's key. Sign in again.") from None
