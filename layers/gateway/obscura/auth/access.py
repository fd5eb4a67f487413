"""The door: the ports and limits by which callers are let in."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum

from obscura.access_record import AccessRecord
from obscura.auth.base import (
    ApiKey,
    Counter,
    KeyScope,
)
from obscura.auth.limits import (
    FREE_TIER_PROJECT,
    AccessControl,
    Address,
    enforce_rate_limit,
    free_tier_rate_subject,
    require_free_tier,
    reserve_free_request,
    unmetered_status,
)
from obscura.errors import (
    ClientDisconnected,
    InvalidApiKey,
    InvalidToken,
    MissingCredentials,
    ObscuraError,
    PermissionDenied,
    UpstreamUnavailable,
)

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
    """Return the SHA-256 under which a key is stored: 32 random bytes need no slow hash."""
    return hashlib.sha256(secret.encode()).digest()


def parse_credential(headers: Mapping[str, str]) -> Credential | None:
    """Return the credential in ``Authorization: Bearer`` or else in ``x-api-key``; None without any.

    Raises InvalidApiKey for what is neither a key nor, with its three parts, a JWT (RFC 7515 §3.1).
    """
    secret = _secret(headers)
    if secret is None:
        return None
    if secret.startswith(KEY_PREFIX):
        return Credential(CredentialKind.KEY, secret)
    if secret.count(".") == 2:
        return Credential(CredentialKind.TOKEN, secret)
    raise invalid_api_key()


def header_is_true(headers: Mapping[str, str], name: str) -> bool:
    """Whether a header such as ``x-free-tier`` says ``true`` or ``1``."""
    return headers.get(name, "").strip().lower() in {"true", "1"}


def wants_zero_retention(headers: Mapping[str, str]) -> bool:
    """Whether ``x-zero-retention`` says anything but no: a wrong word for yes must not cost privacy."""
    said = headers.get("x-zero-retention", "").lower().split(",")
    return any(word.strip() not in _NO for word in said)


def invalid_api_key() -> InvalidApiKey:
    """Return the one answer to every key that opens nothing."""
    return InvalidApiKey("This API key was not created here or is revoked. 'obscura keys create' makes a new one.")


def _secret(headers: Mapping[str, str]) -> str | None:
    authorization = headers.get("authorization")
    if authorization is None:
        return headers.get("x-api-key") or None
    scheme, _, credential = authorization.partition(" ")
    if scheme.lower() != "bearer" or not credential.strip():
        raise InvalidApiKey("The Authorization header must be 'Bearer' and a key or a token.")
    return credential.strip()


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who was let in."""

    project: str
    zero_retention: bool
    anonymous: bool = False


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """A request at the door: header names in lower case, and the address as the platform tells it.

    ``uses_free_quota`` says whether an unauthenticated request is one of the free tier's; others count by the minute.
    """

    headers: Mapping[str, str]
    address: Address | None
    scope: KeyScope
    record: AccessRecord
    uses_free_quota: bool = False


@dataclass(frozen=True, slots=True)
class Admission:
    """A caller, and the free tier's place that was taken, as the counters that can give it back."""

    caller: Principal
    place: Sequence[Counter] = field(default=())


async def authenticate(request: AccessRequest, access_control: AccessControl) -> Admission:
    """Let in the holder of a key or of a token, or an anonymous caller of the free tier; note what they may still do.

    Raises MissingCredentials, InvalidApiKey, InvalidToken, PermissionDenied, RateLimitExceeded, FreeTierExhausted; and
    UpstreamUnavailable when the store or the token issuer's keys cannot be reached.
    """
    credential = parse_credential(request.headers)
    if credential is None:
        return await _admit_free_tier(request, access_control)
    match credential.kind:
        case CredentialKind.KEY:
            return await _authenticate_key(credential, request, access_control)
        case CredentialKind.TOKEN:
            return await _authenticate_jwt(credential, request, access_control)


async def _authenticate_key(credential: Credential, request: AccessRequest, access_control: AccessControl) -> Admission:
    key = await access_control.keys.find(key_digest(credential.secret))
    if key is None:
        raise invalid_api_key()
    _require_scope(key, request.scope)
    limit = key.requests_per_minute or access_control.limits.key_requests_per_minute
    try:
        await enforce_rate_limit(f"key:{key.id}", limit, access_control, request.record)
    except UpstreamUnavailable:
        if not access_control.allow_cached_keys_in_outage:
            raise
        request.record.rate_limit = unmetered_status(limit, access_control)
    return Admission(Principal(key.project, key.zero_retention or wants_zero_retention(request.headers)))


async def _authenticate_jwt(credential: Credential, request: AccessRequest, access_control: AccessControl) -> Admission:
    if access_control.tokens is None:
        raise InvalidToken("No JWT is taken here: OBSCURA_JWKS_URL is not set. Send an API key.")
    holder = await access_control.tokens.verify(credential.secret)
    subject = hashlib.sha256(holder.subject.encode()).hexdigest()
    await enforce_rate_limit(
        f"jwt:{subject}", access_control.limits.jwt_requests_per_minute, access_control, request.record
    )
    return Admission(Principal(holder.project, holder.zero_retention or wants_zero_retention(request.headers)))


async def _admit_free_tier(request: AccessRequest, access_control: AccessControl) -> Admission:
    if not header_is_true(request.headers, "x-free-tier"):
        raise MissingCredentials(
            "No credentials. Send 'Authorization: Bearer obs_…' or 'x-api-key: obs_…'; "
            "'obscura keys create --project NAME' makes a key."
        )
    address = require_free_tier(access_control, request.address)
    caller = Principal(FREE_TIER_PROJECT, wants_zero_retention(request.headers), anonymous=True)
    if request.uses_free_quota:
        return Admission(caller, await reserve_free_request(address, access_control, request.record))
    subject = await free_tier_rate_subject(address, access_control.address_secret)
    await enforce_rate_limit(subject, access_control.limits.jwt_requests_per_minute, access_control, request.record)
    return Admission(caller)


def _require_scope(key: ApiKey, scope: KeyScope) -> None:
    if key.scopes and scope not in key.scopes:
        raise PermissionDenied(
            f"This API key is for {', '.join(sorted(key.scopes))} only. Use one that is for {scope}, or for all."
        )


_releasing: set[asyncio.Task[None]] = set()
"""Tasks under way; the event loop itself holds none of them."""


@asynccontextmanager
async def admission(request: AccessRequest, access_control: AccessControl) -> AsyncIterator[Principal]:
    """Let a caller in for as long as the context holds; raises what ``authenticate`` raises.

    The place of a request goes back once when it fails before anything was sent to moderation or to the upstream
    (``record.left_gateway``), or with a 5xx; one that was blocked keeps it, and one whose caller left meanwhile.
    """
    with request.record.step("admit"):
        admission = await authenticate(request, access_control)
    request.record.project = admission.caller.project
    request.record.zero_retention = admission.caller.zero_retention
    try:
        yield admission.caller
    except BaseException as failure:
        if admission.place and (not request.record.left_gateway or _is_server_error(failure)):
            await _release(admission, request.record, access_control)
        raise


def _is_server_error(failure: BaseException) -> bool:
    """Whether the request ends with a 5xx, Obscura's or the upstream's."""
    if isinstance(failure, ObscuraError):
        return failure.response_status >= 500
    return isinstance(failure, Exception) and not isinstance(failure, ClientDisconnected)


async def _release(admission: Admission, record: AccessRecord, access_control: AccessControl) -> None:
    """Return the place back even when the request's own task is cancelled; without the store it is lost."""

    async def give_back() -> None:
        with suppress(UpstreamUnavailable):
            await access_control.quotas.give_back(admission.place)
            record.rate_limit = record.rate_limit and record.rate_limit.plus_one()

    task = asyncio.create_task(give_back())
    _releasing.add(task)
    task.add_done_callback(_releasing.discard)
    await asyncio.shield(task)
