"""The head of an HTTP/1.1 request, as bytes: what is refused although httptools would parse it (ADR 70).

Sources: RFC 9112 (§2.2 line ends, §3 the request line, §3.2 Host, §6.1 Transfer-Encoding), and HAProxy's "The PROXY
protocol". Whatever two parsers of one connection could read differently is refused, never corrected.
"""

import re
from collections.abc import Sequence

MAX_HEAD_BYTES = 64 * 1024
MAX_FIELD_LINES = 128
HEAD_END = b"\r\n\r\n"

type Fields = Sequence[tuple[bytes, bytes]]

NOT_HTTP = "The request is not valid HTTP/1.1 (RFC 9112)."
HEAD_TOO_LARGE = f"The request's head is over the limit of {MAX_HEAD_BYTES} bytes and {MAX_FIELD_LINES} header lines."
PROXY_PROTOCOL = (
    "This port takes plain HTTP/1.1, and not the PROXY protocol. Turn that off at the proxy in front ('send-proxy' of "
    "HAProxy, 'proxy_protocol' of nginx, the target group's attribute on AWS), let it send X-Forwarded-For or "
    "Forwarded, and name it in OBSCURA_TRUSTED_PROXIES."
)
TLS = "This port takes plain HTTP/1.1. TLS ends at a proxy in front of it."

_PROXY_V1 = b"PROXY "
_PROXY_V2 = b"\r\n\r\n\x00\r\nQUIT\n"
_TLS_HANDSHAKE = b"\x16\x03"
_BARE_LINE_FEED = re.compile(rb"(?<!\r)\n")
_REQUEST_LINE = re.compile(rb"[A-Z][A-Z-]* ([!\"$-~]+) HTTP/1\.([01])\r\n")
_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+;=%-]*)(?::[0-9]*)?")
_ABSOLUTE = re.compile(rb"(https?)://([^/?]*)", re.IGNORECASE)
_DEFAULT_PORTS = {b"http": b":80", b"https": b":443"}
_UPGRADE = re.compile(rb"\r\nupgrade:[^\r]*(?=\r\n)", re.IGNORECASE)


def preface_problem(received: bytes) -> str | None:
    """Return why a connection's first bytes are not HTTP at all, or None as far as they tell."""
    if received.startswith((_PROXY_V1, _PROXY_V2)):
        return PROXY_PROTOCOL
    return TLS if received.startswith(_TLS_HANDSHAKE) else None


def may_be_preface(received: bytes) -> bool:
    """Whether the bytes may still become the signature of PROXY protocol 2, whose first four are empty lines."""
    return len(received) < len(_PROXY_V2) and _PROXY_V2.startswith(received)


def partial_head_problem(received: bytes) -> str | None:
    """Return why a head that is not whole yet can never be valid, or None: its end is not to be waited for."""
    if len(received) > MAX_HEAD_BYTES:
        return HEAD_TOO_LARGE
    begins_as_method = received[:1].isalpha() and received[:1].isupper()
    return NOT_HTTP if not begins_as_method or _BARE_LINE_FEED.search(received) else None


def request_line_problem(head: bytes) -> str | None:
    """Return why a whole head's size or first line is refused, or None."""
    if len(head) > MAX_HEAD_BYTES:
        return HEAD_TOO_LARGE
    return None if _REQUEST_LINE.match(head) else NOT_HTTP


def without_upgrade(head: bytes) -> bytes:
    """Remove the ``Upgrade`` fields of a whole head: a server may ignore the offer (RFC 9110 §7.8).

    httptools drops the body of a request that offers another protocol, as Java's HTTP client does with h2c.
    """
    return _UPGRADE.sub(b"", head) if b"upgrade:" in head.lower() else head


def fields_problem(version: str, target: bytes, fields: Fields) -> str | None:
    """Return why the header fields, by names in lower case, are refused together with the target, or None."""
    hosts = [value for name, value in fields if name == b"host"]
    encodings = [value for name, value in fields if name == b"transfer-encoding"]
    if encodings and (len(encodings) > 1 or encodings[0].lower() != b"chunked" or version == "1.0"):
        return "Transfer-Encoding may only be 'chunked', once, in HTTP/1.1 (RFC 9112 §6.1)."
    if len(hosts) > 1 or (not hosts and version != "1.0"):
        return f"There must be one Host header (RFC 9112 §3.2); there are {len(hosts)}."
    host = hosts[0] if hosts else None
    if host is not None and not _HOST.fullmatch(host):
        return "The Host header is neither a host nor a host and a port (RFC 9112 §3.2)."
    return None if target.startswith((b"/", b"*")) else _absolute_target_problem(target, host)


def _absolute_target_problem(target: bytes, host: bytes | None) -> str | None:
    """Refuse a target of another host than the Host field's, by which a proxy may have decided (RFC 9112 §3.2)."""
    absolute = _ABSOLUTE.match(target)
    if absolute is None:
        return NOT_HTTP
    port = _DEFAULT_PORTS[absolute[1].lower()]
    same = host is None or absolute[2].lower().removesuffix(port) == host.lower().removesuffix(port)
    return None if same else "The target of the request names another host than its Host header (RFC 9112 §3.2)."
