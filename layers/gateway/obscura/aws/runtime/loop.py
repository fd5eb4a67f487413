"""The function's handler: ``module.name`` below the task root, as in the template."""

import asyncio
import gc
import importlib
import logging
import os
import sys
from contextlib import AsyncExitStack
from typing import Any

from obscura.aws.handler import LambdaHandler
from obscura.aws.runtime import logging as log_lines
from obscura.aws.runtime.api import RuntimeApi, RuntimeApiError
from obscura.aws.runtime.asgi_bridge import AsgiBridge, Invocation, scope_from_event
from obscura.aws.runtime.error_report import ErrorReport, error_report
from obscura.aws.runtime.snapshot import is_to_be_snapshotted, run_after_restore, run_before_snapshot


def load_handler(handler: str) -> LambdaHandler:
    """Import a handler and give it; raises what the import raises, and TypeError for another kind of handler."""
    task_root = os.environ.get("LAMBDA_TASK_ROOT", ".")
    if task_root not in sys.path:
        sys.path.insert(0, task_root)
    module, _, name = handler.rpartition(".")
    entry = getattr(importlib.import_module(module.replace("/", ".")), name)
    if not isinstance(entry, LambdaHandler):
        raise TypeError(f"the handler {handler} was not made by obscura.aws.handler.lambda_entry")
    return entry


INIT_FAILED, SNAPSHOT_FAILED, RESTORE_FAILED = 1, 64, 65
"""Statuses of a process that could not start; the latter two are those of AWS's own runtime."""

SERVER_ERROR = 500
"""From here on the Runtime API's answers mean that the environment cannot go on ("Non-recoverable state")."""

_log = logging.getLogger(__name__)
_log.addFilter(log_lines.with_request_id)


async def run(api: RuntimeApi, handler: str) -> int:
    """Start the function that ``handler`` (``module.name``) names and serve until Lambda ends the environment.

    Gives the process's status when it cannot start; raises ConnectionError when the Runtime API is gone.
    """
    asyncio.get_running_loop().set_exception_handler(_log_stray_exception)
    async with AsyncExitStack() as stack:
        stack.callback(api.close)
        try:
            entry = load_handler(handler)
            if not is_to_be_snapshotted():
                await stack.enter_async_context(entry.running())
        except Exception as fault:
            await api.report_init_failure(_logged(error_report(fault, "Runtime")))
            return INIT_FAILED
        if is_to_be_snapshotted():
            failed = await _pass_snapshot(api, entry, stack)
            if failed:
                return failed
        gc.freeze()
        gc.enable()
        while True:
            await _serve(api, entry, await api.next_invocation())


async def _pass_snapshot(api: RuntimeApi, entry: LambdaHandler, stack: AsyncExitStack) -> int:
    """Be snapshotted, and start what must be fresh once restored: connections, stores, randomness."""
    try:
        run_before_snapshot()
        await api.restore_next()
    except Exception as fault:
        await api.report_init_failure(_logged(error_report(fault, "Runtime", "BeforeSnapshotError")))
        return SNAPSHOT_FAILED
    try:
        run_after_restore()
        await stack.enter_async_context(entry.running())
    except Exception as fault:
        await api.report_restore_failure(_logged(error_report(fault, "Runtime", "AfterRestoreError")))
        return RESTORE_FAILED
    return 0


async def _serve(api: RuntimeApi, entry: LambdaHandler, invocation: Invocation) -> None:
    log_lines.request_id.set(invocation.request_id)
    if invocation.trace_id is None:
        os.environ.pop("_X_AMZN_TRACE_ID", None)
    else:
        os.environ["_X_AMZN_TRACE_ID"] = invocation.trace_id
    response = api.response(invocation.request_id)
    try:
        opened = scope_from_event(invocation)
        failure = await AsgiBridge(opened.body, response).serve(entry.app, opened.scope)
    except Exception as fault:
        failure = error_report(fault, "Runtime")
    try:
        if failure and response.begun:
            await response.fail(_logged(failure))
        elif failure:
            await api.report_failure(invocation.request_id, _logged(failure))
        if response.refused_with is not None:
            raise RuntimeApiError("the response", response.refused_with)
    except ConnectionError:
        _log.warning("nobody took the report of a failure")
    except RuntimeApiError as refusal:
        _log.error("%s", refusal)
        if refusal.status >= SERVER_ERROR:
            raise
    finally:
        response.close()


def _log_stray_exception(_loop: asyncio.AbstractEventLoop, told: dict[str, Any]) -> None:
    """Log what failed behind everybody's back; asyncio itself would quote the exception, which may quote a request."""
    fault = told.get("exception")
    if isinstance(fault, BaseException):
        _logged(error_report(fault, "Runtime"))
    else:
        _log.error("%s", told["message"])


def _logged(failure: ErrorReport) -> ErrorReport:
    _log.error("%s: %s", failure.type, failure.message)
    return failure
