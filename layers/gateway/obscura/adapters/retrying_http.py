"""One HTTP call with patience: sent anew while nothing of an answer has arrived and the other side may recover."""

import asyncio
import random

import httpx

RETRIES = 2
RETRIED_STATUSES = frozenset({429, 503})
FIRST_BACKOFF_S = 0.25
LONGEST_WAIT_S = 10.0


async def send(client: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
    """Send a request and give the response once its head has arrived; the caller closes it.

    At most ``RETRIES`` times it is sent anew: after a connection that failed or closed before any byte of an answer,
    and after a 429 or 503, waiting as long as Retry-After says (when that is longer than ``LONGEST_WAIT_S``, the
    answer is given as it is) or else a doubling time with jitter. Raises httpx.TransportError when the last try fails.
    """
    for tried in range(RETRIES):
        try:
            response = await client.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ReadError, httpx.RemoteProtocolError):
            wait_s = _backoff_s(tried)
        else:
            wait_s = _wait_s(response, tried)
            if response.status_code not in RETRIED_STATUSES or wait_s > LONGEST_WAIT_S:
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
