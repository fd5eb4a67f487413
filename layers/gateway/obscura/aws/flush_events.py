"""Decision events and usage on Lambda: sent after a response's last byte, since a frozen environment sends nothing."""

from collections.abc import Callable
from typing import Protocol

from starlette.types import ASGIApp, Receive, Scope, Send


class Buffered(Protocol):
    """What waits to be sent (``obscura.pipeline.services.Services``)."""

    async def flush(self) -> None:
        """Send what can be sent within Lambda's bound of 500 ms."""
        ...


class FlushEventsMiddleware:
    """ASGI middleware: flushes after each request, however it ended.

    In the streaming runtime the client has its whole response by then, for the bridge sends the last byte before the
    application returns; only the end of the invocation waits.
    """

    def __init__(self, app: ASGIApp, events: Callable[[], Buffered]) -> None:
        """``events`` returns what is flushed: the services, which are opened after the application is made."""
        self._app = app
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            await self._events().flush()
