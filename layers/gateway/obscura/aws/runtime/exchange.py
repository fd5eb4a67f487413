"""One request between ASGI and a streamed response: what the application receives, and where it sends."""

import asyncio

from starlette.types import ASGIApp, Message, Scope

from obscura.aws.runtime.failure import Failure, failure_of
from obscura.aws.runtime.prelude import write_prelude
from obscura.aws.runtime.streamed_response import StreamedResponse

_NO_ANSWER = Failure("Function.NoAnswer", "The application ended without an answer.")


class Exchange:
    """The two ends of one request; a caller who leaves is an ``http.disconnect``, as with any other server."""

    def __init__(self, body: bytes, response: StreamedResponse) -> None:
        """``body`` is whole: Lambda does not stream requests."""
        self._body: bytes | None = body
        self._response = response

    async def serve(self, app: ASGIApp, scope: Scope) -> Failure | None:
        """Let ``app`` answer; gives what went wrong when it leaves the answer unfinished to somebody who waits."""
        serving = asyncio.create_task(self._run(app, scope))  # of its own: what cancels it must not end the environment
        await asyncio.wait({serving})
        if self._response.complete or self._response.gone.is_set():
            return None
        return Failure("Function.Cancelled", "The request was cancelled.") if serving.cancelled() else serving.result()

    async def _run(self, app: ASGIApp, scope: Scope) -> Failure:
        try:
            await app(scope, self._receive, self._send)
        except Exception as fault:
            return failure_of(fault)
        return _NO_ANSWER

    async def _receive(self) -> Message:
        body, self._body = self._body, None
        if body is not None:
            return {"type": "http.request", "body": body, "more_body": False}
        await self._response.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        """Pass a message on; what nobody takes any more is dropped (ASGI specification, "Send after disconnect")."""
        try:
            if message["type"] == "http.response.start":
                await self._response.begin(write_prelude(message["status"], message["headers"]))
                return
            await self._response.send(message.get("body", b""))
            if not message.get("more_body", False):
                await self._response.end()
        except ConnectionError:
            self._response.gone.set()
