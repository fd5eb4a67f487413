"""The sequence of a request whose answer may be stored: that of ``handle``, and the store around it (ADR 130)."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any

from obscura.dialects.base import CallerDialect
from obscura.errors import ObscuraError
from obscura.pipeline.handle import handle_request
from obscura.pipeline.request import GatewayRequest, GatewayResponse
from obscura.pipeline.services import Services

type Handler = Callable[[GatewayRequest, CallerDialect[Any], Services], AbstractAsyncContextManager[GatewayResponse]]


@asynccontextmanager
async def handle_and_store(
    request: GatewayRequest, dialect: CallerDialect[Any], services: Services
) -> AsyncIterator[GatewayResponse]:
    """Handle one request, and store its answer if the deployment stores responses; raises as ``handle_request``."""
    store = services.responses
    if store is None:
        async with handle_request(request, dialect, services) as response:
            yield response
        return
    from obscura.pipeline.stored_answer import KeptAnswer
    from obscura.pipeline.stored_turn import StoredTurn

    turn = StoredTurn()
    try:
        async with handle_request(replace(request, stored_turn=turn), dialect, services) as response:
            if turn.input is None or turn.principal is None:
                yield response
                return
            answer = KeptAnswer(turn.input, turn.previous_id, turn.principal, store)
            turn.input = None
            try:
                yield await answer.keep(response)
            finally:
                await answer.aclose()
    except ObscuraError as error:
        raise turn.at_own_path(error) from error.__cause__


def storing_nothing(handler: Handler, *, under_policy: bool) -> Handler:
    """Return a handler that may continue stored responses, but stores none: its errors have the caller's own paths.

    ``under_policy``, a request that asks to be stored is refused; else it is what it would be if it were handled.
    """

    @asynccontextmanager
    async def handle(
        request: GatewayRequest, dialect: CallerDialect[Any], services: Services
    ) -> AsyncIterator[GatewayResponse]:
        if services.responses is None:
            async with handler(request, dialect, services) as response:
                yield response
            return
        from obscura.pipeline.stored_turn import StoredTurn

        turn = StoredTurn(stores=not under_policy)
        try:
            async with handler(replace(request, stored_turn=turn), dialect, services) as response:
                yield response
        except ObscuraError as error:
            raise turn.at_own_path(error) from error.__cause__

    return handle
