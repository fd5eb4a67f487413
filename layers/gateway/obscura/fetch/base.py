"""Protocol of what fetches image URLs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from obscura.errors import ImageFetchFailed, RequestTooLarge
from obscura.fetch.errors import FetchRejected, HostRefused


@dataclass(slots=True)
class FetchAllowance:
    """What all fetches of one request may take together, beside the limits of each: one allowance, shared by them."""

    max_bytes: int
    max_redirects: int
    taken_bytes: int = 0
    redirects: int = 0
    hosts: dict[str, list[str]] = field(default_factory=dict)
    """The host of every hop that was followed, by the URL that was asked for."""
    refuses_host: Callable[[str], bool] | None = None
    """Whether nothing may be fetched from a host, beside the rules that hold for every fetch."""

    def take_hop(self, url: str, host: str) -> None:
        """Note a hop of a fetch; raises HostRefused before anything is sent to a host that is refused."""
        self.hosts.setdefault(url, []).append(host)
        if self.refuses_host is not None and self.refuses_host(host):
            raise HostRefused(url, self.hosts[url])

    def take_bytes(self, count: int) -> None:
        """Count bytes of a body as they arrive; raises FetchRejected past the limit."""
        self.taken_bytes += count
        if self.taken_bytes > self.max_bytes:
            raise FetchRejected(
                RequestTooLarge,
                f"brings what the request fetches to more than {self.max_bytes / 2**20:g} MiB in all, the limit",
                "send fewer or smaller files by URL, or split the request",
            )

    def take_redirect(self) -> None:
        """Count a redirect that is followed; raises FetchRejected past the limit."""
        self.redirects += 1
        if self.redirects > self.max_redirects:
            raise FetchRejected(
                ImageFetchFailed,
                f"redirects, and with the request's other URLs more than {self.max_redirects} times in all, the limit",
                "send the URLs that they lead to",
            )


class ImageFetcher(Protocol):
    """Image bytes by HTTPS URL."""

    async def fetch(self, url: str, allowance: FetchAllowance | None = None) -> bytes:
        """Return the bytes at ``url``, after checks of its spelling, its target, the size and the duration.

        ``allowance`` is shared by all fetches of a request. Raises InvalidImageUrl, UnsafeImageUrl, ImageFetchFailed,
        ImageTooLarge, Overloaded, or RequestTooLarge by the allowance or for lack of memory, none of them with a
        ``param``.
        Any number of calls may run at once.
        """
        ...
