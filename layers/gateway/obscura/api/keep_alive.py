"""Keep-alive comments in a stream of events, while an upstream that has begun to respond is silent.

A line that begins with a colon is a comment, which every reader of such streams ignores (WHATWG HTML §9.2.6). Load
balancers and proxies close connections on which nothing comes: CloudFront after 30 s, an ALB after 60 s, API Gateway
after 5 minutes.
"""

import asyncio
from contextlib import suppress

from starlette.types import Send

KEEP_ALIVE_S = 15.0
COMMENT = b": keep-alive\n\n"
_EVENT_ENDS = (b"\n\n", b"\n\r\n", b"\r\r")


class EventStreamWriter:
    """Sends the chunks of a stream of events, and a comment after each ``interval_s`` in which nothing was sent.

    No comment stands within an event, and none is sent while the client does not take what was sent before.
    """

    def __init__(self, send: Send, interval_s: float) -> None:
        """``send`` is ASGI's, after the head of the response; ``close`` must be called."""
        self._send = send
        self._interval_s = interval_s
        self._loop = asyncio.get_running_loop()
        self._sent_at_s = self._loop.time()
        self._end = b"\n\n"
        self._sending = False
        self._comment: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(interval_s, self._check)

    @property
    def is_between_events(self) -> bool:
        """Whether what was sent ends with a whole event."""
        return self._end.endswith(_EVENT_ENDS)

    async def write(self, chunk: bytes, *, is_last: bool = False) -> None:
        """Send a chunk, after the comment that is under way if one is."""
        if self._comment is not None:
            await self._comment
        self._sending = True
        await self._send({"type": "http.response.body", "body": chunk, "more_body": not is_last})
        self._sending = False
        self._end = chunk[-3:] if len(chunk) > 2 else (self._end + chunk)[-3:]
        self._sent_at_s = self._loop.time()

    def close(self) -> None:
        """Send no more comments."""
        self._timer.cancel()
        if self._comment is not None:
            self._comment.cancel()

    def _check(self) -> None:
        wait_s = self._sent_at_s + self._interval_s - self._loop.time()
        if wait_s <= 0:
            wait_s = self._interval_s
            if not self._sending and self._comment is None and self.is_between_events:
                self._comment = self._loop.create_task(self._write_comment())
        self._timer = self._loop.call_later(wait_s, self._check)

    async def _write_comment(self) -> None:
        try:
            with suppress(OSError):  # the client is gone: the next chunk shows
                await self._send({"type": "http.response.body", "body": COMMENT, "more_body": True})
        finally:
            self._comment = None
            self._sent_at_s = self._loop.time()
