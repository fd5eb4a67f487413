"""Memory under attack: ``python -m benchmarks.memory_attack``.

``obscura serve`` in a process of its own, with the budget of a machine of ``--limit-mb``, is attacked by callers that
stall with 29 MB of a body sent, that send 30 MB whole, that send small files of many pixels, and that leave; ordinary
callers send a photograph one after the other meanwhile. The peak of the resident memory is the kernel's own figure
(``VmHWM``). Whatever passes the limit ends the server at once, as a control group would (``--cgroup`` makes one).
"""

import argparse
import asyncio
import base64
import random
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.queues import Queue
from pathlib import Path
from statistics import quantiles
from time import perf_counter

import httpx
from PIL import Image

from tests.support.gateway import chat_request, image_part
from tests.support.image_urls import data_url
from tests.support.serving_process import ServingProcess, environment, run_obscura, serving
from tests.unit.imaging.images import a_photograph, saved

MIB = 1024 * 1024
HOLD_S = 15.0
SAMPLE_S = 0.05
ORDINARY_CALLERS = 4
BUDGET_PART = 4
KINDS = ("stalled", "huge", "bomb", "leaver")


PREFIX = (
    b'{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,'
)
SUFFIX = b'"}}]}]}'


@dataclass
class Tally:
    """What became of the callers: statuses by kind, and the seconds of the ordinary ones."""

    statuses: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    seconds: list[float] = field(default_factory=list)
    peak_mib: float = 0.0
    was_ended: bool = False


@dataclass(frozen=True)
class Attackers:
    """The attackers of one process: how many, for how long, and what they send."""

    url: str
    key: str
    number: int
    kinds: tuple[str, ...]
    seconds: float
    bombs: list[bytes]

    def run(self, results: "Queue[dict[str, Counter[str]]]") -> None:
        """Attack, and put what came of it into ``results``."""
        results.put(asyncio.run(self._attack_all()))

    async def _attack_all(self) -> dict[str, Counter[str]]:
        statuses: dict[str, Counter[str]] = {kind: Counter() for kind in self.kinds}
        bodies = {
            "stalled": [PREFIX + b"A" * (29 * MIB)],
            "huge": [PREFIX + b"A" * (29 * MIB) + SUFFIX],
            "bomb": [PREFIX + base64.b64encode(bomb) + SUFFIX for bomb in self.bombs],
            "leaver": [PREFIX + b"A" * (12 * MIB) + SUFFIX],
        }
        with suppress(TimeoutError):
            async with asyncio.timeout(self.seconds), asyncio.TaskGroup() as group:
                for number in range(self.number):
                    kind = self.kinds[number % len(self.kinds)]
                    group.create_task(self._attack(kind, bodies[kind], statuses[kind]))
        return statuses

    async def _attack(self, kind: str, bodies: list[bytes], statuses: Counter[str]) -> None:
        while True:
            body = random.choice(bodies)
            declared_bytes = len(body) + MIB if kind == "stalled" else len(body)
            hold_s = random.uniform(0.01, 0.5) if kind == "leaver" else HOLD_S
            with suppress(OSError, IndexError):
                statuses[await self._send(body, declared_bytes, hold_s)] += 1
            await asyncio.sleep(random.uniform(0.1, 0.5))

    async def _send(self, body: bytes, declared_bytes: int, hold_s: float) -> str:
        """Send a request, or its beginning; wait for the response for at most ``hold_s``, and leave."""
        url = httpx.URL(self.url)
        reader, writer = await asyncio.open_connection(url.host, url.port)
        try:
            head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {self.key}\r\n"
            writer.write(f"{head}content-type: application/json\r\ncontent-length: {declared_bytes}\r\n\r\n".encode())
            sending = asyncio.create_task(_write(writer, body))
            try:
                async with asyncio.timeout(hold_s):
                    line = await reader.readline()
                return line.split(b" ")[1].decode() if line else "closed"
            except TimeoutError:
                return "left"
            finally:
                sending.cancel()
        finally:
            writer.transport.abort()


async def call(gateway: ServingProcess, key: str, body: dict[str, object], tally: Tally) -> None:
    """Be an ordinary caller: a photograph, again once it is answered."""
    headers = {"authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(headers=headers, timeout=60, trust_env=False) as client:
        while not tally.was_ended:
            began_s = perf_counter()
            try:
                response = await client.post(f"{gateway.v1}/chat/completions", json=body)
            except httpx.HTTPError as error:
                tally.statuses["ordinary"][type(error).__name__] += 1
                continue
            tally.statuses["ordinary"][str(response.status_code)] += 1
            if response.status_code == 200:
                tally.seconds.append(perf_counter() - began_s)
            await asyncio.sleep(0.2)


async def watch(gateway: ServingProcess, limit_mib: float, tally: Tally) -> None:
    """Note the peak of the server's memory, and end the server past the limit."""
    while not tally.was_ended:
        try:
            tally.peak_mib = peak_mib(gateway.process.pid)
        except (OSError, IndexError):
            tally.was_ended = True
            return
        if tally.peak_mib > limit_mib:
            tally.was_ended = True
            gateway.process.kill()
        await asyncio.sleep(SAMPLE_S)


async def _write(writer: asyncio.StreamWriter, body: bytes) -> None:
    with suppress(OSError):
        for start in range(0, len(body), MIB):
            writer.write(body[start : start + MIB])
            await writer.drain()


def peak_mib(pid: int) -> float:
    """Return the most that a process has had in memory, in MiB."""
    return int(Path(f"/proc/{pid}/status").read_text().split("VmHWM:")[1].split()[0]) / 1024


def bombs() -> list[bytes]:
    """Small files of as many pixels as are allowed, and some of more."""
    Image.MAX_IMAGE_PIXELS = None
    return [
        saved(Image.new("RGB", (8000, 8000), (9, 90, 200)), "JPEG", progressive=True, subsampling=0),
        saved(Image.new("CMYK", (8000, 8000), (9, 90, 200, 3)), "JPEG", progressive=True),
        saved(Image.new("RGBA", (8000, 8000), (9, 90, 200, 3)), "PNG", compress_level=1),
        saved(Image.new("RGB", (4990, 4990), (9, 90, 200)), "WEBP", method=0),
    ]


@contextmanager
def control_group(parent: Path | None, limit_mb: int, pid: int) -> Iterator[None]:
    """Move a process into a memory control group of version 1 or 2 with this limit, below ``parent``."""
    if parent is None:
        yield
        return
    group = parent / f"obscura-attack-{pid}"
    group.mkdir()
    version_2 = (group / "memory.max").exists()
    (group / ("memory.max" if version_2 else "memory.limit_in_bytes")).write_text(f"{limit_mb * MIB}")
    (group / "cgroup.procs").write_text(f"{pid}")
    try:
        yield
    finally:
        (parent / "cgroup.procs").write_text(f"{pid}")
        group.rmdir()


async def run(attackers: int, kinds: tuple[str, ...], seconds: float, limit_mb: int, cgroup: Path | None) -> Tally:
    """Attack a fresh gateway for so long, from a process of its own, with ordinary callers in this one."""
    tally = Tally()
    photograph = chat_request(image_part(data_url(a_photograph(1600, 1200, "JPEG", quality=90))))
    settings = {"MEMORY_BUDGET_MB": f"{limit_mb // BUDGET_PART}", "MODERATION": "off"}
    settings |= {"KEY_REQUESTS_PER_MINUTE": "1000000", "LOG_LEVEL": "ERROR"}
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(env := environment(Path(folder), **settings)) as gateway,
        control_group(cgroup, limit_mb, gateway.process.pid),
    ):
        context = get_context("spawn")
        results: Queue[dict[str, Counter[str]]] = context.Queue()
        attack = Attackers(gateway.url, gateway.key, attackers, kinds, seconds, bombs())
        key = run_obscura("keys", "create", "--project", "ordinary", env=env).stdout.split()[-1]
        process = context.Process(target=attack.run, args=(results,), daemon=True)
        process.start()
        ordinary = [asyncio.create_task(call(gateway, key, photograph, tally)) for _ in range(ORDINARY_CALLERS)]
        watching = asyncio.create_task(watch(gateway, limit_mb, tally))
        statuses = await asyncio.to_thread(results.get, True, seconds + 60)
        for task in (*ordinary, watching):
            task.cancel()
        tally.statuses.update(statuses)
        tally.was_ended |= gateway.process.poll() is not None
    return tally


def report(tally: Tally, limit_mb: int) -> str:
    """Return the table of a run."""
    lines = [
        f"peak {tally.peak_mib:.0f} MiB of {limit_mb}; the server was {'ENDED' if tally.was_ended else 'not ended'}"
    ]
    for kind, statuses in tally.statuses.items():
        lines.append(f"{kind:10}" + "  ".join(f"{status}: {count}" for status, count in statuses.most_common()))
    if len(tally.seconds) > 1:
        cuts = quantiles(tally.seconds, n=100)
        lines.append(f"ordinary callers: median {cuts[49]:.2f} s, p99 {cuts[98]:.2f} s")
    return "\n".join(lines)


def main() -> None:
    """Run as the command line says, and print the table; exit with 1 if the server was ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attackers", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--limit-mb", type=int, default=1024)
    parser.add_argument("--kinds", default=",".join(KINDS), help="which attackers, comma-separated")
    parser.add_argument("--cgroup", type=Path, help="a memory control group in which another may be made")
    chosen = parser.parse_args()
    tally = asyncio.run(
        run(chosen.attackers, tuple(chosen.kinds.split(",")), chosen.seconds, chosen.limit_mb, chosen.cgroup)
    )
    print(report(tally, chosen.limit_mb))
    raise SystemExit(tally.was_ended)


if __name__ == "__main__":
    main()
