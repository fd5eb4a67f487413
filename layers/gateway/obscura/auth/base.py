"""Who may ask, and how often."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol, Self

from obscura.access_record import RateLimitStatus


class KeyScope(StrEnum):
    """What a key may be limited to: a family of endpoints each."""

    CHAT = "chat"
    MESSAGES = "messages"
    RESPONSES = "responses"
    FILES = "files"
    MODELS = "models"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as the store knows it: never the key itself, only what its SHA-256 unlocks.

    Without ``scopes`` it opens every family; without ``requests_per_minute`` the deployment's limit holds.
    """

    id: str
    project: str
    zero_retention: bool
    created_at: datetime
    revoked_at: datetime | None = None
    scopes: frozenset[str] = frozenset()
    requests_per_minute: int | None = None


class ApiKeyStore(Protocol):
    """API keys, stored under the SHA-256 of the secret. Every call raises UpstreamUnavailable without its store."""

    async def find(self, secret_sha256: bytes) -> ApiKey | None:
        """Return the key with this 32-byte digest, or None when there is none or it is revoked."""
        ...

    async def add(self, key: ApiKey, secret_sha256: bytes) -> None:
        """Store a new key; its id and digest are unique."""
        ...

    async def all(self) -> Sequence[ApiKey]:
        """Every key ever created, revoked ones included, oldest first."""
        ...

    async def revoke(self, key_id: str, at: datetime) -> bool:
        """Revoke a key at once; False when there is no such live key."""
        ...


@dataclass(frozen=True, slots=True)
class TokenSubject:
    """Whom a valid token speaks for; ``subject`` is unique across issuers, and so is counted by."""

    subject: str
    project: str
    zero_retention: bool


class TokenVerifier(Protocol):
    """JWTs of the operator's identity provider."""

    async def verify(self, token: str) -> TokenSubject:
        """Return the holder of a valid token.

        Raises InvalidToken, or UpstreamUnavailable while the provider's keys cannot be had.
        """
        ...


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time in which something is counted, in whole seconds since 1970."""

    begins_at_s: int
    length_s: int

    @classmethod
    def around(cls, instant: datetime, length_s: int) -> Self:
        """Return the window that ``instant`` falls into, where windows follow each other from 1970 on."""
        now_s = int(instant.timestamp())
        return cls(now_s - now_s % length_s, length_s)

    @property
    def ends_at_s(self) -> int:
        """The first second that is no longer in it."""
        return self.begins_at_s + self.length_s

    def seconds_left(self, instant: datetime) -> int:
        """Return how long it lasts from ``instant`` on, at least one second."""
        return max(1, self.ends_at_s - int(instant.timestamp()))


@dataclass(frozen=True, slots=True)
class Counter:
    """What is counted in a window for one subject, and how many there may be."""

    subject: str
    window: Window
    limit: int

    def status(self, remaining: int) -> RateLimitStatus:
        """Return what the response headers say when ``remaining`` are left."""
        return RateLimitStatus(self.limit, max(0, remaining), self.window.ends_at_s)


class RateCounter(Protocol):
    """Counts of requests. Raises UpstreamUnavailable when the store cannot be reached, counted or not."""

    async def count(self, counter: Counter) -> int:
        """Count one request, and give how many there are with it; exact under any concurrency."""
        ...


class QuotaStore(Protocol):
    """Places of which each window has a few. Raises UpstreamUnavailable when the store cannot be reached."""

    async def take(self, counters: Sequence[Counter]) -> int | None:
        """Take a place in all of ``counters`` or in none, exactly as many as there are under any concurrency.

        Gives how many are left of the first counter, or the most that can be where the store does not tell; None when
        one of them is full.
        """
        ...

    async def give_back(self, counters: Sequence[Counter]) -> None:
        """Return one place back in all of them, at most once."""
        ...

    async def taken(self, counters: Sequence[Counter]) -> list[int]:
        """Return how many places of each are taken."""
        ...

    async def forget(self, counters: Sequence[Counter]) -> None:
        """Make all places of each free again."""
        ...


class AddressSecret(Protocol):
    """The secret under which client networks are stored, so that the store does not tell who they are."""

    async def read(self) -> bytes:
        """Return the one secret of this deployment; raises UpstreamUnavailable when it cannot be had."""
        ...
