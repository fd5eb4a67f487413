"""Verifying a JWT: its signature by a published key, its claims by the settings (RFC 7519, RFC 8725)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from obscura.auth.base import TokenSubject
from obscura.auth.jwt.jwks import ALGORITHMS, JwksCache
from obscura.auth.projects import is_reserved, jwt_project
from obscura.errors import InvalidToken

if TYPE_CHECKING:
    from obscura.auth.jwt.jwks import VerifyingKey

MAX_TOKEN_BYTES = 8 * 1024
MAX_NAME_CHARS = 200
LEEWAY_S = 60


@dataclass(frozen=True, slots=True)
class TokenIssuer:
    """The issuer whose JWTs are accepted, and the audience that they must name.

    ``project_claim`` is the claim that names a JWT's project, if the operator trusts the issuer with that.
    """

    issuer: str
    audience: str
    project_claim: str | None = None


class _Claims(msgspec.Struct):
    sub: str
    zero_retention: bool = False


class JwtVerifier:
    """A verifier of JWTs signed with RS256, ES256 or EdDSA; the key decides which of them (RFC 8725 §3.1)."""

    def __init__(self, keys: JwksCache, issuer: TokenIssuer) -> None:
        """``keys`` are the issuer's."""
        self._keys = keys
        self._issuer = issuer

    async def verify(self, token: str) -> TokenSubject:
        """Return the subject of a valid JWT; see ``obscura.auth.base.TokenVerifier``."""
        if len(token) > MAX_TOKEN_BYTES:
            raise InvalidToken(f"The JWT is over {MAX_TOKEN_BYTES:,} bytes. Get one with fewer claims.")
        key = await self._keys.find(_key_id(token))
        if key is None:
            raise InvalidToken("The JWT was signed with a key that its issuer does not publish. Sign in again.")
        return self._subject(_verified_claims(token, key, self._issuer))

    def _subject(self, payload: dict[str, Any]) -> TokenSubject:
        try:
            claims = msgspec.convert(payload, _Claims)
        except msgspec.ValidationError as error:
            raise InvalidToken(f"A claim of the JWT has the wrong type: {error}.") from None
        if not 0 < len(claims.sub) <= MAX_NAME_CHARS:
            raise InvalidToken(f"The claim 'sub' must have 1 to {MAX_NAME_CHARS} characters.")
        project = self._claimed_project(payload) or jwt_project(self._issuer.issuer, claims.sub)
        return TokenSubject(f"{self._issuer.issuer} {claims.sub}", project, claims.zero_retention)

    def _claimed_project(self, payload: dict[str, Any]) -> str | None:
        """Return the project that the operator's claim names; None without the setting or without the claim."""
        name = self._issuer.project_claim
        project = payload.get(name) if name else None
        if project is None:
            return None
        if not isinstance(project, str) or not 0 < len(project) <= MAX_NAME_CHARS:
            raise InvalidToken(f"The claim '{name}' must be a text of 1 to {MAX_NAME_CHARS} characters.")
        if is_reserved(project):
            raise InvalidToken(f"The claim '{name}' names a project that is reserved. Get a JWT with another one.")
        return project


def _key_id(token: str) -> str | None:
    """Return the ``kid`` of the unverified header."""
    import jwt

    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise InvalidToken("This is not a signed JWT.") from None
    if header.get("alg") not in ALGORITHMS.values():
        raise InvalidToken("The JWT must be signed with RS256, ES256 or EdDSA.")
    key_id: str | None = header.get("kid")
    return key_id


def _verified_claims(token: str, key: "VerifyingKey", issuer: TokenIssuer) -> dict[str, Any]:
    import jwt

    try:
        return jwt.decode(
            token,
            key.key,
            algorithms=[key.algorithm],
            issuer=issuer.issuer,
            audience=issuer.audience,
            leeway=LEEWAY_S,
            options={"require": ["exp", "iss", "aud", "sub"], "enforce_minimum_key_length": True},
        )
    except jwt.ExpiredSignatureError:
        raise InvalidToken("The JWT has expired. Sign in again.") from None
    except (jwt.ImmatureSignatureError, jwt.InvalidIssuedAtError):
        raise InvalidToken("The JWT is not valid yet. Check the clock of its issuer.") from None
    except jwt.InvalidIssuerError:
        raise InvalidToken("The JWT is of another issuer than the one that is trusted here.") from None
    except jwt.InvalidAudienceError:
        raise InvalidToken("The JWT is for another audience. Get one for this gateway from its issuer.") from None
    except jwt.MissingRequiredClaimError as error:
        raise InvalidToken(f"The JWT lacks the claim '{error.claim}'. Get one that has it from its issuer.") from None
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise InvalidToken("The JWT's signature is not that of its issuer's key. Sign in again.") from None
