"""What holds for every path that FastAPI routes: HEAD wherever there is GET, and no slash at the end."""

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from obscura.api.error_handlers import handle_error
from obscura.errors import NotFound


class PathMiddleware:
    """ASGI middleware: serves HEAD as GET without its content, and ends a path with a slash at its end (ADR 124)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"].endswith("/") and scope["path"] != "/":
            missing = NotFound("No path here ends with a slash: leave it out. 'GET /openapi.json' lists every path.")
            response = await handle_error(Request(scope), missing)
            await response(scope, receive, send)
        elif scope["method"] == "HEAD" and "GET" in scope["app"].state.methods.of(scope["app"], scope["path"]):
            await self._app({**scope, "method": "GET"}, receive, _without_content(send))
        else:
            await self._app(scope, receive, send)


def _without_content(send: Send) -> Send:
    """Return what sends a response's head alone (RFC 9110 §9.3.2)."""

    async def send_head(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return send_head
