"""Anthropic's Messages API, and other servers that speak it."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from obscura.dialects.base import UpstreamBody
from obscura.errors import ObscuraError, UnsupportedOperation
from obscura.upstreams.base import ModelListing, RawHeaders, StreamDecoder, UpstreamRequest
from obscura.upstreams.json_api import JSON_HEADERS, PATHS, bearer, decode_model_list, error_from_upstream, is_sse

ANTHROPIC_KEY_PREFIX = "sk-ant-api"
_HEADERS = (*JSON_HEADERS, (b"anthropic-version", b"2023-06-01"))


class AnthropicUpstream:
    """``POST /messages`` and ``/messages/count_tokens``; chat completions at ``/chat/completions`` of the same server.

    A key of Anthropic's own goes out as ``x-api-key`` (API reference, "Authentication"): the Messages API rejects it as
    a bearer token. Other servers of Messages (vLLM) take nothing but a bearer token.
    """

    speaks: ClassVar = frozenset({"chat", "messages"})
