"""``obscura quota``: show and reset what an address has used of the free tier."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from obscura.access_record import rfc3339
from obscura.auth.base import Counter
from obscura.auth.limits import (
    Address,
    RateLimits,
    day_window,
    network_quotas,
    parse_address,
    quota_counters,
    refund_counters,
)
from obscura.cli.console import output, print_error, table
from obscura.settings import Settings
from obscura.stores.open import Stores, open_stores

app = typer.Typer(help="Show and reset what an address has used of the free tier.", no_args_is_help=True)

# Not `type …`: typer looks for the Annotated itself, and would show no help.
AddressArgument = Annotated[str, typer.Argument(help="An IPv4 or IPv6 address.", metavar="ADDRESS")]


@app.command()
def show(address: AddressArgument) -> None:
    """Show the requests of today that an address's networks have used."""
    parsed_address = _parse(address)
    counters, used = asyncio.run(_used(parsed_address))
    rows = table("Network", "Used", "Of", "Resets at (UTC)", folding=["Network"])
    for quota, counter, count in zip(network_quotas(parsed_address), counters, used, strict=True):
        rows.add_row(quota.network, str(count), str(counter.limit), rfc3339(counter.window.ends_at_s))
    output.print(rows)


@app.command()
def reset(address: AddressArgument) -> None:
    """Reset today's counts of an address's own network and of the networks around it."""
    parsed_address = _parse(address)
    asyncio.run(_reset(parsed_address))
    output.print(f"Reset: {', '.join(quota.network for quota in network_quotas(parsed_address))}.")


def _parse(address: str) -> Address:
    parsed = parse_address(address)
    if parsed is None:
        print_error(f"'{address}' is not an IPv4 or IPv6 address.")
        raise typer.Exit(2)
    return parsed


async def _used(address: Address) -> tuple[Sequence[Counter], list[int]]:
    settings = Settings()
    async with open_stores(settings) as stores:
        counters = await _counters(address, settings, stores)
        return counters, await stores.quotas.used(counters)


async def _reset(address: Address) -> None:
    settings = Settings()
    async with open_stores(settings) as stores:
        counters = await _counters(address, settings, stores)
        limits = RateLimits(free_tier_requests=settings.free_tier_requests)
        await stores.quotas.reset([*counters, *refund_counters(counters, limits)])


async def _counters(address: Address, settings: Settings, stores: Stores) -> list[Counter]:
    window = day_window(datetime.now(UTC))
    return await quota_counters(address, settings.free_tier_requests, window, stores.address_secret)
