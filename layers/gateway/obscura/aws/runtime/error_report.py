"""A failure as Lambda is told of it: a type, where it rose, and no message that may quote content."""

import base64
import traceback
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from obscura.settings import ConfigurationError


class UnknownEvent(ValueError):
    """An event that is no HTTP request; the message says which are."""


@dataclass(frozen=True, slots=True)
class ErrorReport:
    """What went wrong; ``type`` is ``Category.Reason``, as the Runtime API wants it."""

    type: str
    message: str
    stack_trace: list[str] = field(default_factory=list)

    def document(self) -> bytes:
        """Write the body of an error report."""
        return msgspec.json.encode(
            {"errorMessage": self.message, "errorType": self.type, "stackTrace": self.stack_trace}
        )

    def trailers(self) -> bytes:
        """Write what ends a streamed response that has begun (Runtime API, "Mid-stream errors")."""
        told = base64.b64encode(msgspec.json.encode({"errorMessage": self.message, "errorType": self.type}))
        return b"Lambda-Runtime-Function-Error-Type: %b\r\nLambda-Runtime-Function-Error-Body: %b\r\n" % (
            self.type.encode(),
            told,
        )


def error_report(exception: BaseException, category: str = "Function", reason: str | None = None) -> ErrorReport:
    """Tell of an exception by its class and by where it rose: its own message may quote a request.

    A wrong setting and a wrong event are told in full: their messages are ours, and the operator must read them.
    ``reason`` stands in the type for the class's name.
    """
    frames = raised_at(exception)
    name = type(exception).__name__
    where = f"{name} in {frames[-1]}" if frames else name
    message = str(exception) if isinstance(exception, ConfigurationError | UnknownEvent) else where
    return ErrorReport(f"{category}.{reason or name}", message, frames)


def raised_at(exception: BaseException) -> list[str]:
    """Return where an exception rose, the outermost call first."""
    frames = traceback.extract_tb(exception.__traceback__)
    return [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
