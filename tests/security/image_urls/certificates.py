"""TLS contexts with certificates of a test authority."""

import ssl
from datetime import UTC, datetime, timedelta

import trustme

AUTHORITY = trustme.CA()


def server_tls(name: str, authority: trustme.CA = AUTHORITY, *, expired: bool = False) -> ssl.SSLContext:
    """The TLS context of a host whose name is ``name``."""
    now = datetime.now(UTC)
    end = now - timedelta(days=1) if expired else now + timedelta(days=1)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, not_before=now - timedelta(days=2), not_after=end).configure_cert(context)
    return context


def client_tls() -> ssl.SSLContext:
    """The TLS context of a client that also trusts the test authority."""
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    return context
