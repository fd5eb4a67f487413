"""The ``error`` event (API reference, "Streaming events", ``error``)."""

import msgspec
from msgspec import Raw

from obscura.errors import ObscuraError
from obscura.wire.error_shapes import openai_error
from obscura.wire.responses.framing import named_event


class _Shape(msgspec.Struct):
    error: Raw


class _ErrorEvent(msgspec.Struct, tag="error", tag_field="type"):
    """``error`` repeats the facts in the shape of an error body: it is what OpenAI's SDKs raise as an APIError."""

    code: str
    message: str
    param: str | None
    sequence_number: int
    error: Raw


def error_event(error: ObscuraError, sequence_number: int) -> bytes:
    """Write an error as the event that ends a stream."""
    shape = msgspec.json.decode(openai_error(error), type=_Shape)
    event = _ErrorEvent(error.code, error.message, error.param, sequence_number, shape.error)
    return named_event(b"error", msgspec.json.encode(event))
