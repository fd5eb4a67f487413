"""Whom the one TLS context trusts, and that there is but one."""

import ssl
from pathlib import Path

import pytest
import trustme

from obscura.httpclient.tls import tls, verifying_context

NAMING = ("SSL_CERT_FILE", "SSL_CERT_DIR")


@pytest.fixture(autouse=True)
def _nobody_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMING:
        monkeypatch.delenv(name, raising=False)


async def test_every_connection_is_given_the_same_context() -> None:
    assert await tls() is await tls()


def test_names_and_certificates_are_verified() -> None:
    context = verifying_context.__wrapped__()

    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert len(context.get_ca_certs()) > 50


def test_authorities_that_the_operator_names_are_the_only_ones(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    named = tmp_path / "authority.pem"
    trustme.CA().cert_pem.write_to_path(str(named))
    monkeypatch.setenv("SSL_CERT_FILE", str(named))

    context = verifying_context.__wrapped__()

    assert len(context.get_ca_certs()) == 1
    assert context.verify_mode is ssl.CERT_REQUIRED
