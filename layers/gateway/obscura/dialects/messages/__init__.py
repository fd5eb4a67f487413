"""Anthropic Messages: requests read, passed on or translated to chat completions; answers told as messages."""
