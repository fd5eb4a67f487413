"""Moderation by a server of the generic guardrail API (litellm-docs, ``adding_provider/generic_guardrail_api.md``)."""

import uuid
from collections.abc import Sequence
from typing import Any, Literal

import httpx
import msgspec

from obscura.moderation.base import Verdict
from obscura.moderation.openai import CONNECT_TIMEOUT_S, VERDICT_TIMEOUT_S, request_verdict, unavailable
from obscura.upstreams.http import basic_credentials, http_request

PATH = "/beta/litellm_basic_guardrail_api"
CATEGORY = "guardrail"
"""The one category: ``blocked_reason`` may quote what was blocked."""
READING_VERSION = 1


class _Answer(msgspec.Struct):
    """What is read of an answer. The action must be there: a page of another server is no verdict."""

    action: Literal["NONE", "BLOCKED", "GUARDRAIL_INTERVENED"]
    texts: list[Any] | None = None
    images: list[Any] | None = None


_answers = msgspec.json.Decoder(_Answer)


class GuardrailModerator:
    """``POST …/beta/litellm_basic_guardrail_api``, one image or one text in each; every failure fails closed.

    What the service wants changed counts as flagged: moderation lets content through as it is, or not at all.
    """

    local = False

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        base_url: str,
        key: str | None,
        timeout_s: float = VERDICT_TIMEOUT_S,
    ) -> None:
        """The path is appended to ``base_url`` unless it ends so; ``key`` goes out as ``x-api-key``."""
        base = base_url.rstrip("/")
        self._transport = transport
        self._url = httpx.URL(base if base.endswith(PATH) else base + PATH)
        self.identity = f"guardrail {self._url.copy_with(userinfo=b'')} {READING_VERSION}"
        self._timeout_s = timeout_s
        self._extensions = {"timeout": httpx.Timeout(None, connect=CONNECT_TIMEOUT_S).as_dict()}
        api_key = ((b"x-api-key", key.encode()),) if key else ()
        credentials = basic_credentials(self._url) + api_key
        self._headers = ((b"content-type", b"application/json"), (b"accept", b"application/json"), *credentials)

    async def review_image(self, data_url: bytes) -> Verdict:
        """Review one prepared image."""
        return await self._review((), (data_url.decode("ascii"),))

    async def review_text(self, text: str) -> Verdict:
        """Review one piece of text."""
        return await self._review((text,), ())

    async def _review(self, texts: Sequence[str], images: Sequence[str]) -> Verdict:
        request = http_request("POST", self._url, self._headers, _encode(texts, images), self._extensions)
        body = await request_verdict(self._transport, request, self._timeout_s)
        try:
            answer = _answers.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise unavailable("sent no valid verdict") from None
        changed = any(new and new != list(old) for new, old in ((answer.texts, texts), (answer.images, images)))
        flagged = answer.action != "NONE" or changed
        return Verdict(flagged, CATEGORY if flagged else None)


def _encode(texts: Sequence[str], images: Sequence[str]) -> bytes:
    """Write a request: every member is sent, null where there is nothing."""
    nothing = ("litellm_trace_id", "litellm_version", "model", "tools", "tool_calls", "structured_messages")
    return msgspec.json.encode(
        {
            "input_type": "request",
            "litellm_call_id": str(uuid.uuid4()),
            "texts": texts,
            "images": images or None,
            "request_data": {},
            "request_headers": None,
            "additional_provider_specific_params": {},
        }
        | dict.fromkeys(nothing)
    )
