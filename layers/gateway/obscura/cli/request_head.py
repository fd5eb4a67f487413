"""The head of an HTTP/1.1 request, as bytes: what is refused although httptools would parse it (ADR 70).

Sources: RFC 9112 (§2.2 line ends, §3 the request line, §3.2 Host, §6.1 Transfer-Encoding), and HAProxy's "The PROXY
protocol". Whatever two parsers of one connection could read differently is refused, never corrected.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

MAX_HEAD_BYTES = 64 * 1024
MAX_FIELD_LINES = 128
HEAD_END = b"\r\n\r\n"

type Lines = Sequence[tuple[bytes, bytes]]

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
_EMPTY_LINES = re.compile(rb"(?:\r\n)+")
_BARE_LINE_FEED = re.compile(rb"(?<!\r)\n")
_REQUEST_LINE = re.compile(rb"[A-Z][A-Z-]* ([!\"$-~]+) HTTP/1\.([01])\r\n")
_HOST = re.compile(rb"[A-Za-z0-9._~!$&'()*+;=%:\[\]-]*")
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


def without_empty_lines(received: bytes) -> bytes:
    """Remove the empty lines before a request line (RFC 9112 §2.2)."""
    return _EMPTY_LINES.sub(b"", received, count=1) if received.startswith(b"\r\n") else received


def partial_head_problem(received: bytes) -> str | None:
    """Return why a head that is not whole yet can never be valid, or None: its end is not to be waited for."""
    if len(received) > MAX_HEAD_BYTES:
        return HEAD_TOO_LARGE
    if received in {b"", b"\r"}:
        return None
    begins_as_method = received[:1].isalpha() and received[:1].isupper()
    return NOT_HTTP if not begins_as_method or _BARE_LINE_FEED.search(received) else None


def whole_head_problem(head: bytes) -> str | None:
    """Return why a whole head is refused for its size or its first line, or None."""
    if len(head) > MAX_HEAD_BYTES or head.count(b"\n") > MAX_FIELD_LINES + 2:
        return HEAD_TOO_LARGE
    return None if _REQUEST_LINE.match(head) else NOT_HTTP


def without_upgrade(head: bytes) -> bytes:
    """Remove the ``Upgrade`` fields of a whole head: a server may ignore the offer (RFC 9110 §7.8)."""
    return _UPGRADE.sub(b"", head)


def fields_problem(version: str, target: bytes, fields: Mapping[bytes, bytes], lines: Lines) -> str | None:
    """Return why header fields are refused, with an HTTP version (``1.1``) and a target; or None.

    ``lines`` has every header line, ``fields`` the last one of each name, in lower case.
    """
    hosts, encodings = _count(b"host", fields, lines), _count(b"transfer-encoding", fields, lines)
    if encodings and (encodings > 1 or fields[b"transfer-encoding"].lower() != b"chunked" or version == "1.0"):
        return "Transfer-Encoding may only be 'chunked', once, in HTTP/1.1 (RFC 9112 §6.1)."
    if hosts > 1 or (not hosts and version != "1.0"):
        return f"There must be one Host header (RFC 9112 §3.2); there are {hosts}."
    host = fields.get(b"host")
    if host is not None and not _is_host(host):
        return "The Host header has characters that no host and port have (RFC 9112 §3.2)."
    return None if target.startswith((b"/", b"*")) else _absolute_target_problem(target, host)


def _count(name: bytes, fields: Mapping[bytes, bytes], lines: Lines) -> int:
    if name not in fields or len(fields) == len(lines):
        return int(name in fields)
    return sum(line == name for line, _ in lines)


@lru_cache(maxsize=64)
def _is_host(value: bytes) -> bool:
    return _HOST.fullmatch(value) is not None


def _absolute_target_problem(target: bytes, host: bytes | None) -> str | None:
    """Refuse a target of another host than the Host field's, by which a proxy may have decided (RFC 9112 §3.2)."""
    absolute = _ABSOLUTE.match(target)
    if absolute is None:
        return NOT_HTTP
    port = _DEFAULT_PORTS[absolute[1].lower()]
    same = host is None or absolute[2].lower().removesuffix(port) == host.lower().removesuffix(port)
    return None if same else "The target of the request names another host than its Host header (RFC 9112 §3.2)."
