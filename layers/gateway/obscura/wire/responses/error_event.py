"""Events as they are framed, and the ``error`` event (API reference, "Streaming events")."""

import msgspec
from msgspec import Raw

from obscura.errors import ObscuraError
from obscura.wire.error_shapes import openai_error


class _Shape(msgspec.Struct):
    error: Raw


class _ErrorEvent(msgspec.Struct, tag="error", tag_field="type"):
    """``error`` repeats the facts in the shape of an error body: it is what OpenAI's SDKs raise as an APIError."""

    code: str
    message: str
    param: str | None
    sequence_number: int
    error: Raw


def named_event(name: bytes, data: bytes) -> bytes:
    """Frame one event (WHATWG HTML §9.2.6); ``data`` is on one line."""
    return b"event: %b\ndata: %b\n\n" % (name, data)


def error_event(error: ObscuraError, sequence_number: int) -> bytes:
    """Write an error as the event that ends a stream."""
    shape = msgspec.json.decode(openai_error(error), type=_Shape)
    event = _ErrorEvent(error.code, error.message, error.param, sequence_number, shape.error)
    return named_event(b"error", msgspec.json.encode(event))
