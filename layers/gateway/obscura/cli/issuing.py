"""Making API keys: 32 random bytes, shown once, stored as a SHA-256."""

import secrets
from datetime import UTC, datetime

from obscura.pipeline.admit import KEY_PREFIX, key_digest
from obscura.ports import ApiKey, Keys


async def issue_key(keys: Keys, project: str, *, zero_retention: bool = False) -> tuple[ApiKey, str]:
    """Create a key for a project; gives what is stored, and the secret that nobody can see again."""
    secret = KEY_PREFIX + secrets.token_urlsafe(32)
    key = ApiKey(f"key_{secrets.token_hex(8)}", project, zero_retention, datetime.now(UTC))
    await keys.add(key, key_digest(secret))
    return key, secret
