"""OpenAI Responses (API reference, "Create a model response"): read, translated to chat completions and back."""

from obscura.wire.responses.dialect import ResponsesDialect

__all__ = ["ResponsesDialect"]
