"""The deadline of a request, in its ASGI scope (ADR 52)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass

from starlette.types import Scope

from obscura.errors import UpstreamTimeout

DEADLINE = "obscura.deadline"
"""The key of the deadline in an ASGI scope."""


@dataclass(frozen=True, slots=True)
class RequestDeadline:
    """The instant at which a request ends, by the event loop's clock, or None; and the platform's ids of the request.

    ``correlation_id`` is API Gateway's id, ``aws_request_id`` the id in Lambda's own log lines; both go to the log.
    """

    expires_at_s: float | None = None
    correlation_id: str | None = None
    aws_request_id: str | None = None


NO_DEADLINE = RequestDeadline()


def deadline_of(scope: Scope) -> RequestDeadline:
    """Return the deadline of a request; a server that sets none leaves it unlimited."""
    deadline: RequestDeadline = scope.get(DEADLINE, NO_DEADLINE)
    return deadline


def enforce_deadline(deadline: RequestDeadline) -> AbstractAsyncContextManager[None]:
    """Cancel what is under way at the deadline; raises UpstreamTimeout then."""
    return nullcontext() if deadline.expires_at_s is None else _timeout_at(deadline.expires_at_s)


@asynccontextmanager
async def _timeout_at(expires_at_s: float) -> AsyncIterator[None]:
    timeout = asyncio.timeout_at(expires_at_s)
    try:
        async with timeout:
            yield
    except TimeoutError:
        if not timeout.expired():
            raise
        raise UpstreamTimeout(
            "The response was not complete in the time that this deployment gives a request. "
            "Ask for a shorter one, or try again."
        ) from None
