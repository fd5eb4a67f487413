"""What the admission of a caller costs on SQLite: check the key or JWT, count the request, write three headers.

``python -m benchmarks.admission [--times N]``: the kinds of caller take turns so that drift hits all alike, on a
database file in write-ahead mode as ``obscura serve`` has it; medians and 99th percentiles in milliseconds. The aim for
keys is a median of 0.2 ms. On DynamoDB it is one round trip, which a test counts.
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

from obscura.access_record import AccessRecord
from obscura.auth.access import AccessRequest, authenticate
from obscura.auth.api_keys import create_key
from obscura.auth.base import KeyScope
from obscura.auth.limits import AccessControl, parse_address
from obscura.bootstrap import open_access_control
from obscura.clock import SystemClock
from obscura.settings import Settings
from obscura.stores.open import open_stores

AIM_MS = 0.2
WARM_UP = 200
ISSUER, AUDIENCE = "https://login.example", "obscura"
UNLIMITED = 1_000_000_000


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--times", type=int, default=5000, help="admissions of each kind")
    times = arguments.parse_args().times
    with tempfile.TemporaryDirectory() as scratch:
        elapsed_ms = asyncio.run(measure(Path(scratch), times))
    print(f"{'caller':>16} {'p50, ms':>9} {'p99, ms':>9}   {times} each; the aim for a key is a p50 of {AIM_MS} ms")
    for caller, each_ms in elapsed_ms.items():
        print(f"{caller:>16} {median(each_ms):>9.3f} {quantiles(each_ms, n=100)[98]:>9.3f}")


async def measure(data_dir: Path, times: int) -> dict[str, list[float]]:
    """Return the milliseconds of each admission, by kind of caller."""
    signing_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    settings = Settings(
        data_dir=data_dir,
        free_tier_requests=UNLIMITED,
        key_requests_per_minute=UNLIMITED,
        jwt_requests_per_minute=UNLIMITED,
        jwks_url="https://login.example/keys",
        jwt_issuer=ISSUER,
        jwt_audience=AUDIENCE,
    )
    async with open_database(settings, signing_key) as (access_control, key):
        jwt_text = jwt.encode(
            {"iss": ISSUER, "aud": AUDIENCE, "sub": "user-1", "exp": time.time() + 3600},
            signing_key,
            "RS256",
            {"kid": "1"},
        )
        callers = {
            "key": ({"authorization": f"Bearer {key}"}, "203.0.113.7"),
            "JWT, RS256": ({"authorization": f"Bearer {jwt_text}"}, "203.0.113.7"),
            "free tier, IPv4": ({"x-free-tier": "true"}, "203.0.113.7"),
            "free tier, IPv6": ({"x-free-tier": "true"}, "2001:db8::7"),
        }
        elapsed_ms: dict[str, list[float]] = {caller: [] for caller in callers}
        for number in range(WARM_UP + times):
            for caller, (headers, address) in callers.items():
                began_s = time.perf_counter()
                await admit(headers, address, access_control)
                if number >= WARM_UP:
                    elapsed_ms[caller].append((time.perf_counter() - began_s) * 1e3)
        return elapsed_ms


async def admit(headers: dict[str, str], address: str, access_control: AccessControl) -> dict[str, str]:
    """Admit one caller and return the rate limit headers of its response."""
    record = AccessRecord("req_benchmark")
    await authenticate(
        AccessRequest(headers, parse_address(address), KeyScope.CHAT, record, uses_free_quota=True), access_control
    )
    return record.rate_limit.headers(access_control.clock.now()) if record.rate_limit else {}


@asynccontextmanager
async def open_database(settings: Settings, signing_key: rsa.RSAPrivateKey) -> AsyncIterator[tuple[AccessControl, str]]:
    """Open access control on a database file; yield it with a key. The JWKS comes from this process."""
    jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(signing_key.public_key())) | {"kid": "1"}
    published = httpx.MockTransport(lambda _request: httpx.Response(200, json={"keys": [jwk]}))
    async with open_stores(settings) as stores, httpx.AsyncClient(transport=published) as client:
        _, key = await create_key(stores.keys, "benchmark")
        yield open_access_control(settings, stores, client, SystemClock()), key


if __name__ == "__main__":
    main()
