"""One POST of a sink: no redirects, a bounded answer in a bounded time."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

import httpx

from obscura.upstreams.http import basic_credentials, http_request

CONNECT_TIMEOUT_S = 5.0
TIMEOUT_S = 15.0
"""Standard Webhooks recommends 15 to 30 s for an attempt."""
MAX_ANSWER_BYTES = 64 * 1024

_EXTENSIONS = {"timeout": httpx.Timeout(None, connect=CONNECT_TIMEOUT_S).as_dict()}
_JSON = (b"Content-Type", b"application/json")


class NoAnswer(Exception):
    """The sink did not answer: ``str`` says how, without its address."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A sink's answer; of a body over ``MAX_ANSWER_BYTES`` only the beginning."""

    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def reason(self) -> str:
        """What the log line says of it."""
        return f"status {self.status}"

    def retry_after_s(self, now: datetime) -> float | None:
        """Return Retry-After in seconds (RFC 9110 §10.2.3: seconds or a date), or None without one that can be read."""
        value: str = self.headers.get("retry-after", "").strip()
        if value.isascii() and value.isdigit() and len(value) < 9:
            return float(value)
        try:
            return max(0.0, (parsedate_to_datetime(value) - now).total_seconds())
        except (ValueError, TypeError):
            return None


class Poster:
    """POSTs JSON to one URL."""

    def __init__(self, transport: httpx.AsyncBaseTransport, url: str, timeout_s: float = TIMEOUT_S) -> None:
        """``timeout_s`` is for one POST, from the connection to the end of the answer."""
        self._transport = transport
        self._url = httpx.URL(url)
        self._timeout_s = timeout_s

    async def post(self, body: bytes, headers: Iterable[tuple[bytes, bytes]] = ()) -> Answer:
        """POST a body and return the answer, of any status; raises NoAnswer.

        A connection that breaks without an answer is replaced once, at once: the sink may have closed it while it was
        idle, on Lambda while the environment was frozen.
        """
        complete = (_JSON, *headers, *basic_credentials(self._url))
        request = http_request("POST", self._url, complete, body, _EXTENSIONS)
        try:
            async with asyncio.timeout(self._timeout_s):
                try:
                    response = await self._transport.handle_async_request(request)
                except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
                    response = await self._transport.handle_async_request(request)
                try:
                    return Answer(response.status_code, response.headers, await _beginning(response))
                finally:
                    await response.aclose()
        except TimeoutError:
            raise NoAnswer(f"no answer within {self._timeout_s:g} s") from None
        except (httpx.TransportError, httpx.DecodingError) as failure:
            raise NoAnswer(type(failure).__name__) from None


async def _beginning(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            break
    return bytes(body[:MAX_ANSWER_BYTES])
