"""TLS to upstreams: trusted authorities only, and only for the name that was requested."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trustme

from obscura.httpclient.tls import tls, verifying_context
from obscura.httpclient.transport import FastTransport
from tests.security.image_urls.certificates import server_tls
from tests.support.raw_server import RawConnection, raw_server, responding, responding_once

OURS = trustme.CA()
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@pytest.fixture
def no_authority_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def authority_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An authority that the operator configures by SSL_CERT_FILE, read once a process."""
    file = tmp_path / "authority.pem"
    OURS.cert_pem.write_to_path(file)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    verifying_context.cache_clear()
    yield
    verifying_context.cache_clear()


def a_client() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=FastTransport(), trust_env=False, timeout=5)


async def test_every_connection_uses_the_same_context() -> None:
    assert await tls() is await tls()


@pytest.mark.usefixtures("no_authority_configured")
def test_names_and_certificates_are_verified() -> None:
    context = verifying_context.__wrapped__()

    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert len(context.get_ca_certs()) > 50


@pytest.mark.usefixtures("authority_configured")
def test_only_the_authorities_that_the_operator_configures_are_trusted() -> None:
    context = verifying_context.__wrapped__()

    assert len(context.get_ca_certs()) == 1
    assert context.verify_mode is ssl.CERT_REQUIRED


@pytest.mark.usefixtures("authority_configured")
async def test_a_server_of_a_trusted_authority_keeps_its_connection() -> None:
    async with raw_server(responding(RESPONSE), server_tls("127.0.0.1", OURS)) as server, a_client() as client:
        for _ in range(3):
            response = await client.post(server.https_url, content=b"x" * 1_000_000)

            assert response.content == b"hello"
        assert server.connections == 1


@pytest.mark.usefixtures("authority_configured")
async def test_over_tls_too_a_body_without_a_length_ends_at_the_close() -> None:
    script = responding_once(b"HTTP/1.1 200 OK\r\n\r\n", b"hello")
    async with raw_server(script, server_tls("127.0.0.1", OURS)) as server, a_client() as client:
        assert (await client.post(server.https_url, content=b"x")).content == b"hello"


BAD = {
    "another name": server_tls("upstream.example", OURS),
    "expired": server_tls("127.0.0.1", OURS, expired=True),
    "another authority": server_tls("127.0.0.1", trustme.CA()),
}


@pytest.mark.usefixtures("authority_configured")
@pytest.mark.parametrize("certificate", BAD.values(), ids=BAD.keys())
async def test_an_invalid_certificate_is_a_connect_error(certificate: ssl.SSLContext) -> None:
    async with raw_server(responding(RESPONSE), certificate) as server, a_client() as client:
        with pytest.raises(httpx.ConnectError):
            await client.post(server.https_url, content=b"x")


@pytest.mark.usefixtures("authority_configured")
async def test_a_server_without_tls_is_a_connect_error() -> None:
    async def script(connection: RawConnection) -> None:
        await connection.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with raw_server(script) as server, a_client() as client:
        with pytest.raises(httpx.ConnectError):
            await client.post(server.https_url, content=b"x")
