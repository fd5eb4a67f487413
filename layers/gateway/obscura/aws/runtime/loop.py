"""Loops of the streaming runtime: start the function, take a SnapStart snapshot if wanted, serve the invocations."""

import asyncio
import gc
import importlib
import logging
import os
import random
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from obscura.aws.handler import LambdaHandler
from obscura.aws.runtime.api import Invocation, RuntimeApi, RuntimeApiError, StreamedResponse
from obscura.aws.runtime.asgi_bridge import AsgiBridge, EventScope, scope_from_event
from obscura.aws.runtime.concurrency import EVENTS_PART, LARGE_EVENT_BYTES, EventMemory
from obscura.aws.runtime.error_report import ErrorReport, error_report
from obscura.aws.runtime.logging import add_request_id, request_id, trace_id
from obscura.execution import run_off_loop
from obscura.machine_memory import usable_memory_bytes

type Hook = tuple[Callable[..., object], tuple[object, ...], dict[str, object]]

INIT_FAILED, SNAPSHOT_FAILED, RESTORE_FAILED = 1, 64, 65
"""Statuses of a process that could not start; the latter two are those of AWS's own runtime."""

SERVER_ERROR = 500
"""From this status on, the Runtime API says that the environment cannot go on ("Non-recoverable state")."""

_log = logging.getLogger("lambda_runtime")
"""Not below the logger ``obscura``, whose lines are the access log's."""

_log.addFilter(add_request_id)


async def run(api: RuntimeApi, handler_name: str, concurrency: int = 1) -> int:
    """Start the function that ``handler_name`` (``module.name``) names and serve until Lambda ends the environment.

    ``concurrency`` invocations are served at once. Returns the process's status if it cannot start; raises
    ConnectionError when the Runtime API is gone.
    """
    asyncio.get_running_loop().set_exception_handler(_log_stray_exception)
    async with AsyncExitStack() as stack:
        stack.callback(api.close)
        snapshot = is_snap_start()
        try:
            handler = load_handler(handler_name)
            if not snapshot:
                await stack.enter_async_context(handler.lifespan())
        except Exception as fault:
            await api.report_init_failure(_logged(error_report(fault, "Runtime")))
            return INIT_FAILED
        if snapshot and (status := await _pass_snapshot(api, handler, stack)):
            return status
        gc.freeze()
        gc.enable()
        await InvocationLoops(handler, concurrency).serve(api)
    return 0


def load_handler(handler_name: str) -> LambdaHandler:
    """Import ``module.name`` below the task root; raises what the import raises, or TypeError for another handler."""
    task_root = os.environ.get("LAMBDA_TASK_ROOT", ".")
    if task_root not in sys.path:
        sys.path.insert(0, task_root)
    module, _, name = handler_name.rpartition(".")
    handler = getattr(importlib.import_module(module.replace("/", ".")), name)
    if not isinstance(handler, LambdaHandler):
        raise TypeError(f"the handler {handler_name} was not made by obscura.aws.handler.make_handler")
    return handler


class InvocationLoops:
    """As many loops as invocations are served at once, each with a connection of its own; they share the application.

    A failing invocation ends no other. When the Runtime API fails, no loop takes another invocation, and those under
    way are served to their end.
    """

    def __init__(self, handler: LambdaHandler, concurrency: int) -> None:
        """``concurrency`` is at least 1; 1 is a Lambda environment as it always was."""
        self._handler = handler
        self._concurrency = concurrency
        self._events = EventMemory(usable_memory_bytes(os.environ) // EVENTS_PART)
        self._waiting: set[asyncio.Task[Any] | None] = set()
        self._ending = False

    async def serve(self, api: RuntimeApi) -> None:
        """Serve until the Runtime API fails; raises ConnectionError or RuntimeApiError."""
        apis = [api, *(api.another() for _ in range(self._concurrency - 1))]
        loops = [asyncio.create_task(self._take_invocations(each)) for each in apis]
        try:
            await asyncio.wait(loops, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            self._ending = True
            for waiting in filter(None, self._waiting):
                waiting.cancel()
            outcomes = await asyncio.gather(*loops, return_exceptions=True)
            for each in apis:
                each.close()
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    async def _take_invocations(self, api: RuntimeApi) -> None:
        while not self._ending:
            await self._take_invocation(api)

    async def _take_invocation(self, api: RuntimeApi) -> None:
        task = asyncio.current_task()
        async with AsyncExitStack() as held:

            async def hold_event(event_bytes: int) -> None:
                self._waiting.discard(task)
                await held.enter_async_context(self._events.hold(event_bytes))

            self._waiting.add(task)
            try:
                invocation = await api.next_invocation(hold_event)
            finally:
                self._waiting.discard(task)
            request_id.set(invocation.request_id)
            trace_id.set(invocation.trace_id)
            if self._concurrency == 1:
                _export_trace_id(invocation.trace_id)
            response = api.response(invocation.request_id)
            try:
                decoded = await self._decode(invocation)
                del invocation  # up to 6 MB, for as long as the response takes
                await self._respond(api, response, decoded)
            finally:
                response.close()

    async def _decode(self, invocation: Invocation) -> EventScope | ErrorReport:
        large = self._concurrency > 1 and len(invocation.event) > LARGE_EVENT_BYTES
        try:
            return await run_off_loop(partial(scope_from_event, invocation), off_loop=large)
        except Exception as fault:
            return error_report(fault, "Runtime")

    async def _respond(self, api: RuntimeApi, response: StreamedResponse, decoded: EventScope | ErrorReport) -> None:
        failure = decoded if isinstance(decoded, ErrorReport) else await self._run(response, decoded)
        try:
            if failure and response.begun:
                await response.fail(_logged(failure))
            elif failure:
                await api.report_failure(request_id.get(), _logged(failure))
            if response.rejected_status is not None:
                raise RuntimeApiError("the response", response.rejected_status)
        except ConnectionError:
            _log.warning("the Runtime API did not take the report of a failure")
        except RuntimeApiError as error:
            _log.error("%s", error)
            if error.status >= SERVER_ERROR:
                raise

    async def _run(self, response: StreamedResponse, event: EventScope) -> ErrorReport | None:
        """Run the application on an event; returns what went wrong, if anything did."""
        try:
            return await AsgiBridge(event.body, response).serve(self._handler.app, event.scope)
        except Exception as fault:
            return error_report(fault, "Runtime")


def _export_trace_id(trace_id: str | None) -> None:
    """Set the variable in which X-Ray's SDK looks for the trace, as AWS's runtime does."""
    if trace_id is None:
        os.environ.pop("_X_AMZN_TRACE_ID", None)
    else:
        os.environ["_X_AMZN_TRACE_ID"] = trace_id


def is_snap_start() -> bool:
    """Whether this process starts in order to be snapshotted (Lambda's "Defined runtime environment variables")."""
    return os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start"


async def _pass_snapshot(api: RuntimeApi, handler: LambdaHandler, stack: AsyncExitStack) -> int:
    """Let the snapshot be taken, and after the restore start what must be fresh: connections, stores, randomness.

    Hooks run as in AWS's runtime, those before the snapshot in reverse order ("Runtime hooks for SnapStart").
    """
    try:
        for function, positional, named in reversed(_registered_hooks("get_before_snapshot")):
            function(*positional, **named)
        await api.restore_next()
    except Exception as fault:
        await api.report_init_failure(_logged(error_report(fault, "Runtime", "BeforeSnapshotError")))
        return SNAPSHOT_FAILED
    try:
        random.seed()
        for function, positional, named in _registered_hooks("get_after_restore"):
            function(*positional, **named)
        await stack.enter_async_context(handler.lifespan())
    except Exception as fault:
        await api.report_restore_failure(_logged(error_report(fault, "Runtime", "AfterRestoreError")))
        return RESTORE_FAILED
    return 0


def _registered_hooks(getter: str) -> list[Hook]:
    """Return the hooks in the registry of AWS's runtime; none was registered if nothing imported it."""
    registry = sys.modules.get("snapshot_restore_py")
    return [] if registry is None else list(getattr(registry, getter)())


def _log_stray_exception(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what failed in a task that is not awaited; asyncio would log the exception, which may quote a request."""
    fault = context.get("exception")
    if isinstance(fault, BaseException):
        _logged(error_report(fault, "Runtime"))
    else:
        _log.error("%s", context["message"])


def _logged(failure: ErrorReport) -> ErrorReport:
    _log.error("%s: %s", failure.type, failure.message)
    return failure
