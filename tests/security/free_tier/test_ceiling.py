"""The free tier as a whole has a ceiling a day: many networks together cannot spend more."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from obscura.auth.access import admission
from obscura.auth.limits import AccessControl, RateLimits
from obscura.errors import FreeTierExhausted, InvalidRequest, ObscuraError
from tests.support.access_control import access_control, access_request
from tests.support.anonymous import FREE_TIER
from tests.support.stores import CallCounter, OpenStores, dynamodb, sqlite_in_memory

each_store = pytest.mark.parametrize("open_stores", [sqlite_in_memory, dynamodb], ids=lambda store: store.__name__)


async def code_of(control: AccessControl, address: str, error: ObscuraError | None = None) -> str:
    """Return how a request ends that has got past admission, or was refused there."""
    request = access_request(FREE_TIER, address)
    try:
        async with admission(request, control):
            request.record.left_gateway = error is None
            if error is not None:
                raise error
    except ObscuraError as refusal:
        return refusal.code
    return "served"


@each_store
async def test_many_networks_at_once_get_the_ceiling_and_no_more(open_stores: OpenStores, tmp_path: Path) -> None:
    async with access_control(open_stores, tmp_path, limits=RateLimits(free_tier_daily_requests=5)) as control:
        codes = await asyncio.gather(*[code_of(control, f"203.0.113.{host}") for host in range(20)])

    assert sorted(codes) == ["free_tier_exhausted"] * 15 + ["served"] * 5


async def test_networks_meet_in_no_transaction(tmp_path: Path) -> None:
    """DynamoDB cancels transactions that meet on an item: one host could keep all others out."""
    calls = CallCounter()
    async with access_control(dynamodb, tmp_path, limits=RateLimits(free_tier_daily_requests=1)) as control:
        await control.address_secret.read()
        calls.calls.clear()
        await code_of(control, "203.0.113.1")
        await code_of(control, "203.0.113.2")

    assert calls.calls == [
        *["TransactWriteItems", "UpdateItem"],
        *["TransactWriteItems", "UpdateItem", "TransactWriteItems"],
    ]


@each_store
async def test_a_network_refused_by_the_ceiling_keeps_its_own(open_stores: OpenStores, tmp_path: Path) -> None:
    limits = RateLimits(free_tier_daily_requests=1)
    async with access_control(open_stores, tmp_path, limits=limits) as control:
        await code_of(control, "203.0.113.1")
        request = access_request(FREE_TIER, "203.0.113.2")
        with pytest.raises(FreeTierExhausted, match=r"all networks together are used up \(1 a day\)") as raised:
            async with admission(request, control):
                pass
        wider = AccessControl(
            control.keys, None, control.rates, control.quotas, control.address_secret, control.clock, RateLimits()
        )

        assert await code_of(wider, "203.0.113.2") == "served"
        assert raised.value.retry_after_s == 43_190
        assert request.record.rate_limit is not None
        assert request.record.rate_limit.remaining == 0


@each_store
async def test_a_returned_request_is_returned_to_the_ceiling_too(open_stores: OpenStores, tmp_path: Path) -> None:
    async with access_control(open_stores, tmp_path, limits=RateLimits(free_tier_daily_requests=1)) as control:
        refused = await code_of(control, "203.0.113.1", InvalidRequest("x"))

        assert refused == "invalid_request"
        assert await code_of(control, "203.0.113.2") == "served"
        assert await code_of(control, "203.0.113.3") == "free_tier_exhausted"


@each_store
async def test_networks_without_requests_left_take_none_of_the_ceiling(open_stores: OpenStores, tmp_path: Path) -> None:
    async with access_control(open_stores, tmp_path, limits=RateLimits(free_tier_daily_requests=2)) as control:
        for _ in range(10):
            with suppress(ObscuraError):
                await code_of(control, "203.0.113.1")

        assert await code_of(control, "203.0.113.2") == "served"
