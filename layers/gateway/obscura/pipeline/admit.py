"""Admit: who is asking, may they, and have they asked too often."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from obscura.errors import InvalidToken, MissingCredentials, PermissionDenied, UpstreamUnavailable
from obscura.pipeline.credentials import (
    Credential,
    CredentialKind,
    asks_for,
    asks_for_zero_retention,
    credential_of,
    invalid_key,
    key_digest,
)
from obscura.pipeline.door import Door
from obscura.pipeline.free_tier import PROJECT, check_open, glance_subject, take_place
from obscura.pipeline.journal import RequestJournal
from obscura.pipeline.networks import Address
from obscura.pipeline.rates import count_request, uncounted
from obscura.ports import ApiKey, Counter, Scope


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who was let in."""

    project: str
    zero_retention: bool
    anonymous: bool = False


@dataclass(frozen=True, slots=True)
class Knock:
    """A request at the door: header names in lower case, and the address as the platform tells it.

    ``takes_place`` says whether an anonymous caller's request is one of the free tier's; others count by the minute.
    """

    headers: Mapping[str, str]
    address: Address | None
    scope: Scope
    journal: RequestJournal
    takes_place: bool = False


@dataclass(frozen=True, slots=True)
class Admission:
    """A caller, and the free tier's place that was taken, as the counters that can give it back."""

    caller: Caller
    place: Sequence[Counter] = field(default=())


async def admit(knock: Knock, door: Door) -> Admission:
    """Let in the holder of a key or of a token, or an anonymous caller of the free tier; note what they may still do.

    Raises MissingCredentials, InvalidApiKey, InvalidToken, PermissionDenied, RateLimitExceeded, FreeTierExhausted; and
    UpstreamUnavailable when the store or the token issuer's keys cannot be reached.
    """
    credential = credential_of(knock.headers)
    if credential is None:
        return await _admit_anonymous(knock, door)
    match credential.kind:
        case CredentialKind.KEY:
            return await _admit_key(credential, knock, door)
        case CredentialKind.TOKEN:
            return await _admit_token(credential, knock, door)


async def _admit_key(credential: Credential, knock: Knock, door: Door) -> Admission:
    key = await door.keys.find(key_digest(credential.secret))
    if key is None:
        raise invalid_key()
    _check_scope(key, knock.scope)
    limit = key.requests_per_minute or door.limits.key_requests_per_minute
    try:
        await count_request(f"key:{key.id}", limit, door, knock.journal)
    except UpstreamUnavailable:
        if not door.open_in_outage:
            raise
        knock.journal.allowance = uncounted(limit, door)
    return Admission(Caller(key.project, key.zero_retention or asks_for_zero_retention(knock.headers)))


async def _admit_token(credential: Credential, knock: Knock, door: Door) -> Admission:
    if door.tokens is None:
        raise InvalidToken("No JWT is taken here: OBSCURA_JWKS_URL is not set. Send an API key.")
    holder = await door.tokens.verify(credential.secret)
    subject = hashlib.sha256(holder.subject.encode()).hexdigest()
    await count_request(f"jwt:{subject}", door.limits.jwt_requests_per_minute, door, knock.journal)
    return Admission(Caller(holder.project, holder.zero_retention or asks_for_zero_retention(knock.headers)))


async def _admit_anonymous(knock: Knock, door: Door) -> Admission:
    if not asks_for(knock.headers, "x-free-tier"):
        raise MissingCredentials(
            "No credentials. Send 'Authorization: Bearer obs_…' or 'x-api-key: obs_…'; "
            "'obscura keys create --project NAME' makes a key."
        )
    address = check_open(door, knock.address)
    caller = Caller(PROJECT, asks_for_zero_retention(knock.headers), anonymous=True)
    if knock.takes_place:
        return Admission(caller, await take_place(address, door, knock.journal))
    subject = await glance_subject(address, door.address_secret)
    await count_request(subject, door.limits.jwt_requests_per_minute, door, knock.journal)
    return Admission(caller)


def _check_scope(key: ApiKey, scope: Scope) -> None:
    if key.scopes and scope not in key.scopes:
        raise PermissionDenied(
            f"This API key is for {', '.join(sorted(key.scopes))} only. Use one that is for {scope}, or for all."
        )
