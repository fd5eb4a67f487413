"""Refused requests of the free tier: returned so many times a day and no more, and so many in a minute."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from obscura.access_record import AccessRecord
from obscura.auth.access import admission
from obscura.auth.limits import MAX_REFUSED_PER_MINUTE, AccessControl, RateLimits
from obscura.errors import FreeTierExhausted, InvalidRequest, ObscuraError, RateLimitExceeded
from tests.support.access_control import FixedClock, access_control, access_request
from tests.support.anonymous import FREE_TIER, anonymous_client
from tests.support.gateway import chat_request, running_gateway
from tests.support.stores import OpenStores, dynamodb, sqlite_in_memory

IPV4 = "203.0.113.7"
each_store = pytest.mark.parametrize("open_stores", [sqlite_in_memory, dynamodb], ids=lambda store: store.__name__)


@dataclass
class Outcome:
    """How a request ended, and what its record says is left."""

    error: ObscuraError
    record: AccessRecord


async def refused(control: AccessControl, address: str = IPV4, *, free_quota: bool = True) -> Outcome:
    """Send a request that is refused once it was admitted, unless it is not admitted at all."""
    request = access_request(FREE_TIER, address, uses_free_quota=free_quota)
    try:
        async with admission(request, control):
            raise InvalidRequest("The body is no request.")
    except ObscuraError as error:
        return Outcome(error, request.record)


async def codes_of(control: AccessControl, addresses: Sequence[str], *, free_quota: bool = True) -> list[str]:
    return [(await refused(control, address, free_quota=free_quota)).error.code for address in addresses]


@each_store
async def test_a_network_gets_three_requests_back_and_then_none(open_stores: OpenStores, tmp_path: Path) -> None:
    async with access_control(open_stores, tmp_path) as control:
        outcomes = [await refused(control) for _ in range(6)]

        assert [outcome.error.code for outcome in outcomes] == ["invalid_request"] * 4 + ["free_tier_exhausted"] * 2
        left = [outcome.record.rate_limit.remaining for outcome in outcomes if outcome.record.rate_limit]
        assert left == [1, 1, 1, 0, 0, 0]
        assert outcomes[-1].error.retry_after_s == 43_190
        assert isinstance(outcomes[-1].error, FreeTierExhausted)


@each_store
async def test_fifty_refused_at_once_get_no_more_back(open_stores: OpenStores, tmp_path: Path) -> None:
    async with access_control(open_stores, tmp_path, limits=RateLimits(free_tier_requests=2)) as control:
        first = await asyncio.gather(*[refused(control) for _ in range(50)])
        then = [await refused(control) for _ in range(10)]

        admitted = [outcome for outcome in (*first, *then) if isinstance(outcome.error, InvalidRequest)]
        assert len(admitted) == 2 + 3 * 2


@pytest.mark.parametrize(("refunds", "admitted"), [(0, 1), (1, 2), (5, 6)])
async def test_the_operator_sets_how_many_are_returned(tmp_path: Path, refunds: int, admitted: int) -> None:
    async with access_control(folder=tmp_path, limits=RateLimits(free_tier_refunds=refunds)) as control:
        codes = await codes_of(control, [IPV4] * 8)

        assert codes == ["invalid_request"] * admitted + ["free_tier_exhausted"] * (8 - admitted)


@each_store
async def test_a_site_gets_eight_times_as_many_back(open_stores: OpenStores, tmp_path: Path) -> None:
    async with access_control(open_stores, tmp_path, limits=RateLimits(free_tier_refunds=1)) as control:
        hosts = [f"2001:db8:0:{number:x}::1" for number in range(20)]
        codes = await codes_of(control, hosts)

        # Eight are returned for the /56; eight more use up its eight requests.
        assert codes == ["invalid_request"] * 16 + ["free_tier_exhausted"] * 4


@each_store
async def test_thirty_refused_in_a_minute_pause_the_network(open_stores: OpenStores, tmp_path: Path) -> None:
    limits = RateLimits(free_tier_requests=100)
    async with access_control(open_stores, tmp_path, limits=limits) as control:
        codes = await codes_of(control, [IPV4] * (MAX_REFUSED_PER_MINUTE + 2))
        paused = await refused(control)
        assert isinstance(control.clock, FixedClock)
        control.clock.at += timedelta(seconds=paused.error.retry_after_s or 0)
        later = await refused(control)

        assert codes == ["invalid_request"] * 30 + ["rate_limit_exceeded"] * 2
        assert isinstance(paused.error, RateLimitExceeded)
        assert paused.error.retry_after_s == 50
        assert paused.record.rate_limit is not None
        assert paused.record.rate_limit.remaining == 0
        assert later.error.code == "invalid_request"


async def test_refused_requests_of_one_network_do_not_pause_another(tmp_path: Path) -> None:
    async with access_control(folder=tmp_path, limits=RateLimits(free_tier_requests=100)) as control:
        await codes_of(control, ["2001:db8::1"] * 31)

        assert await codes_of(control, ["2001:db8::2", "2001:db8:0:1::1", IPV4]) == [
            "rate_limit_exceeded",
            "invalid_request",
            "invalid_request",
        ]


@each_store
async def test_requests_counted_by_the_minute_have_ceilings_too(open_stores: OpenStores, tmp_path: Path) -> None:
    async with access_control(open_stores, tmp_path, limits=RateLimits(jwt_requests_per_minute=2)) as control:
        hosts = [f"2001:db8:0:{number:x}::1" for number in range(20)]
        codes = await codes_of(control, hosts, free_quota=False)
        ipv4 = await codes_of(control, [IPV4] * 3, free_quota=False)

        assert codes == ["invalid_request"] * 16 + ["rate_limit_exceeded"] * 4
        assert ipv4 == ["invalid_request"] * 2 + ["rate_limit_exceeded"]


async def test_over_http_the_fifth_bad_body_is_a_429() -> None:
    async with running_gateway() as gateway, anonymous_client(gateway) as anonymous:
        responses = [await anonymous.chat({"model": "m"}) for _ in range(5)]
        good = await anonymous.chat(chat_request("hi"))

        assert [response.status_code for response in responses] == [400] * 4 + [429]
        assert responses[-1].json()["error"]["code"] == "free_tier_exhausted"
        assert int(responses[-1].headers["retry-after"]) > 0
        assert good.status_code == 429
