"""The Protocols of access control: API keys, JWTs, counters of requests, the address secret."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol, Self

from obscura.usage.base import Budget


class KeyScope(StrEnum):
    """What a key may be limited to: one family of endpoints each."""

    CHAT = "chat"
    MESSAGES = "messages"
    RESPONSES = "responses"
    FILES = "files"
    MODELS = "models"
    POLICY = "policy"
    IMAGES = "images"
    INSPECT = "inspect"
    ADMIN = "admin"
    """Management. No key has it that does not name it, and it opens nothing else."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A stored key, without its secret.

    Without ``scopes`` it is for every family but those of ``KeyScope.ADMIN``; without ``requests_per_minute``,
    ``max_storage_bytes`` or ``max_files`` the deployment's limit holds.
    """

    id: str
    project: str
    zero_retention: bool
    created_at: datetime
    revoked_at: datetime | None = None
    scopes: frozenset[str] = frozenset()
    requests_per_minute: int | None = None
    max_storage_bytes: int | None = None
    max_files: int | None = None
    shards: int = 1
    """Over how many counters its requests are counted: more than one item of a store can be (ADR 143)."""
    budgets: tuple[Budget, ...] = ()

    def allows(self, scope: KeyScope) -> bool:
        """Whether it may call the endpoints of a scope."""
        return scope in self.scopes if self.scopes else scope is not KeyScope.ADMIN


class ApiKeyStore(Protocol):
    """API keys, stored under the SHA-256 of the secret. Every method raises StoreUnavailable."""

    async def find(self, secret_sha256: bytes) -> ApiKey | None:
        """Return the key with this 32-byte digest, or None if there is none or it is revoked."""
        ...

    async def add(self, key: ApiKey, secret_sha256: bytes) -> None:
        """Store a new key; its id and digest are unique."""
        ...

    async def list_all(self) -> Sequence[ApiKey]:
        """Return every key ever created, revoked ones included, oldest first."""
        ...

    async def revoke(self, key_id: str, at: datetime) -> bool:
        """Revoke a key at once; False if there is no such live key."""
        ...


@dataclass(frozen=True, slots=True)
class TokenSubject:
    """Who a valid JWT authenticates; ``subject`` is unique across issuers, and requests are counted by it."""

    subject: str
    project: str
    zero_retention: bool


class TokenVerifier(Protocol):
    """JWTs of the operator's identity provider."""

    async def verify(self, token: str) -> TokenSubject:
        """Return the subject of a valid JWT.

        Raises InvalidToken, or UpstreamUnavailable while the provider's public keys cannot be fetched.
        """
        ...


MIN_KEPT_S = 3600


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time in which requests are counted, in whole seconds since 1970."""

    begins_at_s: int
    length_s: int

    @classmethod
    def around(cls, instant: datetime, length_s: int) -> Self:
        """Return the window that contains ``instant``; windows follow each other from 1970 on."""
        now_s = int(instant.timestamp())
        return cls(now_s - now_s % length_s, length_s)

    @property
    def ends_at_s(self) -> int:
        """The first second after it."""
        return self.begins_at_s + self.length_s

    @property
    def kept_until_s(self) -> int:
        """The first second at which a store may forget its counts.

        A clock that ran ahead, by up to two days for windows of a day, finds them again when it is set back; and a
        request that lasts past the end of its window can still be released.
        """
        return self.ends_at_s + max(MIN_KEPT_S, 2 * self.length_s)

    def seconds_left(self, instant: datetime) -> int:
        """Return how long it lasts from ``instant`` on, at least one second."""
        return max(1, self.ends_at_s - int(instant.timestamp()))


@dataclass(frozen=True, slots=True)
class Counter:
    """The requests of one subject in a window, and how many there may be."""

    subject: str
    window: Window
    limit: int


class RateCounter(Protocol):
    """Counts of requests without a limit. Raises StoreUnavailable; the request may or may not have been counted."""

    async def increment(self, subject: str, window: Window) -> int:
        """Count one request, and return the count that includes it; exact under any concurrency."""
        ...


class Paused(Exception):
    """No request is reserved of a paused counter, before ``until_s`` in whole seconds since 1970."""

    def __init__(self, until_s: int) -> None:
        super().__init__(until_s)
        self.until_s = until_s


class QuotaStore(Protocol):
    """Counts of requests that never exceed their limits. Every method raises StoreUnavailable."""

    async def reserve(self, counters: Sequence[Counter], at_s: int | None = None) -> int | None:
        """Count one request in all of ``counters`` or in none; exact under any concurrency.

        Return how many are left of the first counter, or an upper bound if the store does not report it; None if one
        of the counters is at its limit. With ``at_s``, the time in whole seconds since 1970, raises Paused if one of
        them is paused beyond it.
        """
        ...

    async def release(self, counters: Sequence[Counter], refunds: Sequence[Counter] = ()) -> bool:
        """Take one request off all ``counters`` and count one in all ``refunds``, or do neither; at most once.

        False if one of ``refunds`` is at its limit, or one of ``counters`` at zero. Exact under any concurrency.
        """
        ...

    async def reserve_shared(self, counter: Counter) -> int | None:
        """Count one request of a counter that all callers share; return how many are left, None at its limit.

        Writers wait for each other and do not conflict. Never more than the limit, under any concurrency; a request
        whose connection to the store was lost may count twice. Such a counter is in no call of ``reserve``.
        """
        ...

    async def release_shared(self, counter: Counter) -> None:
        """Take one request off a counter of ``reserve_shared``, at most once; none off one at zero."""
        ...

    async def pause(self, counter: Counter, until_s: int) -> None:
        """Let no request of a counter be reserved before ``until_s``; a later pause is not shortened."""
        ...

    async def used(self, counters: Sequence[Counter]) -> list[int]:
        """Return the count of each."""
        ...

    async def reset(self, counters: Sequence[Counter]) -> None:
        """Set each to zero, and end its pause."""
        ...


class AddressSecret(Protocol):
    """The secret under which client networks are stored, so that the store does not reveal their addresses."""

    async def read(self) -> bytes:
        """Return the one secret of this deployment; raises StoreUnavailable."""
        ...
