"""What letting a caller in costs on SQLite: the key or token checked, the request counted, the three headers written.

``python -m benchmarks.admission [--times N]``: each kind of caller in turn so that drift hits all alike, on a database
file in write-ahead mode as ``obscura serve`` has it; medians and 99th percentiles in milliseconds. The aim for keys is
a median of 0.2 ms. DynamoDB's part is one round trip, which a test counts.
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median, quantiles

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from obscura.adapters.system_clock import SystemClock
from obscura.cli.issuing import issue_key
from obscura.config import Settings
from obscura.pipeline.admit import Knock, admit
from obscura.pipeline.door import Door
from obscura.pipeline.journal import RequestJournal
from obscura.pipeline.networks import parse_address
from obscura.ports import Scope
from obscura.web.composition import open_door
from obscura.web.stores import open_stores

AIM_MS = 0.2
WARM_UP = 200
ISSUER, AUDIENCE = "https://login.example", "obscura"
PLENTY = 1_000_000_000


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--times", type=int, default=5000, help="admissions of each kind")
    times = arguments.parse_args().times
    with tempfile.TemporaryDirectory() as scratch:
        took_ms = asyncio.run(measure(Path(scratch), times))
    print(f"{'caller':>16} {'p50, ms':>9} {'p99, ms':>9}   {times} each; the aim for a key is a p50 of {AIM_MS} ms")
    for caller, each_ms in took_ms.items():
        print(f"{caller:>16} {median(each_ms):>9.3f} {quantiles(each_ms, n=100)[98]:>9.3f}")


async def measure(data_dir: Path, times: int) -> dict[str, list[float]]:
    """Give the milliseconds of each admission, by kind of caller."""
    signing_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    settings = Settings(
        data_dir=data_dir,
        free_tier_requests=PLENTY,
        key_requests_per_minute=PLENTY,
        jwt_requests_per_minute=PLENTY,
        jwks_url="https://login.example/keys",
        jwt_issuer=ISSUER,
        jwt_audience=AUDIENCE,
    )
    async with opened(settings, signing_key) as (door, key):
        token = jwt.encode(
            {"iss": ISSUER, "aud": AUDIENCE, "sub": "somebody", "exp": time.time() + 3600},
            signing_key,
            "RS256",
            {"kid": "1"},
        )
        callers = {
            "key": ({"authorization": f"Bearer {key}"}, "203.0.113.7"),
            "JWT, RS256": ({"authorization": f"Bearer {token}"}, "203.0.113.7"),
            "free tier, IPv4": ({"x-free-tier": "true"}, "203.0.113.7"),
            "free tier, IPv6": ({"x-free-tier": "true"}, "2001:db8::7"),
        }
        took_ms: dict[str, list[float]] = {caller: [] for caller in callers}
        for number in range(WARM_UP + times):
            for caller, (headers, address) in callers.items():
                began_s = time.perf_counter()
                await admitted(headers, address, door)
                if number >= WARM_UP:
                    took_ms[caller].append((time.perf_counter() - began_s) * 1e3)
        return took_ms


async def admitted(headers: dict[str, str], address: str, door: Door) -> dict[str, str]:
    """Let one caller in, and write what its answer's headers say of it."""
    journal = RequestJournal("req_benchmark")
    await admit(Knock(headers, parse_address(address), Scope.CHAT, journal, takes_place=True), door)
    return journal.allowance.headers() if journal.allowance else {}


@asynccontextmanager
async def opened(settings: Settings, signing_key: rsa.RSAPrivateKey) -> AsyncIterator[tuple[Door, str]]:
    """Open a door on a database file, with a key, and the token issuer's keys within the process."""
    jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(signing_key.public_key())) | {"kid": "1"}
    published = httpx.MockTransport(lambda _request: httpx.Response(200, json={"keys": [jwk]}))
    async with open_stores(settings) as stores, httpx.AsyncClient(transport=published) as client:
        _, key = await issue_key(stores.keys, "benchmark")
        yield open_door(settings, stores, client, SystemClock()), key


if __name__ == "__main__":
    main()
