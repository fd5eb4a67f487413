"""A Runtime API that does not buffer: it hands out events and sees each chunk of a response as it was sent."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

DELIMITER = bytes(8)
CONTENT_TYPE = "application/vnd.awslambda.http-integration-response"


@dataclass
class Invoked:
    """One invocation and what came of it; ``pieces`` is the body behind the prelude, None at its end."""

    event: object
    request_id: str
    deadline_s: float
    trace_id: str | None
    headers: dict[str, str] = field(default_factory=dict)
    prelude: asyncio.Future[dict] = field(default_factory=asyncio.Future)
    pieces: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)
    trailers: dict[str, str] = field(default_factory=dict)
    error: asyncio.Future[dict] = field(default_factory=asyncio.Future)
    leave: asyncio.Event = field(default_factory=asyncio.Event)

    async def head(self) -> dict:
        async with asyncio.timeout(20):
            return await self.prelude

    async def failure(self) -> dict:
        async with asyncio.timeout(20):
            return await self.error

    async def piece(self) -> bytes | None:
        async with asyncio.timeout(20):
            return await self.pieces.get()

    async def body(self) -> bytes:
        """All that is left of the body."""
        whole = b""
        while (piece := await self.piece()) is not None:
            whole += piece
        return whole

    async def json(self) -> dict:
        return json.loads(await self.body())

    def seconds_left(self) -> float:
        return self.deadline_s - time.time()

    def trailing_failure(self) -> dict:
        return json.loads(base64.b64decode(self.trailers["lambda-runtime-function-error-body"]))


class RuntimeApiStandIn:
    """Serves one function's process; a snapshot-to-be waits until ``restored`` is set.

    ``response_status`` answers responses.
    """

    def __init__(self) -> None:
        self.address = ""
        self.response_status = 202
        self.invocations = 0
        self.connections = 0
        self.restored = asyncio.Event()
        self.waiting_for_restore = asyncio.Event()
        self._idle = asyncio.Event()
        self._reports: asyncio.Queue[tuple[str, dict[str, str], dict]] = asyncio.Queue()
        self._queue: asyncio.Queue[Invoked] = asyncio.Queue()
        self._under_way: dict[str, Invoked] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    def invoke(self, event: object, within_s: float = 60, trace_id: str | None = None) -> Invoked:
        """Queue an event for the function; a str goes out as it is."""
        self._idle.clear()
        self.invocations += 1
        invoked = Invoked(event, f"inv-{self.invocations}", time.time() + within_s, trace_id)
        self._queue.put_nowait(invoked)
        return invoked

    async def idle(self) -> None:
        """Wait until the function asks for more than there is: whatever it had to do is done and written."""
        async with asyncio.timeout(20):
            await self._idle.wait()

    async def report(self) -> tuple[str, dict[str, str], dict]:
        """What came to a path that is no invocation's: the path, the headers and the document."""
        async with asyncio.timeout(20):
            return await self._reports.get()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.current_task())
        self._writers.add(writer)
        self.connections += 1
        try:
            while request_line := await reader.readline():
                method, path, _ = request_line.decode().split(" ")
                await self._answer(method, path.removeprefix("/2018-06-01/runtime"), reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._tasks.discard(asyncio.current_task())
            self._writers.discard(writer)
            writer.close()

    async def drop_connections(self) -> None:
        """End every connection; this returns when the other side could know."""
        for writer in list(self._writers):
            writer.close()
            await writer.wait_closed()

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _answer(self, method: str, path: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        headers = await _fields(reader)
        if (method, path) == ("GET", "/invocation/next"):
            if self._queue.empty():
                self._idle.set()
            await self._hand_out(await self._queue.get(), writer)
        elif (method, path) == ("GET", "/restore/next"):
            self.waiting_for_restore.set()
            await self.restored.wait()
            await _say(writer, 200)
        elif path.endswith("/response"):
            invoked = self._under_way.pop(path.split("/")[2])
            invoked.headers = headers
            await self._take_response(invoked, reader, writer)
        else:
            response = json.loads(await reader.readexactly(int(headers["content-length"])))
            if path.startswith("/invocation/"):
                self._under_way.pop(path.split("/")[2]).error.set_result(response)
            else:
                self._reports.put_nowait((path, headers, response))
            await _say(writer, 202)

    async def _hand_out(self, invoked: Invoked, writer: asyncio.StreamWriter) -> None:
        self._under_way[invoked.request_id] = invoked
        body = invoked.event if isinstance(invoked.event, str) else json.dumps(invoked.event)
        trace = {"Lambda-Runtime-Trace-Id": invoked.trace_id} if invoked.trace_id else {}
        await _say(
            writer,
            200,
            body.encode(),
            **{
                "Lambda-Runtime-Aws-Request-Id": invoked.request_id,
                "Lambda-Runtime-Deadline-Ms": str(int(invoked.deadline_s * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-central-1:123456789012:function:chat",
                "Content-Type": "application/json",
                **trace,
            },
        )

    async def _take_response(
        self, invoked: Invoked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        leaving = asyncio.create_task(invoked.leave.wait())
        taking = asyncio.create_task(_take_chunks(invoked, reader))
        await asyncio.wait({leaving, taking}, return_when=asyncio.FIRST_COMPLETED)
        left = not taking.done()
        leaving.cancel()
        taking.cancel()
        await asyncio.gather(leaving, taking, return_exceptions=True)
        if left:
            writer.transport.abort()
            raise ConnectionResetError
        invoked.trailers = taking.result()
        invoked.pieces.put_nowait(None)
        await _say(writer, self.response_status)


@asynccontextmanager
async def runtime_api() -> AsyncIterator[RuntimeApiStandIn]:
    stand_in = RuntimeApiStandIn()
    listener = await asyncio.start_server(stand_in.serve, "127.0.0.1", 0, limit=16 * 1024 * 1024)
    stand_in.address = f"127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield stand_in
    finally:
        listener.close()
        await stand_in.close()


async def _take_chunks(invoked: Invoked, reader: asyncio.StreamReader) -> dict[str, str]:
    """Read RFC 9112 §7.1's chunks, the prelude from the first of them; gives the trailers."""
    unread = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        chunk = await reader.readexactly(size)
        await reader.readexactly(2)
        if invoked.prelude.done():
            invoked.pieces.put_nowait(chunk)
            continue
        unread += chunk
        prelude, delimiter, rest = unread.partition(DELIMITER)
        if delimiter:
            invoked.prelude.set_result(json.loads(prelude))
            if rest:
                invoked.pieces.put_nowait(rest)
    return await _fields(reader)


async def _fields(reader: asyncio.StreamReader) -> dict[str, str]:
    found = {}
    while line := (await reader.readline()).decode().strip():
        name, _, value = line.partition(":")
        found[name.lower()] = value.strip()
    return found


async def _say(writer: asyncio.StreamWriter, status: int, body: bytes = b"", **headers: str) -> None:
    lines = [f"HTTP/1.1 {status} Told", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    await writer.drain()
