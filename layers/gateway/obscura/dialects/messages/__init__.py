"""Anthropic Messages: requests passed on or translated to chat completions, responses translated back."""
