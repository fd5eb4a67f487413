"""Hash lists: images that are known by their SHA-256 or by their PDQ hash, refused before any moderation."""
