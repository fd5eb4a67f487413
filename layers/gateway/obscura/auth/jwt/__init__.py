"""JWTs of an identity provider whose public keys stand at a URL (RFC 7519, RFC 7517)."""
