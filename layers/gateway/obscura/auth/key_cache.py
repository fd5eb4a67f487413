"""Keys that were found lately, so that most requests need no look into the store."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

from obscura.auth.base import ApiKey, ApiKeyStore
from obscura.errors import UpstreamUnavailable

MAX_CACHED_KEYS = 4096


@dataclass(frozen=True, slots=True)
class KeyCacheTtl:
    """For how long a found key is believed, in seconds: without asking, and while the store cannot be asked."""

    fresh_s: float
    in_outage_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _CachedKey:
    key: ApiKey
    found_at_s: float


class CachingKeyStore:
    """A store of keys with a memory in this process: by digest, and only of keys that were found."""

    def __init__(self, keys: ApiKeyStore, memory: KeyCacheTtl, now_s: Callable[[], float] = monotonic) -> None:
        """``keys`` is asked for what is not remembered; ``now_s`` is a clock that never goes back."""
        self._keys = keys
        self._memory = memory
        self._now_s = now_s
        self._found: dict[bytes, _CachedKey] = {}

    async def find(self, secret_sha256: bytes) -> ApiKey | None:
        """Return the live key with this digest; a revoked one for up to ``fresh_s`` more."""
        remembered = self._found.get(secret_sha256)
        if remembered and self._now_s() - remembered.found_at_s < self._memory.fresh_s:
            return remembered.key
        try:
            key = await self._keys.find(secret_sha256)
        except UpstreamUnavailable:
            if remembered and self._now_s() - remembered.found_at_s < self._memory.in_outage_s:
                return remembered.key
            raise
        self._found.pop(secret_sha256, None)
        if key is not None:
            if len(self._found) >= MAX_CACHED_KEYS:
                self._found.pop(next(iter(self._found)))
            self._found[secret_sha256] = _CachedKey(key, self._now_s())
        return key

    async def add(self, key: ApiKey, secret_sha256: bytes) -> None:
        """Store a new key."""
        await self._keys.add(key, secret_sha256)

    async def all(self) -> Sequence[ApiKey]:
        """Every key, oldest first."""
        return await self._keys.all()

    async def revoke(self, key_id: str, at: datetime) -> bool:
        """Revoke a live key."""
        return await self._keys.revoke(key_id, at)
