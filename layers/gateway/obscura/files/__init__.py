"""Files by id and uploads in parts: stored, found, deleted."""
