"""Why an image URL is not fetched, before ``fetch`` puts it in words for the caller."""

import socket
import ssl
from collections.abc import Iterator

import httpcore

from obscura.errors import ObscuraError

AS_DATA_URL = "send the image as a base64 data URL instead"


class FetchRejected(Exception):
    """The error class to answer with, a clause that continues "The image URL …", and the way out.

    The clause names limits, never hosts, addresses, paths or what a library said: a redirect can bring in hosts and
    addresses that the caller does not know, and only ``fetch`` knows which host the caller named.
    """

    def __init__(self, error: type[ObscuraError], clause: str, hint: str = AS_DATA_URL) -> None:
        super().__init__(clause)
        self.error = error
        self.clause = clause
        self.hint = hint


def describe_failure(failure: Exception) -> str:
    """Continue "The image URL …" for whatever a connection can fail with; never repeats a library's own words.

    Those carry the addresses that were tried.
    """
    causes = tuple(_chain(failure))
    for kind, clause in _CLAUSES:
        if any(isinstance(cause, kind) for cause in causes):
            return clause
    return "could not be fetched"


_CLAUSES: tuple[tuple[type[Exception], str], ...] = (
    (socket.gaierror, "has a host name that could not be resolved"),
    (
        ssl.SSLCertVerificationError,
        "has a host whose TLS certificate is not valid (expired, for another name, or not trusted)",
    ),
    (ssl.SSLError, "has a host that no TLS connection could be made with"),
    (httpcore.ConnectError, "has a host that could not be reached"),
    (httpcore.ConnectTimeout, "has a host that could not be reached"),
    (httpcore.ProtocolError, "gave an answer that is not HTTP, or that broke off"),
    (httpcore.NetworkError, "has a host that dropped the connection"),
    (OSError, "has a host that could not be reached"),
)


def _chain(failure: Exception) -> Iterator[BaseException]:
    cause: BaseException | None = failure
    while cause is not None:
        yield cause
        cause = cause.__cause__
