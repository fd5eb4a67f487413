"""Lambda's door: what an event and its context tell of the door that a request came through."""

import asyncio

from starlette.types import ASGIApp, Receive, Scope, Send

from obscura.aws.rest_event import headers_as_sent, path_in_api
from obscura.web.door import DOOR, Door

CLOSES_BEFORE_DEADLINE_S = 0.5
"""How long before the function's time is up its answer ends by itself: the error event must still get out."""


class LambdaDoor:
    """ASGI middleware: puts the door in the scope, from the event and the context that Mangum's handlers left there.

    And says in full what these handlers say of the request in part.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        event, context = scope["aws.event"], scope["aws.context"]
        left_s = context.get_remaining_time_in_millis() / 1000 - CLOSES_BEFORE_DEADLINE_S
        closes_at_s = asyncio.get_running_loop().time() + left_s
        scope[DOOR] = Door(closes_at_s, event["requestContext"].get("requestId"), context.aws_request_id)
        scope["headers"] = headers_as_sent(scope["headers"], event)
        scope["path"] = path_in_api(scope["path"], event.get("resource") or "/")
        if not scope["client"][0]:
            scope["client"] = None
        await self._app(scope, receive, send)
