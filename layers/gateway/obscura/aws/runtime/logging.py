"""Log lines of libraries, in the formats of AWS's own runtime: text or JSON, each with the id of its invocation."""

import logging
import os
import sys
import time
from contextvars import ContextVar
from types import TracebackType

import msgspec

from obscura.aws.runtime.concurrency import is_managed
from obscura.aws.runtime.error_report import raised_at

type ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Id of the invocation under way."""

trace_id: ContextVar[str | None] = ContextVar("trace_id", default=None)
"""X-Ray's header of the invocation under way: the environment variable cannot hold those of several at once."""

_TEXT = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s"
_DATE = "%Y-%m-%dT%H:%M:%S"


def configure_logging() -> None:
    """Send the root logger's lines to standard output, as AWS_LAMBDA_LOG_FORMAT and AWS_LAMBDA_LOG_LEVEL say.

    Where several invocations are served at once every line is JSON with its request id, the access log's too: lines of
    different requests stand side by side.
    """
    managed = is_managed(os.environ)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True)
    handler = logging.StreamHandler(sys.stdout)
    as_json = managed or os.environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON"
    formatter = JsonFormatter(datefmt=f"{_DATE}Z") if as_json else TextFormatter(_TEXT, _DATE)
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    handler.addFilter(add_request_id)
    logging.getLogger().addHandler(handler)
    level = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
    if level in logging.getLevelNamesMapping():
        logging.getLogger().setLevel(level)
    if managed:
        logging.getLogger("obscura").addFilter(_add_request_id_field)


class TextFormatter(logging.Formatter):
    """Lambda's text line; an exception is its class and where it was raised, for its message may quote a request."""

    def formatException(self, ei: ExceptionInfo) -> str:  # noqa: N802 logging's name
        """Format the exception of a record."""
        return "" if ei[1] is None else "\n".join([type(ei[1]).__name__, *raised_at(ei[1])])


class JsonFormatter(TextFormatter):
    """One JSON object a line, with the fields of Lambda's JSON log format."""

    def format(self, record: logging.LogRecord) -> str:
        """Format one record."""
        line: dict[str, object] = {
            "timestamp": self.formatTime(record, self.datefmt),
            "level": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
            "requestId": request_id.get(),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["errorType"] = type(record.exc_info[1]).__name__
            line["stackTrace"] = raised_at(record.exc_info[1])
        return msgspec.json.encode(line).decode()


def _add_request_id_field(record: logging.LogRecord) -> bool:
    """Add the id under Lambda's own name to a line of the access log; a filter that keeps every record."""
    record.fields = getattr(record, "fields", {}) | {"requestId": request_id.get()}
    return True


def add_request_id(record: logging.LogRecord) -> bool:
    """Add the id of the invocation to a record; a filter that keeps every record."""
    record.aws_request_id = request_id.get()
    return True
