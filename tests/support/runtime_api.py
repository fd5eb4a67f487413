"""A fake Runtime API that does not buffer: it sees each chunk of a response as it was sent."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

DELIMITER = bytes(8)
CONTENT_TYPE = "application/vnd.awslambda.http-integration-response"


@dataclass
class Invocation:
    """One invocation and its response; ``pieces`` is the body after the prelude, None at its end."""

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
        """The rest of the body."""
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


class FakeRuntimeApi:
    """Serves one function's process; a process to be snapshotted waits until ``restored`` is set.

    ``response_status`` is the status for the function's responses, ``concurrency`` how many invocations it takes at
    once; ``under_way`` counts those that it has taken and not yet answered, ``most_under_way`` is the most of them.
    """

    def __init__(self, concurrency: int = 1) -> None:
        self.concurrency = concurrency
        self.under_way = self.most_under_way = self.asking = 0
        self.address = ""
        self.response_status = 202
        self.invocations = 0
        self.connections = 0
        self.restored = asyncio.Event()
        self.waiting_for_restore = asyncio.Event()
        self._idle = asyncio.Event()
        self._reports: asyncio.Queue[tuple[str, dict[str, str], dict]] = asyncio.Queue()
        self._queue: asyncio.Queue[Invocation] = asyncio.Queue()
        self._under_way: dict[str, Invocation] = {}
        self._tasks: set[asyncio.Task[Any] | None] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    def invoke(self, event: object, within_s: float = 60, trace_id: str | None = None) -> Invocation:
        """Queue an event for the function; a str is sent as it is."""
        self._idle.clear()
        self.invocations += 1
        invocation = Invocation(event, f"inv-{self.invocations}", time.time() + within_s, trace_id)
        self._queue.put_nowait(invocation)
        return invocation

    async def idle(self) -> None:
        """Wait until the function requests an invocation and none is queued: all its work is done and logged."""
        async with asyncio.timeout(20):
            await self._idle.wait()

    async def report(self) -> tuple[str, dict[str, str], dict]:
        """Return the next report that belongs to no invocation: its path, headers and document."""
        async with asyncio.timeout(20):
            return await self._reports.get()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.current_task())
        self._writers.add(writer)
        self.connections += 1
        try:
            while request_line := await reader.readline():
                method, path, _ = request_line.decode().split(" ")
                await self._serve_one(method, path.removeprefix("/2018-06-01/runtime"), reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._tasks.discard(asyncio.current_task())
            self._writers.discard(writer)
            writer.close()

    async def drop_connections(self) -> None:
        """Close every connection, and wait until the other side can see it."""
        for writer in list(self._writers):
            writer.close()
            await writer.wait_closed()

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*filter(None, self._tasks), return_exceptions=True)

    async def _serve_one(
        self, method: str, path: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        headers = await _fields(reader)
        if (method, path) == ("GET", "/invocation/next"):
            await self._send_invocation(await self._next(), writer)
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
        elif (method, path) == ("GET", "/restore/next"):
            self.waiting_for_restore.set()
            await self.restored.wait()
            await _respond(writer, 200)
        elif path.endswith("/response"):
            invocation = self._under_way.pop(path.split("/")[2])
            invocation.headers = headers
            try:
                await self._receive_response(invocation, reader, writer)
            finally:
                self.under_way -= 1
        else:
            document = json.loads(await reader.readexactly(int(headers["content-length"])))
            if path.startswith("/invocation/"):
                self.under_way -= 1
                self._under_way.pop(path.split("/")[2]).error.set_result(document)
            else:
                self._reports.put_nowait((path, headers, document))
            await _respond(writer, 202)

    async def _next(self) -> Invocation:
        self.asking += 1
        try:
            if self._queue.empty() and self.asking == self.concurrency:
                self._idle.set()
            return await self._queue.get()
        finally:
            self.asking -= 1

    async def _send_invocation(self, invocation: Invocation, writer: asyncio.StreamWriter) -> None:
        self._under_way[invocation.request_id] = invocation
        body = invocation.event if isinstance(invocation.event, str) else json.dumps(invocation.event)
        trace = {"Lambda-Runtime-Trace-Id": invocation.trace_id} if invocation.trace_id else {}
        await _respond(
            writer,
            200,
            body.encode(),
            **{
                "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
                "Lambda-Runtime-Deadline-Ms": str(int(invocation.deadline_s * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-central-1:123456789012:function:chat",
                "Content-Type": "application/json",
                **trace,
            },
        )

    async def _receive_response(
        self, invocation: Invocation, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        leaving = asyncio.create_task(invocation.leave.wait())
        receiving = asyncio.create_task(_receive_chunks(invocation, reader))
        await asyncio.wait({leaving, receiving}, return_when=asyncio.FIRST_COMPLETED)
        left = not receiving.done()
        leaving.cancel()
        receiving.cancel()
        await asyncio.gather(leaving, receiving, return_exceptions=True)
        if left:
            writer.transport.abort()
            raise ConnectionResetError
        invocation.trailers = receiving.result()
        invocation.pieces.put_nowait(None)
        await _respond(writer, self.response_status)


@asynccontextmanager
async def runtime_api(concurrency: int = 1) -> AsyncIterator[FakeRuntimeApi]:
    fake = FakeRuntimeApi(concurrency)
    listener = await asyncio.start_server(fake.serve, "127.0.0.1", 0, limit=16 * 1024 * 1024, backlog=1024)
    fake.address = f"127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield fake
    finally:
        listener.close()
        await fake.close()


async def _receive_chunks(invocation: Invocation, reader: asyncio.StreamReader) -> dict[str, str]:
    """Read the chunks (RFC 9112 §7.1), the prelude from the first of them; returns the trailers."""
    unread = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        chunk = await reader.readexactly(size)
        await reader.readexactly(2)
        if invocation.prelude.done():
            invocation.pieces.put_nowait(chunk)
            continue
        unread += chunk
        prelude, delimiter, rest = unread.partition(DELIMITER)
        if delimiter:
            invocation.prelude.set_result(json.loads(prelude))
            if rest:
                invocation.pieces.put_nowait(rest)
    return await _fields(reader)


async def _fields(reader: asyncio.StreamReader) -> dict[str, str]:
    fields = {}
    while line := (await reader.readline()).decode().strip():
        name, _, value = line.partition(":")
        fields[name.lower()] = value.strip()
    return fields


async def _respond(writer: asyncio.StreamWriter, status: int, body: bytes = b"", **headers: str) -> None:
    lines = [f"HTTP/1.1 {status} Any", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    await writer.drain()
