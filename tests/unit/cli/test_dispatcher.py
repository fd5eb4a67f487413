"""Which worker gets a connection."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from obscura.cli.dispatcher import Dispatcher


class Channels:
    """Channels of two workers, and clients that connect to the dispatcher's listening socket."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self._address = self._listener.getsockname()
        self.dispatcher = Dispatcher(self._listener)
        pairs = [socket.socketpair() for _ in range(2)]
        self.ours, self.its = ([stack.enter_context(pair[side]) for pair in pairs] for side in (0, 1))
        for channel in self.ours:
            channel.setblocking(False)
        for channel in self.its:
            channel.settimeout(0)

    def connect(self, times: int) -> None:
        for _ in range(times):
            self._stack.enter_context(socket.create_connection(self._address))

    async def taken(self, expected: int) -> list[int]:
        """Return how many connections each worker got, once they are ``expected`` in all."""
        got = [0, 0]
        async with asyncio.timeout(5):
            while sum(got) < expected:
                await asyncio.sleep(0)
                for number, channel in enumerate(self.its):
                    got[number] += self._receive(channel)
        return got

    def _receive(self, channel: socket.socket) -> int:
        try:
            _, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
        except BlockingIOError:
            return 0
        for descriptor in descriptors:
            self._stack.enter_context(socket.socket(fileno=descriptor))
        return len(descriptors)


@pytest.fixture
def channels() -> Iterator[Channels]:
    with ExitStack() as stack:
        yield Channels(stack)


async def test_a_burst_is_shared_equally(channels: Channels) -> None:
    channels.connect(30)
    for channel in channels.ours:
        channels.dispatcher.add(channel)

    assert await channels.taken(30) == [15, 15]


async def test_the_worker_with_the_fewest_open_connections_gets_the_next(channels: Channels) -> None:
    for channel in channels.ours:
        channels.dispatcher.add(channel)
    channels.connect(20)
    assert await channels.taken(20) == [10, 10]

    channels.its[1].send(bytes(6))
    await asyncio.sleep(0)
    channels.connect(6)

    assert await channels.taken(6) == [0, 6]


async def test_connections_wait_until_a_worker_is_there(channels: Channels) -> None:
    channels.connect(3)
    channels.dispatcher.add(channels.ours[0])
    channels.dispatcher.remove(channels.ours[0])
    channels.dispatcher.add(channels.ours[1])

    assert await channels.taken(3) == [0, 3]


async def test_a_worker_that_has_ended_gets_no_connection(channels: Channels) -> None:
    for channel in channels.ours:
        channels.dispatcher.add(channel)
    channels.its[0].shutdown(socket.SHUT_RDWR)
    channels.connect(4)
    got = 0
    async with asyncio.timeout(5):
        while got < 4:
            await asyncio.sleep(0)
            got += channels._receive(channels.its[1])

    assert got == 4


async def test_a_worker_that_takes_nothing_holds_up_no_connection_for_good(channels: Channels) -> None:
    channels.ours[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4608)
    channels.dispatcher.add(channels.ours[0])
    channels.connect(60)  # more than the channel holds
    await asyncio.sleep(0.05)
    channels.dispatcher.add(channels.ours[1])

    first, second = await channels.taken(60)

    assert first + second == 60
    assert second > 0


async def test_a_closed_dispatcher_refuses_connections(channels: Channels) -> None:
    channels.dispatcher.add(channels.ours[0])
    channels.dispatcher.close()

    with pytest.raises(ConnectionRefusedError):
        channels.connect(1)
