"""Servers that speak Anthropic's Messages: Anthropic itself, and vLLM beside OpenAI's dialects."""

from typing import ClassVar

from obscura.dialects.base import UpstreamBody
from obscura.upstreams.base import RawHeaders, UpstreamRequest
from obscura.upstreams.openai import OpenAIUpstream

MESSAGES_PATH = "/messages"
_OWN_PATHS = (MESSAGES_PATH, "/files")
ANTHROPIC_VERSION = b"2023-06-01"
"""Sent for a caller who names none."""
_VERSION_HEADER = b"anthropic-version"
ANTHROPIC_KEY_PREFIX = "sk-ant-api"


class AnthropicUpstream(OpenAIUpstream):
    """Adds ``/messages`` and ``/messages/count_tokens`` to OpenAI's paths, with the headers of Anthropic's API.

    Anthropic's own keys go out as ``x-api-key`` there (API reference, "Authentication"): the Messages API rejects them
    as bearer tokens, and other servers of Messages (vLLM) take nothing but bearer tokens.
    """

    speaks: ClassVar[frozenset[str]] = OpenAIUpstream.speaks | {"messages"}

    def __init__(self, key: str | None) -> None:
        super().__init__(key)
        own_key = key is not None and key.startswith(ANTHROPIC_KEY_PREFIX)
        self._messages_credentials = ((b"x-api-key", key.encode()),) if key and own_key else self._credentials

    def encode(self, body: UpstreamBody) -> UpstreamRequest:
        """Write a request; see ``UpstreamDialect``."""
        if body.dialect != "messages":
            return super().encode(body)
        path = f"{MESSAGES_PATH}/count_tokens" if body.counts_tokens else MESSAGES_PATH
        headers = self._headers(body)
        if all(name != _VERSION_HEADER for name, _ in body.headers):
            headers += ((_VERSION_HEADER, ANTHROPIC_VERSION),)
        return UpstreamRequest(f"{path}?{body.query}" if body.query else path, headers, body.body)

    def authorize(self, request: UpstreamRequest, url: str) -> RawHeaders:
        """Return the key's header; see ``UpstreamDialect``."""
        return self._messages_credentials if request.path.startswith(_OWN_PATHS) else self._credentials
