"""One JSON line a request, and what stands on every answer: its id, and what its caller may still do.

The line has sizes, formats, counts and timings, never content.
"""

import logging
import re
import secrets
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from aws_lambda_powertools import Logger
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from obscura.access_record import AccessRecord, RateLimitStatus
from obscura.api.deadline import deadline_of

ACCESS_RECORD = "obscura.record"
_MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,99}")


def _without_task_name(record: logging.LogRecord) -> bool:
    """Leave out what says nothing of a request; the formatter drops what is None."""
    record.taskName = None
    return True


_logger = Logger(service="obscura", location=None)
_logger.addFilter(_without_task_name)


def set_log_level(level: str) -> None:
    """Log from ``level`` on."""
    _logger.setLevel(level)


def log_exception(fault: BaseException, request_id: str) -> None:
    """Log a fault of Obscura's own: its type and where it rose, not its message, which may quote content."""
    frames = traceback.extract_tb(fault.__traceback__)
    rose_at = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
    _logger.error("fault", extra={"request_id": request_id, "fault": type(fault).__name__, "rose_at": rose_at})


class AccessLogMiddleware:
    """ASGI middleware: opens each request's record, completes each answer's headers, writes the line at the end."""

    def __init__(self, app: ASGIApp, observer: Callable[[AccessRecord], None] | None = None) -> None:
        """``app`` finds the record in the scope; ``observer`` gets it when the line is written."""
        self._app = app
        self._observer = observer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record = AccessRecord(f"req_{secrets.token_hex(12)}")
        scope[ACCESS_RECORD] = record

        async def send_completed(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                message["headers"] = [*message["headers"], *_common_headers(record)]
            await send(message)

        try:
            await self._app(scope, receive, send_completed)
        finally:
            _log(record, scope)
            if self._observer is not None:
                self._observer(record)


def _common_headers(record: AccessRecord) -> list[tuple[bytes, bytes]]:
    allowance = record.rate_limit or RateLimitStatus.unauthenticated(datetime.now(UTC))
    named = {"x-request-id": record.request_id, **allowance.headers()}
    if record.zero_retention:
        named["x-zero-retention"] = "true"
    return [(name.encode(), value.encode()) for name, value in named.items()]


def _loggable(model: str | None) -> str | None:
    """Return a model's name, or none where it is something else: a caller may write anything there."""
    return model if model is None or _MODEL_NAME.fullmatch(model) else "(not a name)"


def _log(record: AccessRecord, scope: Scope) -> None:
    door = deadline_of(scope)
    facts: dict[str, object] = {
        "request_id": record.request_id,
        "correlation_id": door.correlation_id,
        "aws_request_id": door.aws_request_id,
        "method": scope["method"],
        "path": scope["path"] if record.dialect else None,
        "dialect": record.dialect,
        "status": record.status,
        "code": record.code,
        "elapsed_ms": record.elapsed_ms(),
    }
    if record.dialect:
        facts |= {
            "project": record.project,
            "model": _loggable(record.model),
            "streamed": record.streamed,
            "body_bytes": record.body_bytes,
            "images": len(record.images),
            "formats": [image.format for image in record.images],
            "bytes_before": [image.bytes_before for image in record.images],
            "bytes_after": [image.bytes_after for image in record.images],
            "pixels_before": [image.pixels_before for image in record.images],
            "pixels_after": [image.pixels_after for image in record.images],
            "cached_verdicts": record.cached_verdicts,
            "image_tokens": [image.tokens for image in record.images],
            "step_ms": record.step_ms,
        }
    _logger.info("request", extra=facts)
