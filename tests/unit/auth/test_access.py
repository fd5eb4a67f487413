"""Who is let in with which credential."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from obscura.auth.access import authenticate, key_digest
from obscura.auth.api_keys import create_key
from obscura.auth.limits import AccessControl
from obscura.errors import InvalidApiKey, MissingCredentials
from tests.support.access_control import access_control, access_request


@asynccontextmanager
async def one_key(**flags: object) -> AsyncIterator[tuple[AccessControl, str]]:
    async with access_control() as door:
        _, secret = await create_key(door.keys, "images", **flags)
        yield door, secret


@pytest.mark.parametrize(
    "header",
    [
        ("authorization", "Bearer {}"),
        ("authorization", "bearer {}"),
        ("authorization", "BEARER   {} "),
        ("x-api-key", "{}"),
    ],
)
async def test_the_holder_of_a_key_is_let_in_for_its_project(header: tuple[str, str]) -> None:
    async with one_key() as (door, secret):
        name, spelled = header

        admission = await authenticate(access_request({name: spelled.format(secret)}), door)

        assert (admission.caller.project, admission.caller.zero_retention) == ("images", False)


@pytest.mark.parametrize("headers", [{}, {"x-api-key": ""}, {"accept": "*/*"}])
async def test_nobody_comes_in_without_credentials(headers: dict) -> None:
    async with one_key() as (door, _):
        with pytest.raises(MissingCredentials):
            await authenticate(access_request(headers), door)


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer ", "Basic {}", "{}", "Token {}", "Bearer x{}", "Bearer {}x", "Bearer {} {}"]
)
async def test_a_malformed_or_unknown_credential_is_refused(authorization: str) -> None:
    async with one_key() as (door, secret):
        with pytest.raises(InvalidApiKey) as refused:
            await authenticate(access_request({"authorization": authorization.format(secret, secret)}), door)

        assert secret not in refused.value.message


@pytest.mark.parametrize("secret", ["obs_", "obs_wrong", "obs_é", "sk-wrong", "\x00"])
async def test_a_key_that_was_never_created_is_refused(secret: str) -> None:
    async with one_key() as (door, _):
        with pytest.raises(InvalidApiKey):
            await authenticate(access_request({"x-api-key": secret}), door)


async def test_the_authorization_header_goes_before_x_api_key() -> None:
    async with one_key() as (door, secret):
        with pytest.raises(InvalidApiKey):
            await authenticate(access_request({"authorization": "Bearer obs_wrong", "x-api-key": secret}), door)


async def test_a_bad_credential_is_refused_even_with_the_free_tier() -> None:
    async with one_key() as (door, _):
        with pytest.raises(InvalidApiKey):
            await authenticate(access_request({"authorization": "Bearer obs_wrong", "x-free-tier": "true"}), door)


async def test_a_revoked_key_lets_nobody_in() -> None:
    async with one_key() as (door, secret):
        (key,) = await door.keys.all()

        await door.keys.revoke(key.id, datetime.now(UTC))

        with pytest.raises(InvalidApiKey):
            await authenticate(access_request({"x-api-key": secret}), door)


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
async def test_zero_retention_is_asked_for_by_the_key_or_by_the_request(of_key: bool, header: dict, zero: bool) -> None:
    async with one_key(zero_retention=of_key) as (door, secret):
        admission = await authenticate(access_request({"x-api-key": secret} | header), door)

        assert admission.caller.zero_retention is zero


def test_a_key_is_known_by_its_sha_256() -> None:
    assert key_digest("abc").hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
