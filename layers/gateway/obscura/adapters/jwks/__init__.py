"""JWTs of an identity provider whose public keys stand at a URL (RFC 7519, RFC 7517)."""

from obscura.adapters.jwks.key_set import fetch_key_set
from obscura.adapters.jwks.published_keys import PublishedKeys
from obscura.adapters.jwks.tokens import JwksTokens, Provider

__all__ = ["JwksTokens", "Provider", "PublishedKeys", "fetch_key_set"]
