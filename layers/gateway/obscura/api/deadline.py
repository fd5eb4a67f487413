"""The door that a request came through, as far as an endpoint must know: when it closes, and its id for the request."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.types import Scope

from obscura.errors import UpstreamTimeout

DEADLINE = "obscura.door"
"""Where a door stands in an ASGI scope."""


@dataclass(frozen=True, slots=True)
class RequestDeadline:
    """``expires_at_s`` is an instant of the event loop's clock, None for never; the ids go to the log.

    ``correlation_id`` is the door's own for the request, ``aws_request_id`` what Lambda's own lines name it by.
    """

    expires_at_s: float | None = None
    correlation_id: str | None = None
    aws_request_id: str | None = None


_NO_DEADLINE = RequestDeadline()


def deadline_of(scope: Scope) -> RequestDeadline:
    """Return the door of a request; a server that says nothing of one keeps it open for good."""
    door: RequestDeadline = scope.get(DEADLINE, _NO_DEADLINE)
    return door


@asynccontextmanager
async def enforce_deadline(door: RequestDeadline) -> AsyncIterator[None]:
    """End what is under way when the door closes; raises UpstreamTimeout then."""
    time_left = asyncio.timeout_at(door.expires_at_s)
    try:
        async with time_left:
            yield
    except TimeoutError:
        if not time_left.expired():
            raise
        raise UpstreamTimeout(
            "The answer was not complete in the time that this deployment gives a request. Ask for less, or try again."
        ) from None


class DeadlineRoute(APIRoute):
    """A framework's route whose endpoint ends when its door closes."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Put the door around the endpoint (FastAPI's documentation, "Custom Request and APIRoute class")."""
        endpoint = super().get_route_handler()

        async def while_its_door_is_open(request: Request) -> Response:
            async with enforce_deadline(deadline_of(request.scope)):
                return await endpoint(request)

        return while_its_door_is_open
