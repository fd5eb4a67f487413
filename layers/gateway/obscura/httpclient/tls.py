"""One TLS context for upstreams, moderation and image hosts: reading the certificate authorities takes some 15 ms."""

import asyncio
import os
import ssl
from functools import cache

import certifi


@cache
def verifying_context() -> ssl.SSLContext:
    """Make the context that verifies every server, once a process.

    It trusts the authorities in ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` alone if the operator sets either, else the
    system's and certifi's.
    """
    ca_file, ca_folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if ca_file or ca_folder:
        return ssl.create_default_context(cafile=ca_file or None, capath=ca_folder or None)
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


async def tls() -> ssl.SSLContext:
    """Return the context, made off the event loop."""
    return await asyncio.to_thread(verifying_context)
