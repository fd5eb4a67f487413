"""The least rate of a body: what passes, what is ended, and what gives way to others."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from obscura.access_record import AccessRecord
from obscura.dialects.base import RequestHead
from obscura.errors import ImageTooLarge, Overloaded, RequestTimeout
from obscura.files.multipart import FileField
from obscura.memory_budget import MemoryBudget, share_for_request
from obscura.pipeline.body_pace import BODY_TIMEOUT_S, GRACE_S, MIN_BYTES_PER_S
from obscura.pipeline.read_body import read_body, read_form, receive_body
from obscura.pipeline.request import GatewayRequest
from tests.support.skipping_loop import run_skipping

MIB = 1024 * 1024


class SlowBody:
    """A body whose pieces arrive at intervals, the last one after ``pause_s`` if it is given; JSON, or ``whole``."""

    def __init__(self, size_bytes: int, pieces: int, every_s: float, pause_s: float = 0, whole: bytes = b"") -> None:
        self.whole = whole or b'{"model":"' + b"m" * (size_bytes - 12) + b'"}'
        self._pieces, self._every_s, self._pause_s = pieces, every_s, pause_s

    async def chunks(self) -> AsyncIterator[bytes]:
        step = -(-len(self.whole) // self._pieces)
        for number in range(self._pieces):
            await asyncio.sleep(self._pause_s if number == self._pieces - 1 and self._pause_s else self._every_s)
            yield self.whole[number * step : (number + 1) * step]


def request_with(body: SlowBody, content_type: str = "application/json") -> GatewayRequest:
    headers = {"content-length": str(len(body.whole)), "content-type": content_type}
    return GatewayRequest(RequestHead(headers=headers), body, AccessRecord("req_1"))


def elapsed_s(body: SlowBody) -> float:
    """Read a body to its end, and return how long it took."""

    async def main() -> float:
        began_s = asyncio.get_running_loop().time()
        await receive(request_with(body))
        return asyncio.get_running_loop().time() - began_s

    return run_skipping(main())


async def receive(request: GatewayRequest) -> None:
    """Read a body without parsing it, which runs in a thread; a loop that skips time does not wait for one."""
    assert isinstance(request.body, SlowBody)
    assert await receive_body(request, 35 * MIB) == request.body.whole


@pytest.mark.parametrize(
    ("size_bytes", "bytes_per_s"),
    [(40_000, 5_000), (4 * MIB, 16_000), (20 * MIB, 48_000), (35 * MIB - 1, 125_000)],
    ids=["a small one at 40 kbit/s", "a photograph at 128 kbit/s", "3G", "the largest at 1 Mbit/s"],
)
def test_an_honest_slow_uplink_passes(size_bytes: int, bytes_per_s: int) -> None:
    expected_s = size_bytes / bytes_per_s
    pieces = max(1, int(expected_s))

    assert elapsed_s(SlowBody(size_bytes, pieces, expected_s / pieces)) == pytest.approx(expected_s, rel=0.01)


def test_a_pause_as_long_as_the_grace_passes() -> None:
    elapsed_s(SlowBody(2 * MIB, 10, 0.1, pause_s=GRACE_S - 0.5))


@pytest.mark.parametrize(
    ("body", "ended_after_s"),
    [
        (SlowBody(MIB, 100_000, 1.0), GRACE_S + 1),
        (SlowBody(2 * MIB, 10, 0.1, pause_s=1e6), GRACE_S + 1),
        (SlowBody(30 * MIB, 100_000, 30 * MIB / MIN_BYTES_PER_S / 100_000), BODY_TIMEOUT_S),
    ],
    ids=["a trickle", "a stall after a quick beginning", "for ever at the least rate"],
)
def test_a_body_below_the_least_rate_is_ended(body: SlowBody, ended_after_s: float) -> None:
    async def main() -> None:
        began_s = asyncio.get_running_loop().time()
        with pytest.raises(RequestTimeout, match="8 KiB/s") as ended:
            await read_body(request_with(body), 35 * MIB)
        assert asyncio.get_running_loop().time() - began_s <= ended_after_s + 0.1
        assert ended.value.headers["connection"] == "close"

    run_skipping(main())


def test_a_form_below_the_least_rate_is_ended() -> None:
    async def main() -> None:
        field = FileField("file", 15 * MIB, ImageTooLarge, "Shrink it.")
        form = b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + bytes(5000)
        with pytest.raises(RequestTimeout):
            await read_form(request_with(SlowBody(0, 100, 1.0, whole=form), "multipart/form-data; boundary=b"), field)

    run_skipping(main())


def test_a_stalled_body_gives_way_to_who_waits_and_a_quick_one_does_not() -> None:
    async def main() -> None:
        budget = MemoryBudget(20 * MIB)
        outcome: dict[str, object] = {}

        async def send(name: str, body: SlowBody) -> None:
            with share_for_request(budget):
                try:
                    await receive(request_with(body))
                    outcome[name] = "read"
                except Overloaded as error:
                    outcome[name] = error.headers["connection"]

        async with asyncio.TaskGroup() as group:
            group.create_task(send("stalled", SlowBody(5 * MIB, 5, 0.01, pause_s=8)))
            group.create_task(send("quick", SlowBody(5 * MIB, 50, 0.1)))
            await asyncio.sleep(3)
            group.create_task(send("newcomer", SlowBody(3 * MIB, 3, 0.01)))

        assert outcome == {"stalled": "close", "quick": "read", "newcomer": "read"}
        assert budget.used_bytes == 0
        assert not budget.arrivals

    run_skipping(main())


def test_a_wait_for_memory_does_not_count_as_the_callers() -> None:
    async def main() -> None:
        budget = MemoryBudget(4 * MIB)
        holder = budget.request()
        await holder.add(2 * MIB)
        loop = asyncio.get_running_loop()
        with share_for_request(budget):
            loop.call_later(9.0 + 1.9, holder.release)
            await receive(request_with(SlowBody(MIB, 2, 9.0)))

    run_skipping(main())
