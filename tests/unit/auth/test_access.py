"""Authentication: which credentials are accepted, and with which zero retention."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from obscura.auth.access import Principal, authenticate
from obscura.auth.api_keys import create_key, key_digest
from obscura.auth.limits import AccessControl
from obscura.errors import InvalidApiKey, MissingCredentials
from tests.support.access_control import access_control, access_request


@asynccontextmanager
async def one_key(**flags: Any) -> AsyncIterator[tuple[AccessControl, str]]:
    async with access_control() as control:
        _, secret = await create_key(control.keys, "images", **flags)
        yield control, secret


@pytest.mark.parametrize(
    "header",
    [
        ("authorization", "Bearer {}"),
        ("authorization", "bearer {}"),
        ("authorization", "BEARER   {} "),
        ("x-api-key", "{}"),
    ],
)
async def test_a_key_authenticates_its_project(header: tuple[str, str]) -> None:
    async with one_key() as (control, secret):
        name, template = header

        admission = await authenticate(access_request({name: template.format(secret)}), control)

        key = await control.keys.find(key_digest(secret))
        assert key is not None
        assert admission.principal == Principal(
            "images", zero_retention=False, subject=f"key:{key.id}", usage_subject=key.id
        )


@pytest.mark.parametrize("headers", [{}, {"x-api-key": ""}, {"accept": "*/*"}])
async def test_a_request_without_credentials_is_rejected(headers: dict[str, Any]) -> None:
    async with one_key() as (control, _):
        with pytest.raises(MissingCredentials):
            await authenticate(access_request(headers), control)


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer ", "Basic {}", "{}", "Token {}", "Bearer x{}", "Bearer {}x", "Bearer {} {}"]
)
async def test_a_malformed_or_unknown_credential_is_rejected(authorization: str) -> None:
    async with one_key() as (control, secret):
        with pytest.raises(InvalidApiKey) as error:
            await authenticate(access_request({"authorization": authorization.format(secret, secret)}), control)

        assert secret not in error.value.message


@pytest.mark.parametrize("secret", ["obs_", "obs_wrong", "obs_é", "sk-wrong", "\x00"])
async def test_a_key_that_was_never_created_is_rejected(secret: str) -> None:
    async with one_key() as (control, _):
        with pytest.raises(InvalidApiKey):
            await authenticate(access_request({"x-api-key": secret}), control)


async def test_the_authorization_header_takes_precedence_over_x_api_key() -> None:
    async with one_key() as (control, secret):
        with pytest.raises(InvalidApiKey):
            await authenticate(access_request({"authorization": "Bearer obs_wrong", "x-api-key": secret}), control)


async def test_an_invalid_credential_is_rejected_even_with_x_free_tier() -> None:
    async with one_key() as (control, _):
        with pytest.raises(InvalidApiKey):
            await authenticate(access_request({"authorization": "Bearer obs_wrong", "x-free-tier": "true"}), control)


async def test_a_revoked_key_is_rejected() -> None:
    async with one_key() as (control, secret):
        (key,) = await control.keys.list_all()

        await control.keys.revoke(key.id, control.clock.now())

        with pytest.raises(InvalidApiKey):
            await authenticate(access_request({"x-api-key": secret}), control)


@pytest.mark.parametrize(
    ("of_key", "header", "zero"),
    [
        (False, {}, False),
        (False, {"x-zero-retention": "true"}, True),
        (False, {"x-zero-retention": " TRUE "}, True),
        (False, {"x-zero-retention": "1"}, True),
        (False, {"x-zero-retention": "false"}, False),
        (False, {"x-zero-retention": "No"}, False),
        (False, {"x-zero-retention": "yes"}, True),
        (False, {"x-zero-retention": "true, false"}, True),
        (True, {}, True),
        (True, {"x-zero-retention": "false"}, True),
    ],
)
async def test_the_key_or_the_request_turns_on_zero_retention(of_key: bool, header: dict[str, Any], zero: bool) -> None:
    async with one_key(zero_retention=of_key) as (control, secret):
        admission = await authenticate(access_request({"x-api-key": secret} | header), control)

        assert admission.principal.zero_retention is zero


def test_the_digest_of_a_key_is_its_sha_256() -> None:
    assert key_digest("abc").hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
