"""Fetch of one image URL: redirects, each of them checked like the first URL, and one time limit over everything."""

import asyncio
import ssl
from collections.abc import Collection
from dataclasses import dataclass

import httpcore

from obscura.errors import ImageFetchFailed
from obscura.fetch.addresses import is_globally_routable
from obscura.fetch.base import FetchAllowance
from obscura.fetch.errors import FetchRejected
from obscura.fetch.network import GuardedNetwork, Resolve, SystemResolver
from obscura.fetch.policy import ImageUrl, parse_image_url, parse_origin, require_allowed, resolve_redirect
from obscura.fetch.response import Redirect, get
from obscura.httpclient.tls import tls

_MAX_CONCURRENT_FETCHES = 64


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """Limits of one fetch.

    raw_bytes    of the image, both on the wire and decompressed
    seconds      for everything: waiting, name, connection, TLS, redirects and body
    redirects    followed at most
    """

    raw_bytes: int = 15 * 1024 * 1024
    seconds: float = 10.0
    redirects: int = 3


@dataclass(slots=True)
class _RedirectTrail:
    """How far a fetch got, for its error message: the host that the caller named and the redirects after it."""

    host: str | None = None
    redirects: int = 0

    def __str__(self) -> str:
        if self.host is None:
            return ""
        if self.redirects == 0:
            return f" (host {self.host})"
        return f" (host {self.host}, after {self.redirects} redirect{'s' if self.redirects > 1 else ''})"


class GuardedFetcher:
    """ImageFetcher over the network.

    limits             of one fetch
    allowed_origins    exempt from the rules on scheme, port and address, and from no other; ValueError if malformed
    resolve            names to addresses; the system's resolver by default
    ssl_context        verifies certificates; that of ``obscura.httpclient.tls`` by default
    network            connects to an address once it was checked; TCP by default
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
        self._slots = asyncio.Semaphore(_MAX_CONCURRENT_FETCHES)

    async def fetch(self, url: str, allowance: FetchAllowance | None = None) -> bytes:
        """Return the bytes at ``url``; ``allowance`` is shared by all fetches of a request.

        Raises InvalidImageUrl, UnsafeImageUrl, ImageFetchFailed, ImageTooLarge, RequestTooLarge or, where there is no
        memory for it, Overloaded. Their messages name the host of ``url``, but no host of a redirect and no address.
        """
        trail = _RedirectTrail()
        try:
            async with asyncio.timeout(self._limits.seconds), self._slots:
                return await self._follow(url, trail, allowance)
        except TimeoutError:
            rejected = FetchRejected(ImageFetchFailed, f"took longer than {self._limits.seconds:g} s in all, the limit")
        except FetchRejected as error:
            rejected = error
        # Raised outside of the handlers: chained to it, a library's exception would bring the addresses into a log.
        raise rejected.error(f"The image URL{trail} {rejected.reason}; {rejected.hint}.")

    async def aclose(self) -> None:
        """Stop the resolver's threads; connections are closed by the fetch that opened them."""
        self._system_resolver.close()

    async def _follow(self, text: str, trail: _RedirectTrail, allowance: FetchAllowance | None) -> bytes:
        url = parse_image_url(text)
        trail.host = url.origin.host
        while True:
            require_allowed(url, self._allowed)
            if allowance is not None:
                allowance.take_hop(text, url.origin.host)
            response = await self._get(url, allowance)
            if isinstance(response, bytes):
                return response
            if trail.redirects == self._limits.redirects:
                raise FetchRejected(ImageFetchFailed, f"redirects more than {self._limits.redirects} times, the limit")
            if allowance is not None:
                allowance.take_redirect()
            trail.redirects += 1
            url = resolve_redirect(url, response.location)

    async def _get(self, url: ImageUrl, allowance: FetchAllowance | None) -> bytes | Redirect:
        may_reach = _any_address if url.origin in self._allowed else is_globally_routable
        network = GuardedNetwork(self._network, self._resolve, may_reach)
        ssl_context = (self._ssl_context or await tls()) if url.origin.scheme == "https" else None
        return await get(url, network, ssl_context, self._limits.raw_bytes, allowance)


def _any_address(_address: str) -> bool:
    return True
