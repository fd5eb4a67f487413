"""API keys: 32 random bytes, shown once, stored under their SHA-256, and cached after they were found."""

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

from obscura.auth.base import ApiKey, ApiKeyStore
from obscura.auth.projects import ReservedProject, is_reserved
from obscura.clock import Clock, SystemClock
from obscura.errors import StoreUnavailable
from obscura.usage.base import Budget

KEY_PREFIX = "obs_"
MAX_CACHED_KEYS = 4096


def key_digest(secret: str) -> bytes:
    """Return the SHA-256 under which a key is stored: 32 random bytes need no slow hash."""
    return hashlib.sha256(secret.encode()).digest()


async def create_key(  # noqa: PLR0913 the fields of the key
    keys: ApiKeyStore,
    project: str,
    *,
    zero_retention: bool = False,
    scopes: frozenset[str] = frozenset(),
    requests_per_minute: int | None = None,
    max_storage_bytes: int | None = None,
    max_files: int | None = None,
    shards: int = 1,
    budgets: tuple[Budget, ...] = (),
    clock: Clock | None = None,
) -> tuple[ApiKey, str]:
    """Create a key for a project; return what is stored, and the secret, which cannot be read again.

    Raises ReservedProject for a name that reads like a JWT's project or the free tier's.
    """
    if is_reserved(project):
        raise ReservedProject(project)
    secret = KEY_PREFIX + secrets.token_urlsafe(32)
    key = ApiKey(
        id=f"key_{secrets.token_hex(8)}",
        project=project,
        zero_retention=zero_retention,
        created_at=(clock or SystemClock()).now(),
        scopes=scopes,
        requests_per_minute=requests_per_minute,
        max_storage_bytes=max_storage_bytes,
        max_files=max_files,
        shards=shards,
        budgets=budgets,
    )
    await keys.add(key, key_digest(secret))
    return key, secret


@dataclass(frozen=True, slots=True)
class KeyCacheTtl:
    """For how many seconds a cached key is valid: in normal operation, and while the store cannot be reached."""

    normal_s: float
    outage_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _CachedKey:
    key: ApiKey
    found_at_s: float


class CachingKeyStore:
    """A store of keys with a cache in this process, by digest; only keys that were found are cached (ADR 21)."""

    def __init__(self, keys: ApiKeyStore, ttl: KeyCacheTtl, now_s: Callable[[], float] = monotonic) -> None:
        """``keys`` is the store; ``now_s`` is a clock that never goes back."""
        self._keys = keys
        self._ttl = ttl
        self._now_s = now_s
        self._cache: dict[bytes, _CachedKey] = {}

    async def find(self, secret_sha256: bytes) -> ApiKey | None:
        """Return the live key with this digest; a revoked one for up to ``normal_s`` more."""
        cached = self._cache.get(secret_sha256)
        if cached and self._now_s() - cached.found_at_s < self._ttl.normal_s:
            return cached.key
        try:
            key = await self._keys.find(secret_sha256)
        except StoreUnavailable:
            if cached and self._now_s() - cached.found_at_s < self._ttl.outage_s:
                return cached.key
            raise
        self._cache.pop(secret_sha256, None)
        if key is not None:
            if len(self._cache) >= MAX_CACHED_KEYS:
                self._cache.pop(next(iter(self._cache)))
            self._cache[secret_sha256] = _CachedKey(key, self._now_s())
        return key

    async def add(self, key: ApiKey, secret_sha256: bytes) -> None:
        """Store a new key."""
        await self._keys.add(key, secret_sha256)

    async def list_all(self) -> Sequence[ApiKey]:
        """Return every key, oldest first."""
        return await self._keys.list_all()

    async def revoke(self, key_id: str, at: datetime) -> bool:
        """Revoke a live key."""
        return await self._keys.revoke(key_id, at)
