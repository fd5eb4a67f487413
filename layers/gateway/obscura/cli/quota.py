"""``obscura quota``: what an address has used of the free tier, and making it free again."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from obscura.access_record import rfc3339
from obscura.auth.base import Counter
from obscura.auth.limits import Address, day_window, network_quotas, parse_address, quota_counters
from obscura.cli.errors import output, say_error, table
from obscura.settings import Settings
from obscura.stores.open import Stores, open_stores

app = typer.Typer(help="Show and reset what an address has used of the free tier.", no_args_is_help=True)

# Not `type …`: typer looks for the Annotated itself, and would show no help.
AddressArgument = Annotated[str, typer.Argument(help="An IPv4 or IPv6 address.", metavar="ADDRESS")]


@app.command()
def show(address: AddressArgument) -> None:
    """Show the requests of today that an address's networks have used."""
    asked = _parsed(address)
    counters, taken = asyncio.run(_taken(asked))
    shown = table("Network", "Used", "Of", "New ones (UTC)", folding=["Network"])
    for share, counter, count in zip(network_quotas(asked), counters, taken, strict=True):
        shown.add_row(share.network, str(count), str(counter.limit), rfc3339(counter.window.ends_at_s))
    output.print(shown)


@app.command()
def reset(address: AddressArgument) -> None:
    """Make all requests of today free again, for an address's own network and for those around it."""
    asked = _parsed(address)
    asyncio.run(_reset(asked))
    output.print(f"Free again: {', '.join(share.network for share in network_quotas(asked))}.")


def _parsed(address: str) -> Address:
    parsed = parse_address(address)
    if parsed is None:
        say_error(f"'{address}' is no IPv4 or IPv6 address.")
        raise typer.Exit(2)
    return parsed


async def _taken(address: Address) -> tuple[Sequence[Counter], list[int]]:
    settings = Settings()
    async with open_stores(settings) as stores:
        counters = await _counters(address, settings, stores)
        return counters, await stores.quotas.taken(counters)


async def _reset(address: Address) -> None:
    settings = Settings()
    async with open_stores(settings) as stores:
        await stores.quotas.forget(await _counters(address, settings, stores))


async def _counters(address: Address, settings: Settings, stores: Stores) -> list[Counter]:
    window = day_window(datetime.now(UTC))
    return await quota_counters(address, settings.free_tier_requests, window, stores.address_secret)
