"""What a policy adds to a chat: ``python -m benchmarks.policy_requests [--rounds N]``.

One process, no socket, the demo model and its moderation: the endpoints take turns, each ``CHATS`` requests a round,
and the CPU of the whole process is counted, so what is done after the last byte (events, log lines) is in it. A busy
machine stretches neither. The aim is 0.3 ms for a policy without rules; status 1 if it is missed.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import MutableMapping
from pathlib import Path
from statistics import median
from typing import Any

from starlette.types import ASGIApp

from obscura.api.app import create_app
from obscura.auth.api_keys import create_key
from obscura.clock import SystemClock
from obscura.policy.parse import parse_document
from obscura.policy.versions import next_version
from obscura.settings import Settings
from obscura.stores.open import Stores, open_stores

AIM_MS = 0.3
CHATS = 40
BODY: dict[str, Any] = {"messages": [{"role": "user", "content": "What is the capital of France?"}]}
DOCUMENTS: dict[str, dict[str, Any]] = {
    "empty": {},
    "lists": {"rules": {"denylist": ["codename q", "internal only"], "redact_pii": True}},
}
ENDPOINTS: dict[str, tuple[str, dict[str, Any]]] = {
    "/v1": ("/v1/chat/completions", {}),
    "/policy, no policy": ("/policy/chat/completions", {}),
    "/policy, empty policy": ("/policy/chat/completions", {"policy_id": "empty"}),
    "/policy, terms and PII": ("/policy/chat/completions", {"policy_id": "lists"}),
}


def main() -> int:
    """Measure, print, and return the status."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=25)
    rounds = arguments.parse_args().rounds
    sent_ms = asyncio.run(measure(rounds))
    plain_ms = sent_ms["/v1"]
    print(f"{'chats':>24} {'CPU, ms':>9} {'added, ms':>10}   median of {rounds} rounds", file=sys.stderr)
    for name, each_ms in sent_ms.items():
        added_ms = median(one - plain for one, plain in zip(each_ms, plain_ms, strict=True))
        print(f"{name:>24} {median(each_ms):>9.3f} {added_ms:>10.3f}", file=sys.stderr)
    empty_ms = sent_ms["/policy, empty policy"]
    return 0 if median(one - plain for one, plain in zip(empty_ms, plain_ms, strict=True)) <= AIM_MS else 1


async def measure(rounds: int) -> dict[str, list[float]]:
    """Return the milliseconds of CPU of a request to each endpoint, in each round."""
    with tempfile.TemporaryDirectory(prefix="obscura-benchmark-") as folder:
        settings = Settings(data_dir=Path(folder), key_requests_per_minute=1_000_000)
        async with open_stores(settings) as stores:
            key = await prepare(stores)
            app = create_app(settings, stores, SystemClock())
            async with app.router.lifespan_context(app):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                sent_ms: dict[str, list[float]] = {name: [] for name in ENDPOINTS}
                for number in range(rounds + 2):
                    for name, (path, fields) in ENDPOINTS.items():
                        each_ms = await chats(app, path, json.dumps({"model": "demo", **BODY, **fields}).encode(), key)
                        if number > 1:
                            sent_ms[name].append(each_ms)
                return sent_ms


async def prepare(stores: Stores) -> str:
    """Save the policies, and return a key."""
    versions = stores.open_policies().versions
    for policy_id, fields in DOCUMENTS.items():
        document = parse_document({"policy_id": policy_id, "name": policy_id, **fields})
        await versions.add(next_version(document, None, SystemClock().now()))
    _, secret = await create_key(stores.keys, "benchmark")
    return secret


async def chats(app: ASGIApp, path: str, body: bytes, key: str) -> float:
    """Send requests one after the other, and return the milliseconds of CPU of one."""
    headers = [(b"authorization", f"Bearer {key}".encode()), (b"content-type", b"application/json")]
    started_s = time.process_time()
    for _ in range(CHATS):
        status = await chat(app, path, body, [*headers, (b"content-length", str(len(body)).encode())])
        if status != 200:
            raise RuntimeError(f"{path} answered {status}")
    await asyncio.sleep(0)
    return (time.process_time() - started_s) * 1_000 / CHATS


async def chat(app: ASGIApp, path: str, body: bytes, headers: list[tuple[bytes, bytes]]) -> int:
    """Send one request, and return its status."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 40_000),
        "server": ("127.0.0.1", 8_000),
    }
    sent: list[MutableMapping[str, Any]] = []
    received = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> MutableMapping[str, Any]:
        if received:
            return received.pop()
        await asyncio.sleep(3_600)
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    status: int = sent[0]["status"]
    return status


if __name__ == "__main__":
    sys.exit(main())
