"""The access log: one JSON line a request, on standard output, and the headers that every response carries.

The line has sizes, formats, counts and timings, never content.
"""

import logging
import os
import secrets
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from obscura.access_record import AccessRecord, RateLimitStatus, loggable
from obscura.api.deadline import deadline_of
from obscura.clock import Clock

type Observer = Callable[[AccessRecord], None]
"""Called with the record of each completed request."""

type Starter = Callable[[AccessRecord, Scope], None]
"""Called with the record of each request that begins, and its ASGI scope."""

ACCESS_RECORD = "obscura.record"
"""The key of the access record in an ASGI scope."""

MESSAGES = "messages"
"""The dialect whose responses carry Anthropic's rate limit headers too."""
_LAMBDA_LEVELS = {"TRACE": "NOTSET", "FATAL": "CRITICAL"}


class _JsonFormatter(logging.Formatter):
    """One JSON object a line. Powertools' logger writes the same line in eight times the CPU."""

    _second: tuple[int, str, str] = (0, "", "")
    """The last one of which a line was written, and what stands before and after its milliseconds."""

    def format(self, record: logging.LogRecord) -> str:
        second, date, zone = self._second
        if second != int(record.created):
            second, local = int(record.created), time.localtime(record.created)
            date, zone = time.strftime(self.default_time_format, local), time.strftime("%z", local)
            self._second = second, date, zone
        fields: dict[str, object] = {
            "level": record.levelname,
            "message": record.msg,
            "timestamp": f"{date},{int(record.msecs):03d}{zone}",
            "service": "obscura",
        }
        return msgspec.json.encode(fields | getattr(record, "fields", {})).decode()


def _json_logger() -> logging.Logger:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_JsonFormatter())
    logger = logging.getLogger("obscura")
    logger.handlers = [handler]
    logger.propagate = False
    return logger


_logger = _json_logger()


def set_log_level(level: str) -> None:
    """Set the lowest level that is logged; on Lambda, the function's own log level takes precedence."""
    on_lambda = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
    _logger.setLevel(_LAMBDA_LEVELS.get(on_lambda, on_lambda) or level)


def log_exception(exception: BaseException, request_id: str) -> None:
    """Log an unexpected exception: its type and where it was raised, not its message, which may quote content."""
    frames = traceback.extract_tb(exception.__traceback__)
    raised_at = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
    # The keys are in the operators' queries (the dashboard's, in template.yaml).
    fields = {"request_id": request_id, "fault": type(exception).__name__, "rose_at": raised_at}
    _logger.error("fault", extra={"fields": fields})


def log_refusal(request_id: str, status: int, code: str) -> None:
    """Log a request that was refused before any application saw it, since it is not valid HTTP."""
    _logger.info("request", extra={"fields": {"request_id": request_id, "status": status, "code": code}})


class AccessLogMiddleware:
    """ASGI middleware: creates each request's record, adds the common headers, logs the line at the end."""

    def __init__(
        self, app: ASGIApp, clock: Clock, observer: Observer | None = None, starter: Starter | None = None
    ) -> None:
        self._app = app
        self._clock = clock
        self._observer = observer
        self._starter = starter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; ``app`` finds its record in the scope."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record = AccessRecord(f"req_{secrets.token_hex(12)}")
        scope[ACCESS_RECORD] = record
        if self._starter is not None:
            self._starter(record, scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                message["headers"] = [*message["headers"], *self._common_headers(record)]
            elif record.first_byte_ms is None and message.get("body"):
                record.first_byte_ms = record.elapsed_ms()
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        finally:
            for name, facts in record.events:
                who = {"request_id": record.request_id, "project": record.project}
                _logger.warning(name, extra={"fields": who | facts})
            if _logger.isEnabledFor(logging.INFO):
                _logger.info("request", extra={"fields": _fields(record, scope)})
            if self._observer is not None:
                record.endpoint = scope["path"] if record.dialect else _endpoint(scope)
                self._observer(record)

    def _common_headers(self, record: AccessRecord) -> list[tuple[bytes, bytes]]:
        now = self._clock.now()
        status = record.rate_limit or RateLimitStatus.unauthenticated(now)
        limits = status.headers(now)
        if record.dialect == MESSAGES:
            limits |= status.anthropic_headers()
        headers = [(b"x-request-id", record.request_id.encode())]
        headers += [(name.encode(), value.encode()) for name, value in limits.items()]
        if record.zero_retention:
            headers.append((b"x-zero-retention", b"true"))
        return headers


def _fields(record: AccessRecord, scope: Scope) -> dict[str, object]:
    deadline = deadline_of(scope)
    fields: dict[str, object] = {
        "request_id": record.request_id,
        "correlation_id": deadline.correlation_id,
        "aws_request_id": deadline.aws_request_id,
        "method": scope["method"],
        "path": scope["path"] if record.dialect else None,
        "dialect": record.dialect,
        "status": record.status,
        "code": record.code,
        "elapsed_ms": record.elapsed_ms(),
    }
    if record.dialect:
        images = record.images
        fields |= {
            "project": record.project,
            "model": loggable(record.model),
            "upstream": record.upstream,
            "upstreams_asked": record.upstreams_asked,
            "images_out": record.images_out,
            "streamed": record.streamed,
            "body_bytes": record.body_bytes,
            "images": len(images),
            "formats": [image.format for image in images],
            "bytes_before": [image.bytes_before for image in images],
            "bytes_after": [image.bytes_after for image in images],
            "pixels_before": [image.pixels_before for image in images],
            "pixels_after": [image.pixels_after for image in images],
            "cached_verdicts": record.cached_verdicts,
            "moderation_scores": {name: round(score, 4) for name, score in record.moderation_scores.items()} or None,
            "moderation_fallbacks": record.moderation_fallbacks or None,
            "image_tokens": [image.tokens for image in images],
            "step_ms": record.step_ms,
            "first_byte_ms": record.first_byte_ms,
        }
    return {name: value for name, value in fields.items() if value is not None}


def _endpoint(scope: Scope) -> str | None:
    """Return the path of the route that FastAPI found, with names for what a caller writes into it."""
    paths: dict[int, str] = getattr(scope["app"].state, "endpoint_paths", {}) if "app" in scope else {}
    return paths.get(id(scope.get("route")))
