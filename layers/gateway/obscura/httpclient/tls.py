"""TLS: one context for upstream, moderation and image hosts, since reading the authorities takes some 15 ms."""

import asyncio
import os
import ssl
from functools import cache

import certifi


@cache
def verifying_context() -> ssl.SSLContext:
    """Make the context that verifies every server, at the first call.

    It trusts the authorities in ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` alone where the operator names any, else the
    system's and certifi's.
    """
    named_file, named_folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if named_file or named_folder:
        return ssl.create_default_context(cafile=named_file or None, capath=named_folder or None)
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


async def tls() -> ssl.SSLContext:
    """Return the context; made off the event loop."""
    return await asyncio.to_thread(verifying_context)
