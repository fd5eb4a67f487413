"""Names to addresses."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

type Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host name and port to addresses, best first; raises OSError when the name has none."""


class SystemResolver:
    """``getaddrinfo``, in threads of its own: names that resolve slowly must not hold up the loop's other work."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(max_workers=32, thread_name_prefix="obscura-dns")

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Give the addresses of ``host`` in the system's order (RFC 6724); raises OSError."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        return [str(socket_address[0]) for *_, socket_address in found]

    def close(self) -> None:
        """Take no further names; those under way end on their own."""
        self._threads.shutdown(wait=False, cancel_futures=True)
