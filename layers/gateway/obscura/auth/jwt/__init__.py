"""JWTs: the issuer's public keys, and the verification of a token."""
