"""The services of policies, opened at the first request that needs them: nothing else of the gateway imports theirs."""

import asyncio
import contextvars
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import httpx

from obscura.clock import Clock
from obscura.errors import InvalidRequest
from obscura.settings import PREFIX, ConfigurationError, Settings
from obscura.stores.open import Stores

if TYPE_CHECKING:
    from obscura.policy.document import PolicyDocument
    from obscura.policy.management import PolicyService
    from obscura.policy_events.open import PolicyEvents


class LazyPolicies:
    """Implements ``PolicyOpener``: opens the one service at its first call, on the exit stack of all services."""

    def __init__(
        self,
        settings: Settings,
        stores: Stores,
        transport: httpx.AsyncBaseTransport,
        clock: Clock,
        stack: AsyncExitStack,
    ) -> None:
        self._settings = settings
        self._stores = stores
        self._transport = transport
        self._clock = clock
        self._stack = stack
        self._service: PolicyService | None = None
        self._events: PolicyEvents | None = None
        self._opening: asyncio.Task[PolicyService] | None = None

    async def __call__(self) -> "PolicyService":
        """Return the service."""
        if self._service is not None:
            return self._service
        if self._opening is None or self._opening.done():
            # In no request's context, and not cancelled with one: what it opens lives as long as the process.
            loop = asyncio.get_running_loop()
            self._opening = loop.create_task(self._open(), context=contextvars.Context())
        return await asyncio.shield(self._opening)

    async def flush(self) -> None:
        """Send the events that are buffered, if any service was opened; bounded as ``PolicyEvents.flush``."""
        if self._events is not None:
            await self._events.flush()

    async def _open(self) -> "PolicyService":
        service, events = await self._stack.enter_async_context(
            _open_policies(self._settings, self._stores, self._transport, self._clock)
        )
        self._service, self._events = service, events
        return service


@asynccontextmanager
async def _open_policies(
    settings: Settings, stores: Stores, transport: httpx.AsyncBaseTransport, clock: Clock
) -> AsyncIterator[tuple["PolicyService", "PolicyEvents"]]:
    from obscura.policy.management import PolicyService
    from obscura.policy_checks.generic_guardrail import GenericGuardrailClient
    from obscura.policy_events.open import open_policy_events

    checks = GenericGuardrailClient(settings.policy_check_allow)
    try:
        async with open_policy_events(settings, transport, clock) as events:
            yield PolicyService.of(stores.open_policies(), events, policy_floor(settings), checks), events
    finally:
        await checks.aclose()


def policy_floor(settings: Settings) -> "PolicyDocument | None":
    """Read the organisation's floor, a file or an object; raises ConfigurationError if it is none or cannot be read."""
    if settings.policy_floor is None:
        return None
    from obscura.policy.parse import parse_floor, parse_json, require_code_reader
    from obscura.stores.hash_lists import read_stored

    try:
        floor = parse_floor(parse_json(read_stored(settings.policy_floor)))
        require_code_reader(floor)
    except OSError as failure:
        raise ConfigurationError(f"{PREFIX}POLICY_FLOOR: cannot be read ({failure.strerror}).") from None
    except InvalidRequest as invalid:
        raise ConfigurationError(f"{PREFIX}POLICY_FLOOR: {invalid.message}") from None
    return floor
