"""Admission of JWTs, in outages and of paused networks: what a store or a verifier says decides it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from obscura.auth.access import Principal, authenticate
from obscura.auth.api_keys import create_key
from obscura.auth.base import Counter, Paused, TokenSubject, Window
from obscura.auth.limits import AccessControl, RateLimits
from obscura.errors import InvalidApiKey, InvalidToken, RateLimitExceeded, StoreUnavailable
from tests.support.access_control import access_control, access_request

JWT = "header.payload.signature"


@dataclass
class Verifier:
    """Accepts every token as this subject's."""

    verified: TokenSubject

    async def verify(self, token: str) -> TokenSubject:
        assert token == JWT
        return self.verified


class NoRates:
    """A counter whose store is down."""

    async def increment(self, subject: str, window: Window) -> int:
        raise StoreUnavailable("down", retry_after_s=1)


class PausedQuotas:
    """Quotas of networks that are all paused."""

    def __init__(self, until_s: int) -> None:
        self._until_s = until_s

    async def reserve(self, counters: Sequence[Counter], at_s: int | None = None) -> int | None:
        raise Paused(self._until_s)


def bearer(secret: str, **headers: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"} | {name.replace("_", "-"): value for name, value in headers.items()}


@pytest.mark.parametrize("of_token", [False, True])
@pytest.mark.parametrize("of_request", [False, True])
async def test_the_jwt_or_the_request_turns_on_zero_retention(of_token: bool, of_request: bool) -> None:
    verifier = Verifier(TokenSubject("user-1", "jwt:p", zero_retention=of_token))
    headers = bearer(JWT, x_zero_retention="true") if of_request else bearer(JWT)
    async with access_control(tokens=verifier) as control:
        principal = (await authenticate(access_request(headers), control)).principal

    assert (principal.project, principal.anonymous) == ("jwt:p", False)
    assert principal.zero_retention is (of_token or of_request)


@pytest.mark.parametrize("secret", ["header.payload", "a.b.c.d", "header"])
async def test_only_three_parts_are_a_jwt(secret: str) -> None:
    async with access_control(tokens=Verifier(TokenSubject("s", "p", zero_retention=False))) as control:
        with pytest.raises(InvalidApiKey):
            await authenticate(access_request(bearer(secret)), control)


async def test_no_jwt_is_accepted_without_a_verifier() -> None:
    async with access_control() as control:
        with pytest.raises(InvalidToken, match="OBSCURA_JWKS_URL"):
            await authenticate(access_request(bearer(JWT)), control)


async def test_a_key_passes_an_outage_of_the_counters_only_if_the_operator_says_so() -> None:
    async with access_control(allow_cached_keys_in_outage=True) as control:
        _, secret = await create_key(control.keys, "images")
        lenient, request = replace(control, rates=NoRates()), access_request(bearer(secret))

        assert (await authenticate(request, lenient)).principal.project == "images"
        assert request.record.rate_limit is not None
        assert (request.record.rate_limit.limit, request.record.rate_limit.remaining) == (120, 120)
        with pytest.raises(StoreUnavailable):
            await authenticate(request, replace(lenient, allow_cached_keys_in_outage=False))


async def test_no_jwt_passes_an_outage_of_the_counters() -> None:
    verifier = Verifier(TokenSubject("s", "p", zero_retention=False))
    async with access_control(tokens=verifier, allow_cached_keys_in_outage=True) as control:
        with pytest.raises(StoreUnavailable):
            await authenticate(access_request(bearer(JWT)), replace(control, rates=NoRates()))


async def test_an_outage_is_closed_and_limits_are_the_documented_ones_by_default() -> None:
    async with access_control() as control:
        plain = AccessControl(
            control.keys,
            None,
            control.rates,
            control.quotas,
            control.address_secret,
            control.clock,
            RateLimits(),
        )

    assert plain.allow_cached_keys_in_outage is False
    assert plain.limits == RateLimits(120, 30, 1, None)
    assert plain.limits.refunds == 3


async def test_a_paused_ipv6_network_has_the_limit_of_its_own_64() -> None:
    request = access_request({"x-free-tier": "1"}, "2001:db8::1")
    async with access_control() as control:
        until_s = int(control.clock.now().timestamp()) + 40
        with pytest.raises(RateLimitExceeded) as error:
            await authenticate(request, replace(control, quotas=PausedQuotas(until_s)))  # type: ignore[arg-type]

    assert error.value.retry_after_s == 40
    assert request.record.rate_limit is not None
    assert (request.record.rate_limit.limit, request.record.rate_limit.remaining) == (1, 0)
    assert request.record.rate_limit.resets_at_s == until_s


def test_a_principal_is_known_unless_said_otherwise_and_hides_its_subject() -> None:
    principal = Principal("p", zero_retention=False, subject="network:203.0.113.7/32")

    assert (principal.anonymous, principal.may_use_files) == (False, True)
    assert "203.0.113" not in repr(principal)
