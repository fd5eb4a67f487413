"""What libraries log, as AWS's own runtime writes it: a line with the invocation's id, in text or JSON."""

import logging
import os
import sys
import time
from contextvars import ContextVar

import msgspec

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The invocation that lines belong to."""

_TEXT = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s"
_DATE = "%Y-%m-%dT%H:%M:%S"


def write_log_lines() -> None:
    """Send the root logger's lines to standard output, each at once; AWS_LAMBDA_LOG_FORMAT and _LEVEL are honoured."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True)
    handler = logging.StreamHandler(sys.stdout)
    as_json = os.environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON"
    formatter = JsonLine(datefmt=f"{_DATE}Z") if as_json else logging.Formatter(_TEXT, _DATE)
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    handler.addFilter(_with_request_id)
    logging.getLogger().addHandler(handler)
    level = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
    if level in logging.getLevelNamesMapping():
        logging.getLogger().setLevel(level)


class JsonLine(logging.Formatter):
    """A JSON object a line, with the fields of Lambda's JSON log format."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        line = {
            "timestamp": self.formatTime(record, self.datefmt),
            "level": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
            "requestId": request_id.get(),
        }
        return msgspec.json.encode(line).decode()


def _with_request_id(record: logging.LogRecord) -> bool:
    record.aws_request_id = request_id.get()
    return True
