"""What went wrong on the network, in a plain clause that gives nothing away."""

import socket
import ssl
from collections.abc import Iterator

import httpcore


def in_plain_words(failure: Exception) -> str:
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
