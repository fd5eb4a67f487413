"""One invocation as the Runtime API hands it over, and the context object that handlers get."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Invocation:
    """An event, JSON not yet read, and what the headers of "Next invocation" say of it."""

    request_id: str
    deadline_ms: int
    function_arn: str
    trace_id: str | None
    event: bytes

    @classmethod
    def of(cls, headers: Mapping[str, str], event: bytes) -> "Invocation":
        """Read the headers, whose names are in lower case."""
        return cls(
            request_id=headers["lambda-runtime-aws-request-id"],
            deadline_ms=int(headers["lambda-runtime-deadline-ms"]),
            function_arn=headers.get("lambda-runtime-invoked-function-arn", ""),
            trace_id=headers.get("lambda-runtime-trace-id"),
            event=event,
        )


@dataclass(frozen=True, slots=True)
class InvocationContext:
    """The context object ("AWS Lambda context object in Python"), attribute by attribute.

    ``identity`` and ``client_context`` are the Mobile SDK's, which no API Gateway sends.
    """

    aws_request_id: str
    invoked_function_arn: str
    deadline_ms: int
    function_name: str = field(default_factory=lambda: os.environ.get("AWS_LAMBDA_FUNCTION_NAME", ""))
    function_version: str = field(default_factory=lambda: os.environ.get("AWS_LAMBDA_FUNCTION_VERSION", ""))
    memory_limit_in_mb: str = field(default_factory=lambda: os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", ""))
    log_group_name: str = field(default_factory=lambda: os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME", ""))
    log_stream_name: str = field(default_factory=lambda: os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME", ""))
    identity: None = None
    client_context: None = None

    @classmethod
    def of(cls, invocation: Invocation) -> "InvocationContext":
        """Make the context of an invocation."""
        return cls(invocation.request_id, invocation.function_arn, invocation.deadline_ms)

    def get_remaining_time_in_millis(self) -> int:
        """Give the milliseconds until Lambda ends the invocation, 0 once they are over."""
        return max(0, self.deadline_ms - int(time.time() * 1000))
