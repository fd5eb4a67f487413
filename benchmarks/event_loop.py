"""What a request body holds the event loop for: many small things and few large ones, in all three dialects.

``python -m benchmarks.event_loop [--only TEXT] [--dialect NAME] [--free-tier]``: the application in this process, on
the demo model and the demo moderation. For each body: its size, the answer, the CPU time of the whole request, of the
loop's longest callback, and what the process computed between two ticks of the loop, which is how long another request
waits. The aims are 5 ms for a callback and 50 ms for another request.
"""

import argparse
import asyncio
import gc
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from obscura.api.app import create_app
from obscura.auth.api_keys import create_key
from obscura.cli.serve import tune_process
from obscura.settings import Settings
from obscura.stores.open import local_stores
from obscura.stores.sqlite.database import open_database
from tests.support.heavy_bodies import PATHS, heavy_bodies
from tests.support.loop_watch import LoopWatch, watched_loop

MAX_CALLBACK_MS, MAX_HELD_MS = 5.0, 50.0
UNLIMITED = 1_000_000


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--only", default="", help="bodies whose name has this in it")
    arguments.add_argument("--dialect", choices=PATHS, help="one dialect")
    arguments.add_argument("--free-tier", action="store_true", help="without a key")
    given = arguments.parse_args()
    tune_process()
    print(f"{'dialect':>10} {'body':<32} {'MB':>5} {'answer':<26} {'CPU, ms':>8} {'callback':>9} {'held':>7}")
    with TemporaryDirectory() as scratch:
        asyncio.run(
            measure(Path(scratch), [given.dialect] if given.dialect else list(PATHS), given.only, given.free_tier)
        )


async def measure(data_dir: Path, dialects: list[str], only: str, free_tier: bool) -> None:
    """Send each body once, after a first request that imports what is needed."""
    settings = Settings(data_dir=data_dir, key_requests_per_minute=UNLIMITED, free_tier_requests=UNLIMITED)
    database = open_database(data_dir)
    stores = local_stores(database, data_dir)
    _, secret = await create_key(stores.keys, "benchmark")
    app = create_app(settings, stores)
    headers = {"x-free-tier": "true"} if free_tier else {"authorization": f"Bearer {secret}"}
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://x", headers=headers, timeout=60
        ) as client,
        watched_loop() as watch,
    ):
        for dialect in dialects:
            await client.post(PATHS[dialect], content=dict(heavy_bodies(dialect))["800 turns"]())
            for name, make in heavy_bodies(dialect):
                if only in name:
                    await _measure_one(client, dialect, name, make(), watch)
    database.close()


async def _measure_one(client: httpx.AsyncClient, dialect: str, name: str, body: bytes, watch: LoopWatch) -> None:
    gc.collect()
    await asyncio.sleep(0.01)
    watch.reset()
    began_s = time.process_time()
    response = await client.post(PATHS[dialect], content=body)
    await asyncio.sleep(0.01)
    cpu_ms = 1000 * (time.process_time() - began_s)
    code = "" if response.is_success else response.json()["error"].get("code", "")
    over = "  " + "*" * ((watch.callback_ms > MAX_CALLBACK_MS) + (watch.held_ms > MAX_HELD_MS))
    print(
        f"{dialect:>10} {name:<32} {len(body) / 1e6:>5.1f} {response.status_code} {code:<22} {cpu_ms:>8.0f} "
        f"{watch.callback_ms:>9.1f} {watch.held_ms:>7.1f}{over}",
        flush=True,
    )


if __name__ == "__main__":
    main()
