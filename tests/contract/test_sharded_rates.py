"""Keys whose requests are counted over several counters: never over the limit, and how far below it at most."""

import asyncio
from pathlib import Path

import pytest

from obscura.auth.api_keys import create_key, key_digest
from obscura.auth.base import Counter, Window
from obscura.auth.sharded_rates import ShardTurns, increment_shard, shard_limit
from tests.support.stores import STORES, OpenStores

MINUTE = Window(60 * 20_000_000, 60)
LIMIT, SHARDS, PROCESSES = 103, 8, 3

each_store = pytest.mark.parametrize("open_stores", STORES, ids=lambda store: store.__name__)


@each_store
async def test_the_mark_of_a_key_is_stored(open_stores: OpenStores, tmp_path: Path) -> None:
    async with open_stores(tmp_path) as stores:
        _, marked = await create_key(stores.keys, "p", shards=SHARDS)
        _, plain = await create_key(stores.keys, "p")

        found = [await stores.keys.find(key_digest(secret)) for secret in (marked, plain)]

    assert [key and key.shards for key in found] == [SHARDS, 1]


@each_store
async def test_a_sharded_key_passes_exactly_its_limit_in_the_end(open_stores: OpenStores, tmp_path: Path) -> None:
    async with open_stores(tmp_path) as stores:
        processes = [ShardTurns() for _ in range(PROCESSES)]
        passed = await asyncio.gather(
            *[
                increment_shard(stores.rates, Counter("key:a", MINUTE, LIMIT), SHARDS, processes[number % PROCESSES])
                for number in range(2 * LIMIT)
            ]
        )

    assert sum(passes for passes, _ in passed) == LIMIT


async def test_the_first_refusal_comes_within_the_documented_bound(tmp_path: Path) -> None:
    # The worst case: all processes begin with the same shard and stop before the others have had their turn.
    async with STORES[1](tmp_path) as stores:
        processes = [ShardTurns(lambda _: 0) for _ in range(PROCESSES)]
        refused_at = 0
        for number in range(LIMIT):
            turns = processes[number % PROCESSES]
            passes, _ = await increment_shard(stores.rates, Counter("key:a", MINUTE, LIMIT), SHARDS, turns)
            if not passes:
                refused_at = number
                break
        else:
            refused_at = LIMIT

    assert LIMIT - (SHARDS - 1) * PROCESSES <= refused_at <= LIMIT


@pytest.mark.parametrize(("limit", "shards"), [(103, 8), (8, 8), (1, 1), (120, 7)])
def test_the_parts_of_a_limit_add_up_to_it(limit: int, shards: int) -> None:
    parts = [shard_limit(limit, shards, shard) for shard in range(shards)]

    assert sum(parts) == limit
    assert max(parts) - min(parts) <= 1
    assert min(parts) > 0


async def test_a_limit_below_the_shards_is_kept(tmp_path: Path) -> None:
    async with STORES[1](tmp_path) as stores:
        turns = ShardTurns()
        passed = [await increment_shard(stores.rates, Counter("key:a", MINUTE, 2), SHARDS, turns) for _ in range(9)]

    assert [passes for passes, _ in passed].count(True) == 2


def test_two_keys_in_turn_each_go_round_all_shards() -> None:
    turns = ShardTurns(lambda _: 0)

    shards = [(turns.next("a", 2), turns.next("b", 2)) for _ in range(4)]

    assert shards == [(0, 0), (1, 1), (0, 0), (1, 1)]
