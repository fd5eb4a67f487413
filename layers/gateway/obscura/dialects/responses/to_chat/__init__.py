"""A Responses request as a chat completion request; a field without counterpart is rejected by name (ADR 11)."""
