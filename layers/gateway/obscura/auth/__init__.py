"""Who may ask, and how often: API keys, JWTs, the free tier, rate limits."""
