"""Failure as it is reported to Lambda: a type, where it was raised, and no message that may quote content."""

import base64
import traceback
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from obscura.settings import ConfigurationError


class UnknownEvent(ValueError):
    """An event that is no HTTP request; the message says which ones are."""


@dataclass(frozen=True, slots=True)
class ErrorReport:
    """What went wrong; ``type`` is ``Category.Reason``, as the Runtime API wants it."""

    type: str
    message: str
    stack_trace: list[str] = field(default_factory=list)

    def document(self) -> bytes:
        """Encode the body of an error report."""
        return msgspec.json.encode(
            {"errorMessage": self.message, "errorType": self.type, "stackTrace": self.stack_trace}
        )

    def trailers(self) -> bytes:
        """Encode the trailers of a streamed response that fails after it began (Runtime API, "Mid-stream errors")."""
        document = base64.b64encode(msgspec.json.encode({"errorMessage": self.message, "errorType": self.type}))
        return b"Lambda-Runtime-Function-Error-Type: %b\r\nLambda-Runtime-Function-Error-Body: %b\r\n" % (
            self.type.encode(),
            document,
        )


def error_report(exception: BaseException, category: str = "Function", reason: str | None = None) -> ErrorReport:
    """Describe an exception by its class and by where it was raised: its own message may quote a request.

    Only a wrong setting and an unknown event keep their message: it is ours, and the operator must read it.
    ``reason`` replaces the name of the class in the type.
    """
    frames = raised_at(exception)
    name = type(exception).__name__
    location = f"{name} in {frames[-1]}" if frames else name
    message = str(exception) if isinstance(exception, ConfigurationError | UnknownEvent) else location
    return ErrorReport(f"{category}.{reason or name}", message, frames)


def raised_at(exception: BaseException) -> list[str]:
    """Return where an exception was raised, the outermost call first."""
    frames = traceback.extract_tb(exception.__traceback__)
    return [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
