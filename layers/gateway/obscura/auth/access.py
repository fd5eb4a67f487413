"""Access control: a request's credentials checked, its scope and limits enforced, its free request released if due."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from obscura.access_record import AccessRecord
from obscura.auth.api_keys import KEY_PREFIX, key_digest
from obscura.auth.base import ApiKey, KeyScope
from obscura.auth.limits import (
    FREE_TIER_PROJECT,
    AccessControl,
    Address,
    FreeRequest,
    enforce_free_tier_rate,
    enforce_rate_limit,
    network_quotas,
    refund_free_request,
    require_free_tier,
    reserve_free_request,
    unmetered_status,
)
from obscura.auth.projects import JWT_NAMESPACE
from obscura.dialects.base import CREDENTIAL_HEADERS
from obscura.errors import (
    ClientDisconnected,
    InvalidApiKey,
    InvalidToken,
    MissingCredentials,
    ObscuraError,
    PermissionDenied,
    StoreUnavailable,
)
from obscura.execution import Caller, work_for
from obscura.memory_budget import request_memory
from obscura.usage.base import Budget

JWT_SUBJECT = "jwt"
"""Whom the usage of every JWT is counted for."""

_FALSE = frozenset({"", "false", "0", "no", "off"})


@dataclass(frozen=True, slots=True)
class Principal:
    """An admitted caller.

    max_storage_bytes, max_files   the limits of its project's files, its key's own; None for the deployment's
    subject                        its key, its JWT's subject or its network, in this process's memory alone
    may_use_files                  False for a key whose scopes lack files
    is_admin                       whether its key is one of management
    usage_subject                  whom usage is counted for: its key's id, or what stands for other callers
    budgets                        how much its key may use
    """

    project: str
    zero_retention: bool
    anonymous: bool = False
    max_storage_bytes: int | None = None
    max_files: int | None = None
    subject: str = field(default="", repr=False)
    may_use_files: bool = True
    usage_subject: str = JWT_SUBJECT
    is_admin: bool = False
    budgets: tuple[Budget, ...] = ()

    @property
    def caller(self) -> Caller:
        """Whom its work is done for; the networks of the free tier are one group."""
        return Caller(self.subject, group=FREE_TIER_PROJECT if self.anonymous else "")


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """What access control reads of a request: headers with names in lower case, and the client's address.

    ``scope`` is what a key needs; None if any key will do.

    ``uses_free_quota``: an unauthenticated request is one of the free tier's; others are counted by the minute.
    """

    headers: Mapping[str, str]
    address: Address | None
    scope: KeyScope | None
    record: AccessRecord
    uses_free_quota: bool = False
    credential_headers: Sequence[str] = CREDENTIAL_HEADERS


@dataclass(frozen=True, slots=True)
class Admission:
    """A caller, and the free request that was reserved, if one was."""

    principal: Principal
    reservation: FreeRequest | None = None


@asynccontextmanager
async def admission(request: AccessRequest, access_control: AccessControl) -> AsyncIterator[Principal]:
    """Admit a caller for as long as the context holds; raises what ``authenticate`` raises.

    A free request is returned, once, if it fails before anything was sent to moderation or to the upstream
    (``record.left_gateway``), or with a 5xx, so many times a day. It stays counted if it was blocked, or if the client
    disconnected later (ADR 24, ADR 76).
    """
    record = request.record
    with record.timed_step("admit"):
        admitted = await authenticate(request, access_control)
    record.project = admitted.principal.project
    request_memory().belongs_to(record.project)
    caller = admitted.principal.caller
    work_for(caller.subject, caller.group)
    record.zero_retention = admitted.principal.zero_retention
    try:
        yield admitted.principal
    except BaseException as error:
        if admitted.reservation and (not record.left_gateway or _is_server_error(error)):
            await _release(admitted.reservation, record, access_control)
        raise


async def authenticate(request: AccessRequest, access_control: AccessControl) -> Admission:
    """Admit the holder of a key or of a JWT, or a client of the free tier; note what the rate limit leaves it.

    Raises MissingCredentials, InvalidApiKey, InvalidToken, PermissionDenied, RateLimitExceeded, FreeTierExhausted;
    StoreUnavailable, or UpstreamUnavailable if the JWT issuer's public keys cannot be fetched.
    """
    secret = _credential(request)
    if secret is None:
        return await _admit_free_tier(request, access_control)
    if secret.startswith(KEY_PREFIX):
        return await _authenticate_key(secret, request, access_control)
    if secret.count(".") == 2:  # the three parts of a JWT (RFC 7515 §3.1)
        return await _authenticate_jwt(secret, request, access_control)
    raise _invalid_api_key()


def wants_zero_retention(headers: Mapping[str, str]) -> bool:
    """Whether ``x-zero-retention`` has any value but a clear no: a misspelled yes must not cost privacy."""
    value = headers.get("x-zero-retention")
    return value is not None and not is_false(value)


def is_false(value: str) -> bool:
    """Whether every word of a header's value is a clear no."""
    return all(word.strip() in _FALSE for word in value.lower().split(","))


def _credential(request: AccessRequest) -> str | None:
    """Return the credential in the first of its headers that the request has; ``Authorization`` is a Bearer one."""
    for name in request.credential_headers:
        value = request.headers.get(name)
        if value is None:
            continue
        if name != "authorization":
            return value or None
        scheme, _, credential = value.partition(" ")
        credential = credential.strip()
        if scheme.lower() != "bearer" or not credential:
            raise InvalidApiKey("The Authorization header must be 'Bearer' and a key or a JWT.")
        return credential
    return None


def _invalid_api_key() -> InvalidApiKey:
    return InvalidApiKey("This API key was not created here or is revoked. 'obscura keys create' makes a new one.")


async def _authenticate_key(secret: str, request: AccessRequest, access_control: AccessControl) -> Admission:
    key = await access_control.keys.find(key_digest(secret))
    if key is None:
        raise _invalid_api_key()
    _require_scope(key, request.scope)
    if key.project.startswith(JWT_NAMESPACE):  # of an earlier version, which took any name
        raise PermissionDenied(f"This API key's project has a reserved name ('{JWT_NAMESPACE}…'). Use another key.")
    limit = key.requests_per_minute or access_control.limits.key_requests_per_minute
    subject = f"key:{key.id}"
    try:
        await enforce_rate_limit(subject, limit, access_control, request.record, key.shards)
    except StoreUnavailable:
        if not access_control.allow_cached_keys_in_outage:
            raise
        request.record.rate_limit = unmetered_status(limit, access_control)
    zero_retention = key.zero_retention or wants_zero_retention(request.headers)
    return Admission(
        Principal(
            key.project,
            zero_retention,
            max_storage_bytes=key.max_storage_bytes,
            max_files=key.max_files,
            subject=subject,
            may_use_files=not key.scopes or KeyScope.FILES in key.scopes,
            usage_subject=key.id,
            is_admin=key.allows(KeyScope.ADMIN),
            budgets=key.budgets,
        )
    )


def _require_scope(key: ApiKey, scope: KeyScope | None) -> None:
    if scope is None or key.allows(scope):
        return
    if scope is KeyScope.ADMIN:
        raise _admin_key_needed()
    raise PermissionDenied(
        f"This API key is for {', '.join(sorted(key.scopes))} only. Use one that is for {scope}, or for all."
    )


def _admin_key_needed() -> PermissionDenied:
    return PermissionDenied(
        "This endpoint is for API keys of the scope admin: 'obscura keys create --project NAME --scope admin'."
    )


async def _authenticate_jwt(token: str, request: AccessRequest, access_control: AccessControl) -> Admission:
    if access_control.tokens is None:
        raise InvalidToken("No JWT is accepted here: OBSCURA_JWKS_URL is not set. Send an API key.")
    verified = await access_control.tokens.verify(token)
    if request.scope is KeyScope.ADMIN:
        raise _admin_key_needed()
    subject = f"jwt:{hashlib.sha256(verified.subject.encode()).hexdigest()}"
    limit = access_control.limits.jwt_requests_per_minute
    await enforce_rate_limit(subject, limit, access_control, request.record)
    zero_retention = verified.zero_retention or wants_zero_retention(request.headers)
    return Admission(Principal(verified.project, zero_retention, subject=subject))


async def _admit_free_tier(request: AccessRequest, access_control: AccessControl) -> Admission:
    if request.headers.get("x-free-tier", "").strip().lower() not in {"true", "1"}:
        raise MissingCredentials(
            "No credentials. Send 'Authorization: Bearer obs_…' or 'x-api-key: obs_…'; "
            "'obscura keys create --project NAME' makes a key."
        )
    address = require_free_tier(access_control, request.address)
    network = network_quotas(address)[0].network
    principal = Principal(
        FREE_TIER_PROJECT,
        wants_zero_retention(request.headers),
        anonymous=True,
        subject=f"network:{network}",
        usage_subject=FREE_TIER_PROJECT,
    )
    if request.uses_free_quota:
        return Admission(principal, await reserve_free_request(address, access_control, request.record))
    await enforce_free_tier_rate(address, access_control, request.record)
    return Admission(principal)


def _is_server_error(error: BaseException) -> bool:
    """Whether the request ends with a 5xx, Obscura's or the upstream's."""
    if isinstance(error, ObscuraError):
        return error.response_status >= 500
    return isinstance(error, Exception) and not isinstance(error, ClientDisconnected)


_releasing: set[asyncio.Task[None]] = set()
"""Tasks under way: the event loop itself holds no strong reference to them."""


async def _release(reservation: FreeRequest, record: AccessRecord, access_control: AccessControl) -> None:
    """Return a free request even if the request's own task is cancelled; without the store it stays counted."""

    async def release() -> None:
        with suppress(StoreUnavailable):
            if await refund_free_request(reservation, access_control):
                record.rate_limit = record.rate_limit and record.rate_limit.plus_one()

    task = asyncio.create_task(release())
    _releasing.add(task)
    task.add_done_callback(_releasing.discard)
    await asyncio.shield(task)
