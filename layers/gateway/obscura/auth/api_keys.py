"""Making API keys: 32 random bytes, shown once, stored as a SHA-256."""

import secrets
from datetime import UTC, datetime

from obscura.auth.access import KEY_PREFIX, key_digest
from obscura.auth.base import ApiKey, ApiKeyStore


async def create_key(
    keys: ApiKeyStore,
    project: str,
    *,
    zero_retention: bool = False,
    scopes: frozenset[str] = frozenset(),
    requests_per_minute: int | None = None,
) -> tuple[ApiKey, str]:
    """Create a key for a project; gives what is stored, and the secret that nobody can see again."""
    secret = KEY_PREFIX + secrets.token_urlsafe(32)
    key = ApiKey(
        id=f"key_{secrets.token_hex(8)}",
        project=project,
        zero_retention=zero_retention,
        created_at=datetime.now(UTC),
        scopes=scopes,
        requests_per_minute=requests_per_minute,
    )
    await keys.add(key, key_digest(secret))
    return key, secret
