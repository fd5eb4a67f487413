"""TLS to the upstream: trusted authorities only, and only for the name that was asked for."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trustme

from obscura.httpclient.tls import verifying_context
from obscura.httpclient.transport import FastTransport
from tests.security.image_urls.certificates import server_tls
from tests.support.raw_server import saying, saying_once, talking_server

OURS = trustme.CA()
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@pytest.fixture
def trusting_our_authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The operator's way to name an authority: SSL_CERT_FILE, read once a process."""
    file = tmp_path / "authority.pem"
    OURS.cert_pem.write_to_path(file)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    verifying_context.cache_clear()
    yield
    verifying_context.cache_clear()


def a_client() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=FastTransport(), trust_env=False, timeout=5)


@pytest.mark.usefixtures("trusting_our_authority")
async def test_a_server_of_a_trusted_authority_is_spoken_to_and_its_connection_kept() -> None:
    async with talking_server(saying(ANSWER), server_tls("127.0.0.1", OURS)) as server, a_client() as client:
        for _ in range(3):
            response = await client.post(server.https_url, content=b"x" * 1_000_000)

            assert response.content == b"hello"
        assert server.connections == 1


@pytest.mark.usefixtures("trusting_our_authority")
async def test_an_answer_without_a_length_ends_with_the_connection_over_tls_too() -> None:
    talk = saying_once(b"HTTP/1.1 200 OK\r\n\r\n", b"hello")
    async with talking_server(talk, server_tls("127.0.0.1", OURS)) as server, a_client() as client:
        assert (await client.post(server.https_url, content=b"x")).content == b"hello"


BAD = {
    "another name": server_tls("upstream.example", OURS),
    "expired": server_tls("127.0.0.1", OURS, expired=True),
    "another authority": server_tls("127.0.0.1", trustme.CA()),
}


@pytest.mark.usefixtures("trusting_our_authority")
@pytest.mark.parametrize("tls", BAD.values(), ids=BAD.keys())
async def test_a_certificate_that_does_not_hold_is_a_connect_error(tls) -> None:
    async with talking_server(saying(ANSWER), tls) as server, a_client() as client:
        with pytest.raises(httpx.ConnectError):
            await client.post(server.https_url, content=b"x")


@pytest.mark.usefixtures("trusting_our_authority")
async def test_a_server_that_speaks_no_tls_is_a_connect_error() -> None:
    async def talk(line) -> None:
        await line.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with talking_server(talk) as server, a_client() as client:
        with pytest.raises(httpx.ConnectError):
            await client.post(server.https_url, content=b"x")
