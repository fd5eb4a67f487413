"""Many invocations in one environment: ``python -m benchmarks.managed [--invocations N] [--rounds N]``.

The chat function's process with ``AWS_LAMBDA_MAX_CONCURRENCY`` of 64, against the tests' own Runtime API and upstream:
by how much a stream's first event leaves after the upstream sent it while 64 streams are open, and the resident memory
while 64 invocations are always under way. Client and upstream take a part of the same cores: use a quiet machine.
"""

import argparse
import asyncio
import base64
import tempfile
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter

from benchmarks.memory_attack import peak_mib
from tests.support.fake_upstream import CHUNKS, answers, streams
from tests.support.gateway import chat_request, image_part
from tests.support.lambda_events import rest_event
from tests.support.lambda_process import Function, lambda_function
from tests.support.loopback_server import Received, Wire, loopback_server
from tests.support.photographs import photograph

AT_ONCE = 64
PAUSE_S = 0.01
SAMPLES = 10
CHAT = "/v1/chat/completions"


async def delays_ms(rounds: int) -> list[float]:
    """Return by how much each stream's first event was later than the upstream's, with 64 open, one after the other."""
    gates: dict[str, asyncio.Event] = {}
    sent_s: dict[str, float] = {}

    async def respond(request: Received, wire: Wire) -> None:
        name = request.json()["messages"][0]["content"]
        await wire.head(200, content_type="text/event-stream", transfer_encoding="chunked")
        await gates[name].wait()
        sent_s[name] = perf_counter()
        for piece in (*CHUNKS, b""):
            await wire.chunk(piece)

    measured = []
    with tempfile.TemporaryDirectory() as folder:
        async with (
            loopback_server(respond) as upstream,
            lambda_function("chat", Path(folder), concurrency=AT_ONCE, UPSTREAM_URL=upstream.v1) as function,
        ):
            for number in range(rounds):
                names = [f"{number}-{each}" for each in range(AT_ONCE)]
                gates |= {name: asyncio.Event() for name in names}
                bodies = [chat_request(name, stream=True) for name in names]
                opened = [function.api.invoke(rest_event("POST", CHAT, body, **function.bearer)) for body in bodies]
                await upstream.wait_for_requests(AT_ONCE * (number + 1))
                await asyncio.sleep(PAUSE_S)
                for name, stream in zip(names, opened, strict=True):
                    gates[name].set()
                    await stream.piece()
                    measured.append((perf_counter() - sent_s[name]) * 1000)
                    await asyncio.sleep(PAUSE_S)
                for stream in opened:
                    await stream.body()
    return measured


async def resident_mib(invocations: int) -> list[float]:
    """Return the resident memory after each part of so many invocations, 64 at once: text, streams, and images."""
    url = "data:image/jpeg;base64," + base64.b64encode(photograph("rocket.jpg").read_bytes()).decode()
    parts: list[dict[str, object]] = [{"type": "text", "text": "what?"}, image_part(url)]

    async def respond(request: Received, wire: Wire) -> None:
        await (streams() if request.json().get("stream") else answers())(request, wire)

    bodies = [chat_request("hi"), chat_request("hi", stream=True), chat_request(*parts), {"model": 1}]
    with tempfile.TemporaryDirectory() as folder:
        async with (
            loopback_server(respond) as upstream,
            lambda_function("chat", Path(folder), concurrency=AT_ONCE, UPSTREAM_URL=upstream.v1) as function,
        ):
            events = [rest_event("POST", CHAT, body, **function.bearer) for body in bodies]
            sizes = []
            for _ in range(SAMPLES):
                each = invocations // SAMPLES // AT_ONCE
                await asyncio.gather(*(_invoke(function, events, each) for _ in range(AT_ONCE)))
                await function.api.idle()
                upstream.received.clear()
                sizes.append(_resident_mib(function.process.pid))
            print(f"peak {peak_mib(function.process.pid):.0f} MiB, most at once {function.api.most_under_way}")
    return sizes


async def _invoke(function: Function, events: list[dict[str, object]], times: int) -> None:
    for number in range(times):
        await function.api.invoke(events[number % len(events)]).body()


def _resident_mib(pid: int) -> float:
    return int(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0]) / 1024


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--invocations", type=int, default=10_240)
    arguments.add_argument("--rounds", type=int, default=5, help="of 64 streams")
    chosen = arguments.parse_args()
    delays = asyncio.run(delays_ms(chosen.rounds))
    print(f"first event, {AT_ONCE} open: {median(delays):.2f} ms (p50), {quantiles(delays, n=20)[-1]:.2f} ms (p95)")
    sizes = asyncio.run(resident_mib(chosen.invocations))
    print("resident after each tenth, MiB: " + " ".join(f"{size:.1f}" for size in sizes))


if __name__ == "__main__":
    main()
