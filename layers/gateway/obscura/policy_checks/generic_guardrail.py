"""The generic guardrail API as a client (litellm-docs, ``adding_provider/generic_guardrail_api.md``).

The URL stands in a policy, which an admin of the API writes and not the operator: it obeys the rules of image URLs
(https, port 443, public addresses, checked after the name is resolved), but for the origins of
``OBSCURA_POLICY_CHECK_ALLOW`` (ADR 98).
"""

import asyncio
import ssl
import uuid
from collections.abc import Collection, Sequence
from typing import Any

import httpcore
import msgspec

from obscura.fetch.addresses import is_globally_routable
from obscura.fetch.errors import FetchRejected
from obscura.fetch.network import GuardedNetwork, Resolve, SystemResolver
from obscura.fetch.policy import ImageUrl, parse_image_url, parse_origin, require_allowed
from obscura.httpclient.tls import tls
from obscura.policy.document import ExternalCheck
from obscura.policy.facts import CheckResult, RequestFacts

PATH = "/beta/litellm_basic_guardrail_api"
ATTEMPTS = 2
"""After a connection that was refused or broke there is one more attempt; none after a status or the time limit."""

MAX_ANSWER_BYTES = 16 * 1024 * 1024
"""An answer may repeat every text."""

SMALL_CHARS = 100_000
"""More than this is encoded in a thread."""

_BROKEN = (httpcore.NetworkError, httpcore.ConnectTimeout, httpcore.RemoteProtocolError, OSError)


class _Answer(msgspec.Struct):
    """Members that are read; a missing action is NONE, and NONE returns no lists."""

    action: str | None = None
    texts: list[Any] | None = None
    images: list[Any] | None = None
    structured_messages: list[Any] | None = None
    tools: list[Any] | None = None


_answers = msgspec.json.Decoder(_Answer)


class CheckFailed(Exception):
    """A check without a result; ``str`` is shown to callers, and names no host, address or word of the service."""


class GenericGuardrailClient:
    """Implements ``CheckClient``. Each check has a connection of its own, closed at its end (ADR 2)."""

    def __init__(
        self,
        allowed_origins: Collection[str] = (),
        resolve: Resolve | None = None,
        ssl_context: ssl.SSLContext | None = None,
        network: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        """``allowed_origins`` are exempt from the rules on scheme, port and address; ValueError if malformed."""
        self._allowed = frozenset(parse_origin(text) for text in allowed_origins)
        self._system_resolver = SystemResolver()
        self._resolve = resolve or self._system_resolver
        self._ssl_context = ssl_context
        self._network = network or httpcore.AnyIOBackend()

    async def ask(
        self, check: ExternalCheck, facts: RequestFacts, image_urls: Sequence[str], *, output: bool = False
    ) -> CheckResult:
        """Return a check's result within its time limit; see ``CheckClient``.

        Changed texts and images come back in the result. An answer that changes what was not sent (messages, tools), or
        another number of texts or images, blocks: to pass on what the service wanted changed would be to pass it
        unchecked.
        """
        try:
            async with asyncio.timeout(check.timeout_ms / 1000):
                answer = await self._post(
                    _url(check.url), await _encode(facts, image_urls, output=output or check.direction == "output")
                )
            return _result(check.name, answer, facts.texts, image_urls)
        except TimeoutError:
            return CheckResult(check.name, failed=f"no answer within {check.timeout_ms} ms")
        except CheckFailed as failure:
            return CheckResult(check.name, failed=str(failure))
        except Exception:  # whatever a hostile service can make a library raise is a failed check
            return CheckResult(check.name, failed="no valid answer")

    async def aclose(self) -> None:
        """Stop the resolver's threads."""
        self._system_resolver.close()

    async def _post(self, url: ImageUrl, body: bytes) -> _Answer:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._attempt(url, body)
            except FetchRejected:
                raise CheckFailed("its address is not allowed") from None
            except _BROKEN:
                if attempt == ATTEMPTS:
                    raise CheckFailed("cannot be reached") from None
        raise AssertionError("the last attempt returns or raises")

    async def _attempt(self, url: ImageUrl, body: bytes) -> _Answer:
        require_allowed(url, self._allowed)
        origin = url.origin
        may_reach = _any_address if origin in self._allowed else is_globally_routable
        network = GuardedNetwork(self._network, self._resolve, may_reach)
        ssl_context = (self._ssl_context or await tls()) if origin.scheme == "https" else None
        target = httpcore.URL(scheme=origin.scheme, host=origin.host, port=origin.port, target=url.target)
        headers = (
            ("Host", origin.authority),
            ("User-Agent", "obscura"),
            ("Content-Type", "application/json"),
            ("Accept", "application/json"),
            ("Accept-Encoding", "identity"),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
        )
        connection = httpcore.AsyncHTTPConnection(
            origin=target.origin, ssl_context=ssl_context, network_backend=network
        )
        try:
            response = await connection.handle_async_request(
                httpcore.Request("POST", target, headers=headers, content=body)
            )
            if response.status != 200:
                raise CheckFailed(f"status {response.status}")
            return await _read(response)
        finally:
            await network.aclose()


def _url(text: str) -> ImageUrl:
    """Return the URL that is asked: ``PATH`` is appended to its path unless that ends so."""
    base, mark, query = text.partition("#")[0].partition("?")
    base = base.rstrip("/")
    try:
        return parse_image_url((base if base.endswith(PATH) else base + PATH) + mark + query)
    except FetchRejected:
        raise CheckFailed("its address is not allowed") from None


async def _encode(facts: RequestFacts, image_urls: Sequence[str], *, output: bool) -> bytes:
    """Encode the request: every member is sent, null where there is nothing."""
    request = {
        "input_type": "response" if output else "request",
        "litellm_call_id": str(uuid.uuid4()),
        "litellm_trace_id": None,
        "litellm_version": None,
        "model": facts.model or None,
        "texts": facts.texts,
        "images": image_urls or None,
        "tools": None,
        "tool_calls": None,
        "structured_messages": None,
        "request_data": {
            name: value
            for name, value in (
                ("user_api_key_team_id", facts.project),
                ("user_api_key_end_user_id", facts.user),
            )
            if value
        },
        "request_headers": None,
        "additional_provider_specific_params": {},
    }
    if sum(map(len, facts.texts)) + sum(map(len, image_urls)) > SMALL_CHARS:
        return await asyncio.to_thread(msgspec.json.encode, request)
    return msgspec.json.encode(request)


async def _read(response: httpcore.Response) -> _Answer:
    body = bytearray()
    async for chunk in response.aiter_stream():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise CheckFailed(f"an answer of over {MAX_ANSWER_BYTES} bytes")
    try:
        return _answers.decode(body) if len(body) < SMALL_CHARS else await asyncio.to_thread(_answers.decode, body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise CheckFailed("no valid answer") from None


def _result(name: str, answer: _Answer, texts: Sequence[str], image_urls: Sequence[str]) -> CheckResult:
    """Return the result of an answer; a non-empty list replaces, whatever the action."""
    new_texts = None if not answer.texts or answer.texts == list(texts) else answer.texts
    new_images = None if not answer.images or answer.images == list(image_urls) else answer.images
    rewrites_others = bool(answer.structured_messages or answer.tools)
    if answer.action == "BLOCKED" or not (new_texts or new_images or rewrites_others):
        return CheckResult(name, blocked=answer.action == "BLOCKED")
    fits = all(
        new is None or (len(new) == len(old) and all(isinstance(one, str) for one in new))
        for new, old in ((new_texts, texts), (new_images, image_urls))
    )
    if not fits or not (new_texts or new_images):
        return CheckResult(name, blocked=True, changed=True)
    return CheckResult(
        name,
        changed=True,
        texts=None if new_texts is None else tuple(new_texts),
        images=None if new_images is None else tuple(new_images),
    )


def _any_address(_address: str) -> bool:
    return True
