"""The caller's connection: the body as it arrives, and the moment when the caller goes away."""

import asyncio
from collections.abc import AsyncIterator

from starlette.types import Receive

from obscura.pipeline.request import CallerGone


class CallerConnection:
    """One ASGI request's receiving side. Once the body is read, a caller who leaves cancels the task that serves."""

    def __init__(self, receive: Receive) -> None:
        """Made in the task that serves the request."""
        self._receive = receive
        self._serving = asyncio.current_task()
        self._watcher: asyncio.Task[None] | None = None
        self.gone = False

    async def chunks(self) -> AsyncIterator[bytes]:
        """Give the body's pieces; raises CallerGone when the connection closes before its end."""
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.gone = True
                raise CallerGone
            more = message.get("more_body", False)
            if not more:
                self._watcher = asyncio.create_task(self._watch())
            if body := message.get("body", b""):
                yield body

    def stop_watching(self) -> None:
        """Let the caller go from now on: the answer is complete."""
        if self._watcher is not None:
            self._watcher.cancel()

    def absorb_cancellation(self) -> bool:
        """Whether a cancellation was this watcher's doing; if so it is undone, and the task may end in peace."""
        if self.gone and self._serving is not None:
            self._serving.uncancel()
        return self.gone

    async def _watch(self) -> None:
        message = await self._receive()
        if message["type"] == "http.disconnect" and self._serving is not None:
            self.gone = True
            self._serving.cancel()
