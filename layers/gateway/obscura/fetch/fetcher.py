"""A fetch from end to end: redirects, each of them checked like the first URL, and one time limit over it all."""

import asyncio
import ssl
from collections.abc import Collection
from dataclasses import dataclass

import httpcore

from obscura.errors import ImageFetchFailed
from obscura.fetch.addresses import is_globally_routable
from obscura.fetch.errors import FetchRejected
from obscura.fetch.network import GuardedNetwork, Resolve, SystemResolver
from obscura.fetch.policy import ImageUrl, parse_origin, read_image_url, read_redirect, require_allowed
from obscura.fetch.response import Redirect, exchange
from obscura.httpclient.tls import tls

_MAX_CONCURRENT_FETCHES = 64


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """What one fetch may take.

    raw_bytes    of the image, on the wire and decompressed
    seconds      in all: waiting, name, connection, TLS, redirects and body
    redirects    followed before giving up
    """

    raw_bytes: int = 15 * 1024 * 1024
    seconds: float = 10.0
    redirects: int = 3


@dataclass(slots=True)
class _RedirectTrail:
    """How far a fetch got, for its message: the host that the caller named and the redirects behind it."""

    host: str | None = None
    redirects: int = 0

    def __str__(self) -> str:
        if self.host is None:
            return ""
        if self.redirects == 0:
            return f" (host {self.host})"
        return f" (host {self.host}, after {self.redirects} redirect{'s' if self.redirects > 1 else ''})"


class GuardedFetcher:
    """Port ``ImageSource`` over the network.

    limits             what one fetch may take
    allowed_origins    exempt from the rules on scheme, port and address, and from no other: ValueError when malformed
    resolve            names to addresses; the system's resolver unless given
    ssl_context        what verifies certificates; ``obscura.httpclient.tls`` unless given
    network            what connects to an address once it was checked; TCP unless given
    """

    def __init__(
        self,
        limits: FetchLimits,
        allowed_origins: Collection[str] = (),
        resolve: Resolve | None = None,
        ssl_context: ssl.SSLContext | None = None,
        network: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        self._limits = limits
        self._allowed = frozenset(parse_origin(text) for text in allowed_origins)
        self._system_resolver = SystemResolver()
        self._resolve = resolve or self._system_resolver
        self._ssl_context = ssl_context
        self._network = network or httpcore.AnyIOBackend()
        self._places = asyncio.Semaphore(_MAX_CONCURRENT_FETCHES)

    async def fetch(self, url: str) -> bytes:
        """Return the bytes behind ``url``.

        Raises InvalidImageUrl, UnsafeImageUrl, ImageFetchFailed or ImageTooLarge. Their messages name the host of
        ``url``, and nothing that a redirect or a resolver added to it.
        """
        trail = _RedirectTrail()
        try:
            async with asyncio.timeout(self._limits.seconds), self._places:
                return await self._follow(url, trail)
        except TimeoutError:
            refusal = FetchRejected(ImageFetchFailed, f"took longer than {self._limits.seconds:g} s in all, the limit")
        except FetchRejected as refused:
            refusal = refused
        # Raised out here so that the answer drags no library's exception, with the addresses it tried, into a log.
        raise refusal.error(f"The image URL{trail} {refusal.clause}; {refusal.hint}.")

    async def aclose(self) -> None:
        """Let go of the resolver's threads; connections are closed by the fetch that opened them."""
        self._system_resolver.close()

    async def _follow(self, text: str, trail: _RedirectTrail) -> bytes:
        url = read_image_url(text)
        trail.host = url.origin.host
        while True:
            require_allowed(url, self._allowed)
            answer = await self._ask(url)
            if isinstance(answer, bytes):
                return answer
            if trail.redirects == self._limits.redirects:
                raise FetchRejected(ImageFetchFailed, f"redirects more than {self._limits.redirects} times, the limit")
            trail.redirects += 1
            url = read_redirect(url, answer.location)

    async def _ask(self, url: ImageUrl) -> bytes | Redirect:
        may_reach = _anything if url.origin in self._allowed else is_globally_routable
        network = GuardedNetwork(self._network, self._resolve, may_reach)
        ssl_context = (self._ssl_context or await tls()) if url.origin.scheme == "https" else None
        return await exchange(url, network, ssl_context, self._limits.raw_bytes)


def _anything(_address: str) -> bool:
    return True
