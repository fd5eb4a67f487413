"""Connections that a client holds open: each state of one has its limit of time, and pipelines wait their turn."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from obscura.cli.http_protocol import HttpProtocol
from obscura.cli.serve import IDLE_CONNECTION_S
from tests.support.raw_http import CHAT, CHUNKED, HEALTH, RawClient, chunked, head, length, raw_client

LONG = 3600.0


class Impatient(HttpProtocol):
    """With a head's limit that a test can wait for, and none of the others."""

    HEAD_TIMEOUT_S = 0.1
    DRAIN_TIMEOUT_S = SEND_TIMEOUT_S = LONG


class ImpatientDraining(HttpProtocol):
    DRAIN_TIMEOUT_S = 0.1


class ImpatientSending(HttpProtocol):
    SEND_TIMEOUT_S = 0.1


@dataclass
class Application:
    """Reads a body unless its path is ``/early``, and responds with the path, when ``may_respond``."""

    may_respond: asyncio.Event = field(default_factory=asyncio.Event)
    response_bytes: int = 0
    served: list[str] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    disconnected: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.served.append(scope["path"])
        while scope["path"] != "/early" and (await receive()).get("more_body"):
            pass
        await self.may_respond.wait()
        body = scope["path"].encode().ljust(self.response_bytes)
        self.at_once -= 1
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})
        if self.response_bytes:
            await receive()
            self.disconnected.set()


@asynccontextmanager
async def serving(protocol: type[HttpProtocol], application: Application) -> AsyncIterator[RawClient]:
    config = uvicorn.Config(
        application, http=protocol, ws="none", log_level="warning", timeout_keep_alive=IDLE_CONNECTION_S
    )
    config.load()
    loop, state = asyncio.get_running_loop(), ServerState()
    listener = socket.create_server(("127.0.0.1", 0))
    server = await loop.create_server(lambda: protocol(config, state, {}, loop), sock=listener)
    async with server, raw_client(f"http://127.0.0.1:{listener.getsockname()[1]}") as client:
        yield client
        for connection in list(state.connections):
            connection.transport.abort()


def responding(response_bytes: int = 0) -> Application:
    application = Application(response_bytes=response_bytes)
    application.may_respond.set()
    return application


@pytest.mark.parametrize(
    "sent",
    [b"", b"\r\n", b"\r\n\r\n\x00", b"G", b"GET / HTTP/1.1\r\nHost: x\r\nX-A: b", b"GET / HTTP/1.1\r\nHost: x\r\n\r"],
)
async def test_a_head_that_is_not_whole_in_time_closes_the_connection(sent: bytes) -> None:
    async with serving(Impatient, responding()) as client:
        await client.send(sent)

        assert await client.rest() == b""


async def test_a_head_that_drips_gets_no_more_time() -> None:
    async with serving(Impatient, responding()) as client:
        with pytest.raises(ConnectionError):
            for byte in b"GET / HTTP/1.1\r\nX-Endless: " + b"a" * 200:
                await client.send(bytes([byte]))
                await asyncio.sleep(0.01)


async def test_the_second_head_of_a_connection_has_the_same_limit() -> None:
    async with serving(Impatient, responding()) as client:
        await client.send(HEALTH)
        await client.response()
        await client.send(HEALTH[:9])

        assert await client.rest() == b""


async def test_a_connection_between_requests_lasts_longer_than_a_head_may() -> None:
    async with serving(Impatient, responding()) as client:
        await client.send(HEALTH)
        await client.response()
        await asyncio.sleep(2 * Impatient.HEAD_TIMEOUT_S)
        await client.send(HEALTH)

        assert (await client.response()).status == 200


async def test_half_a_head_does_not_end_the_request_before_it() -> None:
    application = Application()
    async with serving(Impatient, application) as client:
        await client.send(HEALTH + HEALTH[:9])
        await asyncio.sleep(2 * Impatient.HEAD_TIMEOUT_S)
        application.may_respond.set()

        assert (await client.response()).status == 200
        assert await client.rest() == b""


async def test_a_body_does_not_count_as_a_head() -> None:
    async with serving(Impatient, responding()) as client:
        await client.send(head(length()) + CHAT[:5])
        await asyncio.sleep(2 * Impatient.HEAD_TIMEOUT_S)
        await client.send(CHAT[5:])

        assert (await client.response()).status == 200


async def test_a_body_that_is_not_waited_for_is_not_read_for_ever() -> None:
    async with serving(ImpatientDraining, responding()) as client:
        await client.send(head(length(), target=b"/early") + CHAT[:5])
        assert (await client.response()).body == b"/early"

        assert await client.rest() == b""


async def test_a_body_that_comes_after_its_response_is_dropped() -> None:
    application = responding()
    async with serving(HttpProtocol, application) as client:
        for body, framing in ((CHAT, length()), (chunked(), CHUNKED)):
            await client.send(head(framing, target=b"/early") + body[:5])
            await client.response()
            await client.send(body[5:] + HEALTH)

            assert (await client.response()).body == b"/healthz"


async def test_after_a_refused_expectation_no_body_is_waited_for() -> None:
    async with serving(HttpProtocol, responding()) as client:
        await client.send(head(b"Expect: 100-continue\r\n", length(), target=b"/early"))
        await client.response()

        assert await client.rest() == b""


async def test_a_client_that_reads_nothing_has_left() -> None:
    application = responding(response_bytes=32 * 1024 * 1024)
    async with serving(ImpatientSending, application) as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await client.send(HEALTH)

        await asyncio.wait_for(application.disconnected.wait(), 5)


async def test_pipelined_requests_are_served_one_at_a_time_in_order() -> None:
    application = responding()
    requests = [
        head(length(), target=b"/1") + CHAT,
        head(CHUNKED, target=b"/2") + chunked(b"\r\n\r\n"),
        head(target=b"/3", method=b"GET"),
        head(CHUNKED, target=b"/4") + chunked(trailers=b"X-A: b\r\n"),
        head(target=b"/5", method=b"GET"),
    ]
    async with serving(HttpProtocol, application) as client:
        await client.send(b"".join(requests))
        bodies = [(await client.response()).body for _ in requests]

    assert bodies == [b"/1", b"/2", b"/3", b"/4", b"/5"]
    assert application.most_at_once == 1


async def test_thousands_of_pipelined_requests_wait_unparsed() -> None:
    application = Application()
    async with serving(HttpProtocol, application) as client:
        await client.send(HEALTH * 2000)
        await asyncio.sleep(0.1)
        assert len(application.served) == 1
        application.may_respond.set()

        assert {(await client.response()).status for _ in range(2000)} == {200}


async def test_a_refused_request_waits_for_the_response_before_it() -> None:
    application = Application()
    async with serving(HttpProtocol, application) as client:
        await client.send(HEALTH + b"nonsense\r\n\r\n" + HEALTH)
        await asyncio.sleep(0.05)
        application.may_respond.set()

        assert [(await client.response()).status, (await client.response()).status] == [200, 400]
        assert await client.rest() == b""
    assert application.served == ["/healthz"]


async def test_a_body_that_breaks_off_into_nonsense_ends_its_request() -> None:
    application = responding()
    async with serving(HttpProtocol, application) as client:
        await client.send(head(CHUNKED) + b"5\r\nhello\r\n", b"nonsense")

        assert (await client.response()).status == 400
        assert await client.rest() == b""


@pytest.mark.parametrize("cut", range(1, 60, 3))
async def test_a_chunked_body_ends_where_it_ends_however_it_is_cut(cut: int) -> None:
    sent = head(CHUNKED, target=b"/1") + chunked(b"a\r\n\r\nb", trailers=b"X-A: b\r\n") + HEALTH
    async with serving(HttpProtocol, responding()) as client:
        await client.send(sent[:-cut], sent[-cut:])

        assert [(await client.response()).body, (await client.response()).body] == [b"/1", b"/healthz"]


async def test_tiny_chunks_do_not_hold_the_loop() -> None:
    application = responding()
    async with serving(HttpProtocol, application) as client:
        await client.send(head(CHUNKED) + b"1\r\na\r\n" * 50_000 + b"0\r\n\r\n" + HEALTH)

        assert [(await client.response()).status, (await client.response()).status] == [200, 200]
