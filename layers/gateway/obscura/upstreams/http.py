"""An upstream over HTTP: transport, timeouts and retries. What goes over the wire is its dialect's business."""

import asyncio
import base64
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import httpx

from obscura.dialects.base import UpstreamBody
from obscura.dialects.chat_options import TokenLimit
from obscura.errors import ObscuraError, UpstreamError, UpstreamTimeout, UpstreamUnavailable
from obscura.execution import run_off_loop
from obscura.upstreams.base import (
    ModelListing,
    RawHeaders,
    ResponseReader,
    UpstreamDialect,
    UpstreamRequest,
    UpstreamResponse,
    UpstreamStream,
)
from obscura.upstreams.headers import response_headers
from obscura.upstreams.token_limit import LearnedFields, other_field, refuses_field

RETRIED_STATUSES = frozenset({429, 503})
FIRST_BACKOFF_S = 0.25
MAX_WAIT_S = 10.0
MAX_RESPONSE_BYTES = 64 * 1024 * 1024
MAX_ERROR_BYTES = 256 * 1024
MAX_CHUNKS_AT_ONCE = 256
OFF_LOOP_BYTES = 16 * 1024
MAX_FEED_BYTES = 8 * 1024
"""Of a stream, what is decoded at once."""
MAX_URLS = 256


@dataclass(frozen=True, slots=True)
class UpstreamTimeouts:
    """How long to wait, in seconds: for a connection, for the head and the first byte, between later chunks."""

    connect_s: float = 5.0
    first_byte_s: float = 120.0
    between_chunks_s: float = 60.0


class HttpUpstream:
    """A server of models; safe for any number of calls at once over one pool of connections."""

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        base_url: str,
        dialect: UpstreamDialect,
        timeouts: UpstreamTimeouts | None = None,
        retries: int = 0,
    ) -> None:
        """``base_url`` is what the dialect's paths are below, such as ``https://api.openai.com/v1``.

        ``retries`` is how often a request is sent again that ``send_with_retries`` may send again: not at all by
        default, since callers' SDKs do so by themselves (ADR 122).

        Requests go to the transport itself: what httpx's client adds to it (redirects, cookies, authentication) no
        upstream needs, and it takes 50 µs of CPU for each request.
        """
        self._transport = transport
        self._base_url = base_url.rstrip("/")
        self._basic_credentials = basic_credentials(httpx.URL(base_url))
        self._dialect = dialect
        self._timeouts = timeouts or UpstreamTimeouts()
        self._retries = retries
        self._extensions = {"timeout": httpx.Timeout(None, connect=self._timeouts.connect_s).as_dict()}
        self._learned = LearnedFields()
        self._urls: dict[str, tuple[httpx.URL, str]] = {}

    async def send(self, request: UpstreamBody) -> UpstreamResponse:
        """Send a request and return its response; see ``Upstream``.

        One whose token limit is refused under its name is sent once more under the other (ADR 125).
        """
        encoded = await self._encode(request)
        reader = encoded.reader or self._dialect
        response = await self._head(encoded)
        del encoded  # what was sent is not held while the response is read
        if response.status_code != 200:
            body = await self._error_body(response)
            limit = request.token_limit
            if limit is None or not refuses_field(response.status_code, body, limit.field):
                raise self._error(response, body)
            response = await self._renamed(request, limit, response, body)
        request.received.update(response_headers(response.headers.raw))
        if request.streamed and self._is_stream(response):
            return UpstreamStream(self._events(response, reader), response.aclose)
        body = await self._whole_body(response)
        return await run_off_loop(lambda: reader.decode(body), off_loop=self._is_slow(body))

    async def _encode(self, request: UpstreamBody) -> UpstreamRequest:
        return await run_off_loop(lambda: self._dialect.encode(request), off_loop=self._is_slow(request.body))

    def _is_slow(self, body: bytes) -> bool:
        return self._dialect.translates and len(body) > OFF_LOOP_BYTES

    async def _renamed(
        self, request: UpstreamBody, limit: TokenLimit, refusal: httpx.Response, refusal_body: bytes
    ) -> httpx.Response:
        """Send a request with its token limit under the other name, and return its response if it is a success.

        The name is remembered unless it is refused as well: then the first refusal is raised.
        """
        other = other_field(limit.field)
        response = await self._head(
            await self._encode(replace(request, body=limit.renamed(request.body, other), token_limit=None))
        )
        if response.status_code == 200:
            self._learned.learn(limit.model, other)
            return response
        body = await self._error_body(response)
        if refuses_field(response.status_code, body, other):
            raise self._error(refusal, refusal_body)
        self._learned.learn(limit.model, other)
        raise self._error(response, body)

    def _error(self, response: httpx.Response, body: bytes) -> ObscuraError:
        """Return the error for a response, with those of its headers that the caller gets."""
        error = self._dialect.error(response.status_code, body, response.headers)
        error.headers = response_headers(response.headers.raw) | error.headers
        if error.headers.get("x-should-retry") == "false":
            error.headers.pop("retry-after-ms", None)
        return error

    def token_limit_field(self, model: str) -> str | None:
        """Return the field in which a model was found to take its token limit; see ``Upstream``."""
        return self._learned.get(model)

    async def models(self) -> Sequence[ModelListing]:
        """Return the upstream's own list; see ``Upstream``."""
        listed: list[ModelListing] = []
        for request in self._dialect.list_models():
            response = await self._head(request)
            if response.status_code != 200:
                await response.aclose()
                raise UpstreamError(f"The upstream does not list its models (status {response.status_code}).")
            body = await self._whole_body(response)
            listed += await run_off_loop(
                partial(self._dialect.decode_models, body), off_loop=len(body) > OFF_LOOP_BYTES
            )
        return listed

    async def _head(self, request: UpstreamRequest) -> httpx.Response:
        """Send a request and return the response when its head has arrived."""
        try:
            async with asyncio.timeout(self._timeouts.first_byte_s):
                await self._dialect.ready()
                return await send_with_retries(self._transport, self._httpx_request(request), self._retries)
        except TimeoutError:
            raise _timeout(self._timeouts.first_byte_s) from None
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise UpstreamUnavailable("The upstream model cannot be reached. Try again in a while.") from None
        except httpx.TransportError:
            raise UpstreamError("The upstream closed the connection without a response. Try again.") from None

    def _httpx_request(self, request: UpstreamRequest) -> httpx.Request:
        url, url_text = self._url(request.base_url or self._base_url, request.path)
        credentials = self._basic_credentials or self._dialect.authorize(request, url_text)
        return http_request(request.method, url, (*request.headers, *credentials), request.body, self._extensions)

    def _url(self, base_url: str, path: str) -> tuple[httpx.URL, str]:
        text = base_url + path
        known = self._urls.get(text)
        if known is None:
            if len(self._urls) >= MAX_URLS:  # a path may have the name of a model, which is the caller's word
                self._urls.clear()
            known = self._urls[text] = httpx.URL(text), text
        return known

    def _is_stream(self, response: httpx.Response) -> bool:
        return self._dialect.is_stream(response.headers.get("content-type", ""))

    async def _error_body(self, response: httpx.Response) -> bytes:
        """Read an error's body; nothing if it is larger than any error is, or broken off: its status says enough."""
        try:
            return await self._whole_body(response, MAX_ERROR_BYTES)
        except UpstreamError:
            return b""

    async def _whole_body(self, response: httpx.Response, max_bytes: int = MAX_RESPONSE_BYTES) -> bytes:
        """Read a body to its end, and close the response."""
        pieces: list[bytes] = []
        size_bytes = 0
        wait_s = self._timeouts.first_byte_s
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(wait_s) as timeout:
                async for chunk in _decompressed(response):
                    pieces.append(chunk)
                    size_bytes += len(chunk)
                    if size_bytes > max_bytes:
                        raise UpstreamError(f"The upstream's response is over {max_bytes:,} bytes. Request less.")
                    if not len(pieces) % MAX_CHUNKS_AT_ONCE:
                        await asyncio.sleep(0)  # chunks that are there already come without a pause
                    wait_s = self._timeouts.between_chunks_s
                    timeout.reschedule(loop.time() + wait_s)
        except TimeoutError:
            raise _timeout(wait_s) from None
        except (httpx.TransportError, httpx.DecodingError):
            raise _broken_off() from None
        finally:
            await response.aclose()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def _events(self, response: httpx.Response, reader: ResponseReader) -> AsyncIterator[bytes]:
        """Yield a stream's events as they come."""
        decoder = reader.stream_decoder()
        parts = _decompressed(response)
        wait_s = self._timeouts.first_byte_s
        while True:
            try:
                async with asyncio.timeout(wait_s):
                    chunk = await anext(parts, None)
            except TimeoutError:
                raise _timeout(wait_s) from None
            except (httpx.TransportError, httpx.DecodingError):
                raise _broken_off() from None
            if chunk is None:
                return
            if decoder is None:
                yield chunk
            else:
                for start in range(0, len(chunk), MAX_FEED_BYTES):
                    for events in decoder.feed(chunk[start : start + MAX_FEED_BYTES]):
                        yield events
                    if start:
                        await asyncio.sleep(0)
            wait_s = self._timeouts.between_chunks_s


def http_request(
    method: str, url: httpx.URL, headers: RawHeaders, body: bytes, extensions: Mapping[str, object]
) -> httpx.Request:
    """Build a request whose headers are complete, which is 12 µs cheaper than to let httpx complete them."""
    length = ((b"Content-Length", b"%d" % len(body)),) if body else ()
    complete = ((b"Host", url.netloc), *headers, *length)
    request = httpx.Request(method, url, headers=complete, stream=httpx.ByteStream(body), extensions=dict(extensions))
    request.read()
    return request


def basic_credentials(url: httpx.URL) -> RawHeaders:
    """Return the header for the user and password in a URL (RFC 7617 §2), none without them."""
    if not url.userinfo:
        return ()
    encoded = base64.b64encode(f"{url.username}:{url.password}".encode())
    return ((b"Authorization", b"Basic %b" % encoded),)


class ClientTransport(httpx.AsyncBaseTransport):
    """A client as a transport, for an environment with proxies: httpx's client knows which hosts they are for."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return the response when its head has arrived; raises httpx.TransportError."""
        response = await self._client.send(request, stream=True)
        # httpx ties a response to its request, in a cycle that would hold megabytes until the garbage collector runs.
        response.request = httpx.Request(request.method, request.url)
        return response


async def send_with_retries(
    transport: httpx.AsyncBaseTransport, request: httpx.Request, retries: int
) -> httpx.Response:
    """Send a request and return the response when its head has arrived; the caller closes it.

    It is sent again, at most ``retries`` times, after a connection that failed or closed before any byte of a response,
    and after a 429 or 503. The wait is the Retry-After (if that is over ``MAX_WAIT_S``, the response is returned as it
    is) or else a doubling time with jitter. Raises httpx.TransportError when the last attempt fails.
    """
    for attempt in range(retries):
        try:
            response = await transport.handle_async_request(request)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ReadError, httpx.RemoteProtocolError):
            wait_s = _backoff_s(attempt)
        else:
            if response.status_code not in RETRIED_STATUSES:
                return response
            wait_s = _wait_s(response, attempt)
            if wait_s > MAX_WAIT_S:
                return response
            await response.aclose()
        await asyncio.sleep(wait_s)
    return await transport.handle_async_request(request)


def _wait_s(response: httpx.Response, attempt: int) -> float:
    value: str = response.headers.get("retry-after", "")
    return float(value) if value.isascii() and value.isdigit() and len(value) < 9 else _backoff_s(attempt)


def _backoff_s(attempt: int) -> float:
    return FIRST_BACKOFF_S * 2.0**attempt * random.uniform(0.75, 1.25)  # noqa: S311 - jitter, not a secret


def _decompressed(response: httpx.Response) -> AsyncIterator[bytes]:
    """Yield the body as it comes; a compression that was not requested is undone."""
    if "content-encoding" in response.headers:
        return response.aiter_bytes()
    return aiter(response.stream) if isinstance(response.stream, httpx.AsyncByteStream) else response.aiter_raw()


def _timeout(waited_s: float) -> UpstreamTimeout:
    return UpstreamTimeout(f"The upstream sent nothing for {waited_s:g} s. Try again, or request a shorter response.")


def _broken_off() -> UpstreamError:
    return UpstreamError("The upstream broke off in the middle of its response. Try again.")
