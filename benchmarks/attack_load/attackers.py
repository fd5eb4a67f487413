"""The attackers, in a process of their own: ``python -m benchmarks.attack_load.attackers`` reads its order as JSON.

Each attacker is a connection loop from a loopback address of its own, so that it is a network of its own for the free
tier, as it would be on the internet. Without a key it sends ``X-Free-Tier: true``. At the end the process prints how
often each status came back; ``closed`` counts connections that the gateway ended without a response.
"""

import asyncio
import contextlib
import json
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from itertools import count, cycle
from pathlib import Path

import uvloop

from benchmarks.attack_load import bodies
from benchmarks.gateway_load.client import ResponseReader

_RECEIVE_BYTES = 1 << 16
_STALLED_BYTES = 30_000_000


@dataclass(frozen=True, slots=True)
class Order:
    """What a process of attackers is to do; ``kinds`` take turns among the ``attackers``."""

    kinds: list[str]
    attackers: int
    seconds: float
    port: int
    key: str
    image_url: str
    folder: str


@dataclass(slots=True)
class Attacker:
    """One attacker: its address, what all of them share, and the bodies that were made before the start."""

    number: int
    order: Order
    made: dict[str, bytes]
    answers: Counter[str] = field(default_factory=Counter)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection from this attacker's own address."""
        network, host = divmod(self.number, 250)
        address = f"127.77.{network}.{host + 1}"
        return await asyncio.open_connection("127.0.0.1", self.order.port, local_addr=(address, 0))

    def head(self, path: str, length: int | None, content_type: str = "application/json", *, keyed: bool) -> bytes:
        """Return a request's head; ``length`` None is a chunked body."""
        credential = f"authorization: Bearer {self.order.key}" if keyed else "x-free-tier: true"
        framing = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
        return (
            f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: {content_type}\r\n"
            f"{credential}\r\n{framing}\r\n\r\n"
        ).encode()

    async def send(self, wire: bytes) -> None:
        """Send one request on a connection of its own, and count its answer."""
        with self.connection_errors():
            reader, writer = await self.connect()
            try:
                writer.write(wire)
                response = ResponseReader()
                while not response.complete:
                    response.feed(await reader.read(_RECEIVE_BYTES))
                self.answers[str(response.status)] += 1
            finally:
                writer.close()

    @contextlib.contextmanager
    def connection_errors(self) -> Iterator[None]:
        """Count a connection that broke as closed."""
        try:
            yield
        except asyncio.CancelledError:
            self.answers["unanswered"] += 1
            raise
        except Exception:
            self.answers["closed"] += 1


type Attack = Callable[[Attacker], Awaitable[None]]


def _repeat(path: str, body: str, *, keyed: bool = False) -> Attack:
    """Return an attack that sends one body for ever."""

    async def attack(attacker: Attacker) -> None:
        made = attacker.made[body]
        wire = attacker.head(path, len(made), keyed=keyed) + made
        while True:
            await attacker.send(wire)

    return attack


async def _json(attacker: Attacker) -> None:
    for body in cycle((attacker.made["deep-json"], attacker.made["many-values"])):
        await attacker.send(attacker.head("/v1/chat/completions", len(body), keyed=False) + body)


async def _stalled(attacker: Attacker) -> None:
    """All of a body of 30 MB but its last byte, and then nothing."""
    while True:
        with attacker.connection_errors():
            reader, writer = await attacker.connect()
            try:
                writer.write(attacker.head("/v1/chat/completions", _STALLED_BYTES, keyed=False))
                for _ in range(_STALLED_BYTES // 1_000_000):
                    writer.write(b" " * 999_999)
                    await writer.drain()
                await _until_closed(attacker, reader)
            finally:
                writer.close()


async def _slow_head(attacker: Attacker) -> None:
    """A byte of a header every half second."""
    while True:
        with attacker.connection_errors():
            reader, writer = await attacker.connect()
            closed = asyncio.create_task(_until_closed(attacker, reader))
            try:
                writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nx-slow: ")
                while not closed.done():
                    writer.write(b"a")
                    await asyncio.sleep(0.5)
            finally:
                closed.cancel()
                writer.close()


async def _until_closed(attacker: Attacker, reader: asyncio.StreamReader) -> None:
    response = ResponseReader()
    while not response.complete:
        response.feed(await reader.read(_RECEIVE_BYTES))
    attacker.answers[str(response.status)] += 1


async def _leave(attacker: Attacker) -> None:
    """Leave a stream at its first bytes."""
    body = bodies.chat("hi", stream=True)
    while True:
        with attacker.connection_errors():
            reader, writer = await attacker.connect()
            writer.write(attacker.head("/v1/chat/completions", len(body), keyed=True) + body)
            first = await reader.read(64)
            attacker.answers[f"left {first[9:12].decode(errors='replace')}"] += 1
            writer.transport.abort()


async def _upload(attacker: Attacker) -> None:
    content_type, body = bodies.upload()
    wire = attacker.head("/v1/files", len(body), content_type, keyed=True) + body
    while True:
        await attacker.send(wire)


async def _trailers(attacker: Attacker) -> None:
    """A chunked request in one packet, whose trailers name another address each time."""
    body = bodies.chat("hi")
    for number in count():
        forged = f"198.51.{attacker.number % 250}.{number % 250}"
        trailers = b"x-forwarded-for: %b\r\n\r\n" % forged.encode()
        head = attacker.head("/v1/chat/completions", None, keyed=False)
        await attacker.send(head + b"%x\r\n%b\r\n0\r\n%b" % (len(body), body, trailers))


CHAT, COUNT = "/v1/chat/completions", "/v1/messages/count_tokens"
ATTACKS: dict[str, Attack] = {
    "webps": _repeat(CHAT, "webps"),
    "count-tokens": _repeat(COUNT, "count-tokens"),
    "stalled-bodies": _stalled,
    "slow-heads": _slow_head,
    "small-turns": _repeat(CHAT, "small-turns"),
    "json": _json,
    "fetches": _repeat(CHAT, "fetches"),
    "leavers": _leave,
    "bombs": _repeat(CHAT, "bombs", keyed=True),
    "uploads": _upload,
    "pdfs": _repeat(CHAT, "pdfs", keyed=True),
    "trailers": _trailers,
}


def _make(order: Order) -> dict[str, bytes]:
    folder = Path(order.folder)
    makers: dict[str, dict[str, Callable[[], bytes]]] = {
        "webps": {"webps": lambda: bodies.one_colour_webps(folder)},
        "count-tokens": {"count-tokens": lambda: bodies.one_colour_webps_to_count(folder)},
        "small-turns": {"small-turns": bodies.small_turns},
        "json": {"deep-json": bodies.deep_json, "many-values": bodies.many_values},
        "fetches": {"fetches": lambda: bodies.fetches(order.image_url)},
        "bombs": {"bombs": lambda: bodies.bombs(folder)},
        "pdfs": {"pdfs": lambda: bodies.document(folder)},
    }
    return {name: make() for kind in order.kinds for name, make in makers.get(kind, {}).items()}


async def _run(order: Order) -> Counter[str]:
    made = _make(order)
    attackers = [Attacker(number, order, made) for number in range(order.attackers)]
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    tasks = [
        asyncio.ensure_future(ATTACKS[kind](attacker))
        for attacker, kind in zip(attackers, cycle(order.kinds), strict=False)
    ]
    _, running = await asyncio.wait(tasks, timeout=order.seconds)
    for task in running:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return sum((attacker.answers for attacker in attackers), Counter())


def main() -> None:
    """Read the order, make the bodies, wait for a line on standard input, attack, and print the answers as JSON."""
    order = Order(**json.loads(sys.argv[1]))
    print(json.dumps(uvloop.run(_run(order))), flush=True)


if __name__ == "__main__":
    main()
