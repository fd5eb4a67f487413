"""One HTTP call with patience: sent again while nothing of an answer has arrived and the other side may recover."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache

import httpx
import msgspec

from obscura.errors import UpstreamError, UpstreamTimeout, UpstreamUnavailable
from obscura.upstreams.base import ModelListing, UpstreamRequest, UpstreamResponse

RETRIES = 2
RETRIED_STATUSES = frozenset({429, 503})
FIRST_BACKOFF_S = 0.25
MAX_WAIT_S = 10.0


async def send_with_retries(client: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
    """Send a request and give the response once its head has arrived; the caller closes it.

    At most ``RETRIES`` times it is sent again: after a connection that failed or closed before any byte of an answer,
    and after a 429 or 503, waiting as long as Retry-After says (when that is longer than ``MAX_WAIT_S``, the
    answer is given as it is) or else a doubling time with jitter. Raises httpx.TransportError when the last try fails.
    """
    for tried in range(RETRIES):
        try:
            response = await client.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ReadError, httpx.RemoteProtocolError):
            wait_s = _backoff_s(tried)
        else:
            wait_s = _wait_s(response, tried)
            if response.status_code not in RETRIED_STATUSES or wait_s > MAX_WAIT_S:
                return _without_sent_body(response)
            await response.aclose()
        await asyncio.sleep(wait_s)
    return _without_sent_body(await client.send(request, stream=True))


def _without_sent_body(response: httpx.Response) -> httpx.Response:
    """Let go of what was sent: httpx ties a response to itself, so that megabytes would wait for the cyclic garbage."""
    response.request = httpx.Request(response.request.method, response.request.url)
    return response


def _wait_s(response: httpx.Response, tried: int) -> float:
    told: str = response.headers.get("retry-after", "")
    return float(told) if told.isascii() and told.isdigit() and len(told) < 9 else _backoff_s(tried)


def _backoff_s(tried: int) -> float:
    return FIRST_BACKOFF_S * 2.0**tried * random.uniform(0.75, 1.25)  # noqa: S311 - jitter, not a secret


PASSED_HEADERS = ("retry-after",)
ANTHROPIC_VERSION = "2023-06-01"
ANTHROPIC_KEY_PREFIX = "sk-ant-api"


class _ModelEntry(msgspec.Struct):
    id: str
    created: int | None = None
    owned_by: str | None = None


class _ModelList(msgspec.Struct):
    data: list[_ModelEntry]


_model_list = msgspec.json.Decoder(_ModelList)


@dataclass(frozen=True, slots=True)
class UpstreamTimeouts:
    """How long to wait, in seconds: for a connection, for the head and the first byte, between later chunks."""

    connect_s: float = 5.0
    first_byte_s: float = 120.0
    between_chunks_s: float = 60.0


class HttpUpstream:
    """An OpenAI-compatible server; safe for any number of calls at once over one pool of connections."""

    def __init__(
        self, client: httpx.AsyncClient, base_url: str, key: str | None, timeouts: UpstreamTimeouts | None = None
    ) -> None:
        """``base_url`` ends in ``/v1``; ``key`` goes out as a bearer token and nowhere else.

        But Anthropic's own keys go to its Messages API as ``x-api-key`` (API reference, "Authentication"); it refuses
        them as bearer tokens, and other servers of Messages (vLLM) take nothing else.
        """
        self._client = client
        self._url = cache(lambda path: httpx.URL(base_url.rstrip("/") + path))
        self._timeouts = timeouts or UpstreamTimeouts()
        self._headers = {"content-type": "application/json", "accept-encoding": "identity"}
        self._messages_headers = self._headers | {"anthropic-version": ANTHROPIC_VERSION}
        if key:
            self._headers["authorization"] = f"Bearer {key}"
            anthropics = key.startswith(ANTHROPIC_KEY_PREFIX)
            self._messages_headers |= {"x-api-key": key} if anthropics else {"authorization": f"Bearer {key}"}
        self._extensions = {"timeout": httpx.Timeout(None, connect=self._timeouts.connect_s).as_dict()}

    @asynccontextmanager
    async def answer(self, request: UpstreamRequest) -> AsyncIterator[UpstreamResponse]:
        """Open a call; see ``obscura.ports.Upstream``."""
        accepted = "text/event-stream" if request.streamed else "application/json"
        response = await self._head(self._request("POST", request.path, accepted, request.body))
        try:
            yield UpstreamResponse(
                response.status_code,
                response.headers.get("content-type", ""),
                self._chunks(response),
                {name: response.headers[name] for name in PASSED_HEADERS if name in response.headers},
            )
        finally:
            await response.aclose()

    async def models(self) -> Sequence[ModelListing]:
        """Return the upstream's own list (OpenAI's API reference, "List models")."""
        response = await self._head(self._request("GET", "/models", "application/json"))
        try:
            if response.status_code != 200:
                raise UpstreamError(f"The upstream gives no list of models (status {response.status_code}).")
            told = _model_list.decode(b"".join([chunk async for chunk in self._chunks(response)]))
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise UpstreamError("The upstream's list of models cannot be read.") from None
        finally:
            await response.aclose()
        return [ModelListing(entry.id, entry.created or 0, entry.owned_by or "upstream") for entry in told.data]

    def _request(self, method: str, path: str, accepted: str, body: bytes | None = None) -> httpx.Request:
        spoken = self._messages_headers if path.startswith("/messages") else self._headers
        headers = spoken | {"accept": accepted}
        return httpx.Request(method, self._url(path), headers=headers, content=body, extensions=self._extensions)

    async def _head(self, request: httpx.Request) -> httpx.Response:
        try:
            async with asyncio.timeout(self._timeouts.first_byte_s):
                return await send_with_retries(self._client, request)
        except TimeoutError:
            raise _silent(self._timeouts.first_byte_s) from None
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise UpstreamUnavailable("The upstream model cannot be reached. Try again in a while.") from None
        except httpx.TransportError:
            raise UpstreamError("The upstream closed the connection without an answer. Try again.") from None

    async def _chunks(self, response: httpx.Response) -> AsyncIterator[bytes]:
        """Yield the body as it comes; an encoding that was not asked for is undone."""
        parts = response.aiter_bytes() if "content-encoding" in response.headers else response.aiter_raw()
        wait_s = self._timeouts.first_byte_s
        while True:
            try:
                async with asyncio.timeout(wait_s):
                    chunk = await anext(parts, None)
            except TimeoutError:
                raise _silent(wait_s) from None
            except (httpx.TransportError, httpx.DecodingError):
                raise UpstreamError("The upstream broke off in the middle of its answer. Try again.") from None
            if chunk is None:
                return
            yield chunk
            wait_s = self._timeouts.between_chunks_s


def _silent(waited_s: float) -> UpstreamTimeout:
    return UpstreamTimeout(f"The upstream sent nothing for {waited_s:g} s. Try again, or ask for a shorter answer.")
