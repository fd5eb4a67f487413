"""Name resolution, and connections to checked addresses only."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address

import httpcore

from obscura.errors import ImageFetchFailed, UnsafeImageUrl
from obscura.fetch.addresses import is_address
from obscura.fetch.errors import FetchRejected

type Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host name and port to addresses, best first; raises OSError if the name has none."""


class SystemResolver:
    """``getaddrinfo`` in threads of its own, so that a slow name holds up no other work of the event loop."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(max_workers=32, thread_name_prefix="obscura-dns")

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses of ``host`` in the system's order (RFC 6724); raises OSError."""
        loop = asyncio.get_running_loop()
        resolved = await loop.run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        return [str(socket_address[0]) for *_, socket_address in resolved]

    def close(self) -> None:
        """Resolve no further names; those under way end on their own."""
        self._threads.shutdown(wait=False, cancel_futures=True)


_ADDRESS_TIMEOUT_S = 2.5  # so that a first address that drops packets leaves time for the next one


class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """Network of one exchange: resolves the name once, and connects to addresses that were checked and to no others.

    It owns the connections that it opens: ``aclose`` closes them all, also those that httpcore lost when it was
    cancelled during a TLS handshake or between two of its steps.
    """

    def __init__(
        self, network: httpcore.AsyncNetworkBackend, resolve: Resolve, may_reach: Callable[[str], bool]
    ) -> None:
        self._network = network
        self._resolve = resolve
        self._may_reach = may_reach
        self._opened: list[httpcore.AsyncNetworkStream] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address of ``host`` that can be reached, after all of them have been checked.

        Raises FetchRejected if one of them is not allowed or the name has none, OSError if it cannot be resolved, and
        httpcore's ConnectError or ConnectTimeout if none can be reached.
        """
        addresses = await self._checked_addresses(host, port)
        for address in addresses[:-1]:
            try:
                return await self._open(address, port, _ADDRESS_TIMEOUT_S)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._open(addresses[-1], port, timeout)

    async def aclose(self) -> None:
        """Close every connection that was opened."""
        while self._opened:
            await self._opened.pop().aclose()

    async def _checked_addresses(self, host: str, port: int) -> Sequence[str]:
        addresses = [host] if is_address(host) else list(dict.fromkeys(await self._resolve(host, port)))
        if not addresses:
            raise FetchRejected(ImageFetchFailed, "has a host name without an address")
        # One bad address among good ones rejects them all: DNS rebinding moves a name from one to the other.
        if not all(self._may_reach(address) for address in addresses):
            raise FetchRejected(UnsafeImageUrl, "has a host name with an address that is not of the public internet")
        # Formatted again from the parsed address, so that the network has nothing left to interpret or look up.
        return [str(ip_address(address)) for address in addresses]

    async def _open(self, address: str, port: int, seconds: float | None) -> httpcore.AsyncNetworkStream:
        stream = await self._network.connect_tcp(address, port, timeout=seconds)
        self._opened.append(stream)
        return stream
