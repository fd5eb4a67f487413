"""What moderation costs a conversation, and what its images cost: ``python -m benchmarks.conversation``.

Three parts, each against ``obscura serve`` in a process of its own, with moderation, image hosts and an upstream on
loopback in this one: the calls and the time of each turn of a growing conversation, with and without the cache of
verdicts; the time until the upstream has a request with four images by URL from hosts of different speed; a turn with
ten images of 1 MB that the turn before had too, with ``OBSCURA_IMAGE_CACHE_MB``. Nothing is asserted.
"""

import argparse
import asyncio
import base64
import json
import os
import secrets
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import httpx

from benchmarks.gateway_load.images import make_images, photograph
from benchmarks.gateway_load.processes import cpu_s
from tests.support.fake_upstream import answers, verdict
from tests.support.loopback_server import LoopbackServer, Received, Wire, loopback_server
from tests.support.serving_process import ServingProcess, environment, serving

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "obscura-benchmarks"
TURNS = 30
SYSTEM_CHARS, USER_CHARS, ASSISTANT_CHARS = 6_000, 400, 1_600
MODERATION_S = 0.3
HOST_DELAYS_S = (0.05, 0.2, 0.35, 0.5)
OVERLAP_AIM_MS = 310
IMAGES = 10
IMAGES_AIM = 0.15
_WORDS = (
    "the",
    "painting",
    "shows",
    "a",
    "harbour",
    "at",
    "dusk",
    "with",
    "boats",
    "and",
    "lighthouse",
    "behind",
    "them",
)


@dataclass(frozen=True)
class Deployment:
    """A serving gateway, its client, and the servers around it."""

    process: ServingProcess
    client: httpx.AsyncClient
    moderation: LoopbackServer
    upstream: LoopbackServer
    host: LoopbackServer

    async def chat(self, messages: list[dict[str, Any]]) -> None:
        response = await self.client.post("/chat/completions", json={"model": "m", "messages": messages})
        response.raise_for_status()


def main() -> None:
    """Run the parts and print their figures."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=15)
    rounds = arguments.parse_args().rounds
    asyncio.run(run(rounds))


async def run(rounds: int) -> None:
    """Run the three parts in turn."""
    await print_growing_conversation(max(1, rounds // 5))
    await print_slow_hosts(rounds)
    await print_images_again(rounds)


async def moderates(request: Received, wire: Wire) -> None:
    await asyncio.sleep(MODERATION_S)
    await answers(verdict())(request, wire)


async def sends_later(request: Received, wire: Wire) -> None:
    """Send the image of 1 MB after as many milliseconds as the path says."""
    await asyncio.sleep(int(request.path.rpartition("/")[2]) / 1000)
    await wire.answer(200, make_images(CACHE / "images").small.read_bytes(), "image/jpeg")


@asynccontextmanager
async def deployed(**settings: str) -> AsyncIterator[Deployment]:
    """Serve with these settings; moderation is OpenAI's API, answered here."""
    async with (
        loopback_server(moderates) as moderation,
        loopback_server(answers()) as upstream,
        loopback_server(sends_later) as host,
    ):
        given = {
            "UPSTREAM_URL": upstream.v1, "MODERATION": "openai", "MODERATION_URL": moderation.v1,
            "MODERATION_KEY": "k", "FETCH_ALLOW": host.origin, "KEY_REQUESTS_PER_MINUTE": "1000000",
        }  # fmt: skip
        with tempfile.TemporaryDirectory(prefix="obscura-benchmark-") as folder:
            manager = serving(environment(Path(folder), **given | settings))
            process = await asyncio.to_thread(manager.__enter__)
            headers = {"authorization": f"Bearer {process.key}"}
            try:
                async with httpx.AsyncClient(base_url=process.v1, headers=headers, timeout=60) as client:
                    yield Deployment(process, client, moderation, upstream, host)
            finally:
                await asyncio.to_thread(manager.__exit__, None, None, None)


async def print_growing_conversation(rounds: int) -> None:
    """Print calls to moderation and milliseconds of some turns, with the cache of verdicts and without it."""
    print(f"Conversation of {TURNS} turns, moderation {MODERATION_S * 1e3:.0f} ms, medians of {rounds}")
    print(f"{'':>8} {'with cached verdicts':>28} {'without':>28}")
    print(f"{'turn':>8} {'calls':>13} {'ms':>14} {'calls':>13} {'ms':>14}")
    columns = [await conversation(rounds, CACHE_VERDICTS=cached) for cached in ("true", "false")]
    for turn in range(TURNS):
        if turn in {0, 1, 4, 9, 14, 19, 24} or turn == TURNS - 1:
            cells = [f"{calls[turn]:>13} {elapsed_ms[turn]:>14.1f}" for calls, elapsed_ms in columns]
            print(f"{turn + 1:>8} {' '.join(cells)}")
    totals = [f"{sum(calls):>13} {sum(elapsed_ms):>14.1f}" for calls, elapsed_ms in columns]
    print(f"{'in all':>8} {' '.join(totals)}\n")


async def conversation(rounds: int, **settings: str) -> tuple[list[int], list[float]]:
    """Return the calls and the median milliseconds of each turn."""
    calls: list[int] = []
    elapsed_ms: list[list[float]] = [[] for _ in range(TURNS)]
    async with deployed(**settings) as running:
        for _ in range(rounds):
            calls.clear()
            messages = [message("system", SYSTEM_CHARS)]
            for turn in range(TURNS):
                messages.append(message("user", USER_CHARS))
                before = len(running.moderation.received)
                began_s = perf_counter()
                await running.chat(messages)
                elapsed_ms[turn].append((perf_counter() - began_s) * 1e3)
                calls.append(len(running.moderation.received) - before)
                messages.append(message("assistant", ASSISTANT_CHARS))
    return list(calls), [median(times) for times in elapsed_ms]


def message(role: str, chars: int) -> dict[str, Any]:
    """Return a message of about this length, unlike any other."""
    words = [secrets.token_hex(4), *(secrets.choice(_WORDS) for _ in range(chars // 5))]
    return {"role": role, "content": " ".join(words)[:chars]}


async def print_slow_hosts(rounds: int) -> None:
    """Print the time until the upstream has a request with images by URL, with moderation and without."""
    elapsed_ms: dict[str, list[float]] = {"without moderation": [], "with moderation": []}
    async with (
        deployed(MODERATION="off") as unmoderated,
        deployed(CACHE_VERDICTS="false") as moderated,
    ):
        for running in (unmoderated, moderated):
            await until_upstream(running)
        for _ in range(rounds):
            elapsed_ms["without moderation"].append(await until_upstream(unmoderated))
            elapsed_ms["with moderation"].append(await until_upstream(moderated))
    delays = ", ".join(f"{delay_s * 1e3:.0f}" for delay_s in HOST_DELAYS_S)
    print(f"Four images of 1 MB by URL after {delays} ms, until the upstream has the request, medians of {rounds}")
    for name, times in elapsed_ms.items():
        print(f"{name:>20} {median(times):>8.1f} ms")
    added_ms = median(times[1] - times[0] for times in zip(*elapsed_ms.values(), strict=True))
    print(f"{'added':>20} {added_ms:>8.1f} ms, aim {OVERLAP_AIM_MS} ms\n")


async def until_upstream(running: Deployment) -> float:
    """Return the milliseconds from the request's start to its arrival at the upstream."""
    arrived_s = 0.0

    async def respond(request: Received, wire: Wire) -> None:
        nonlocal arrived_s
        arrived_s = perf_counter()
        await answers()(request, wire)

    running.upstream.respond = respond
    urls = [f"{running.host.origin}/{delay_s * 1e3:.0f}" for delay_s in HOST_DELAYS_S]
    parts = [{"type": "text", "text": "hello"}, *({"type": "image_url", "image_url": {"url": url}} for url in urls)]
    began_s = perf_counter()
    await running.chat([{"role": "user", "content": parts}])
    return (arrived_s - began_s) * 1e3


async def print_images_again(rounds: int) -> None:
    """Print what a turn costs whose images the turn before had, beside that one."""
    images = [photograph(2592, 1944, 1_000_000) for _ in range(IMAGES)]
    figures: list[list[float]] = []
    async with deployed(IMAGE_CACHE_MB="256") as running:
        running.moderation.respond = answers(verdict())
        await turn_with(running, images)
        for _ in range(rounds):
            # Bytes after an image's end change its hash, and nothing else.
            unseen = [image + secrets.token_bytes(8) for image in images]
            figures.append([*await turn_with(running, unseen), *await turn_with(running, unseen)])
    first_ms, first_cpu, again_ms, again_cpu = (median(column) for column in zip(*figures, strict=True))
    print(f"{IMAGES} JPEGs of {len(images[0]) / 1e6:.1f} MB, 5 megapixels, inline, medians of {rounds}")
    print(f"{'first turn':>20} {first_ms:>8.1f} ms {first_cpu:>8.1f} ms of CPU")
    print(f"{'the next':>20} {again_ms:>8.1f} ms {again_cpu:>8.1f} ms of CPU")
    print(f"{'ratio':>20} {again_ms / first_ms:>8.1%}    {again_cpu / first_cpu:>8.1%}, aim {IMAGES_AIM:.0%}")


async def turn_with(running: Deployment, images: list[bytes]) -> tuple[float, float]:
    """Return the milliseconds of a request with these images inline, and those of the gateway's CPU."""
    urls = [f"data:image/jpeg;base64,{base64.b64encode(image).decode()}" for image in images]
    content = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": content}]}).encode()
    began_cpu_s, began_s = cpu_s(running.process.process.pid), perf_counter()
    response = await running.client.post(
        "/chat/completions", content=body, headers={"content-type": "application/json"}
    )
    elapsed_ms = (perf_counter() - began_s) * 1e3
    response.raise_for_status()
    return elapsed_ms, (cpu_s(running.process.process.pid) - began_cpu_s) * 1e3


if __name__ == "__main__":
    main()
