"""Reasons why an image URL is not fetched, from which ``fetcher`` makes the error that the caller gets."""

import socket
import ssl
from collections.abc import Iterator, Sequence

import httpcore

from obscura.errors import ObscuraError

USE_DATA_URL = "send the image as a base64 data URL instead"


class HostRefused(Exception):
    """A host that a policy does not allow, of which nothing was asked.

    url      what the request names
    hosts    its hops, the last of them refused
    """

    def __init__(self, url: str, hosts: Sequence[str]) -> None:
        self.url = url
        self.hosts = hosts
        super().__init__("a host is not allowed by policy")


class FetchRejected(Exception):
    """A fetch that ends in ``error`` with the message "The image URL ``reason``; ``hint``.".

    The reason names limits, never hosts, addresses, paths or a library's own message: a redirect can bring in hosts and
    addresses that the caller does not know, and only ``fetcher`` knows which host the caller named.
    """

    def __init__(self, error: type[ObscuraError], reason: str, hint: str = USE_DATA_URL) -> None:
        super().__init__(reason)
        self.error = error
        self.reason = reason
        self.hint = hint


def describe_failure(failure: Exception) -> str:
    """Return the reason for any failure of a connection; never the library's own message.

    That would name the addresses that were tried.
    """
    causes = tuple(_causes(failure))
    for kind, reason in _REASONS:
        if any(isinstance(cause, kind) for cause in causes):
            return reason
    return "could not be fetched"


_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (socket.gaierror, "has a host name that could not be resolved"),
    (
        ssl.SSLCertVerificationError,
        "has a host whose TLS certificate is not valid (expired, for another name, or not trusted)",
    ),
    (ssl.SSLError, "has a host that no TLS connection could be made with"),
    (httpcore.ConnectError, "has a host that could not be reached"),
    (httpcore.ConnectTimeout, "has a host that could not be reached"),
    (httpcore.ProtocolError, "returned a response that is not HTTP, or that broke off"),
    (httpcore.NetworkError, "has a host that dropped the connection"),
    (OSError, "has a host that could not be reached"),
)


def _causes(failure: Exception) -> Iterator[BaseException]:
    cause: BaseException | None = failure
    while cause is not None:
        yield cause
        cause = cause.__cause__
