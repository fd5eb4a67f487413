"""Access control: API keys, JWTs, the free tier, rate limits."""
