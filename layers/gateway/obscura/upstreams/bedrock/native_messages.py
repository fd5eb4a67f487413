"""Anthropic's Messages by InvokeModel, as they are (Bedrock user guide, "Anthropic Claude Messages API").

The body is Anthropic's without ``model`` and ``stream``, with ``anthropic_version`` and the betas of the header in it.
"""

from collections.abc import Iterator

import msgspec
import pybase64
from msgspec import Raw

from obscura.dialects.base import UpstreamBody
from obscura.errors import InvalidRequest, UnsupportedOperation, UpstreamError
from obscura.upstreams.bedrock.converse_response import event_of
from obscura.upstreams.bedrock.event_stream import EventMessage, EventStreamParser, decoded

ANTHROPIC_VERSION = Raw(b'"bedrock-2023-05-31"')
_BETA_HEADER = b"anthropic-beta"
COUNTED_MAX_TOKENS = Raw(b"1")
"""InvokeModel's body needs a limit, which counting tokens does not."""

_object_decoder = msgspec.json.Decoder(dict[str, Raw])


def to_invoke(body: UpstreamBody) -> tuple[str, bytes]:
    """Return the model's id and InvokeModel's body; raises InvalidRequest if that cannot be written."""
    fields = _object_decoder.decode(body.body)
    model = msgspec.json.decode(fields.pop("model"), type=str)
    fields.pop("stream", None)
    named = fields.get("anthropic_version")
    if named is not None and named != ANTHROPIC_VERSION:
        raise InvalidRequest("'anthropic_version' is the gateway's to set. Leave it out.", param="anthropic_version")
    if "anthropic_beta" in fields:
        raise UnsupportedOperation(
            "'anthropic_beta' is not a field of Messages. Send the header anthropic-beta.", param="anthropic_beta"
        )
    fields["anthropic_version"] = ANTHROPIC_VERSION
    betas = [
        name.strip().decode()
        for key, value in body.headers
        if key == _BETA_HEADER
        for name in value.split(b",")
        if name.strip()
    ]
    if betas:
        fields["anthropic_beta"] = Raw(msgspec.json.encode(betas))
    if body.counts_tokens:
        fields.setdefault("max_tokens", COUNTED_MAX_TOKENS)
    return model, msgspec.json.encode(fields)


class InvokeReader:
    """Reads Anthropic's own answers."""

    def decode(self, body: bytes) -> bytes:
        """Return the body as it is."""
        return body

    def stream_decoder(self) -> "InvokeStream":
        """Return the decoder of a streamed answer."""
        return InvokeStream()


class _Chunk(msgspec.Struct):
    bytes: str


class _Typed(msgspec.Struct):
    type: str


_chunk_decoder = msgspec.json.Decoder(_Chunk)
_type_decoder = msgspec.json.Decoder(_Typed)


class InvokeStream:
    """Decodes a stream to the events of Messages, which it has as base64 in ``chunk`` events."""

    def __init__(self) -> None:
        self._parser = EventStreamParser()

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the events that are ready; see ``StreamDecoder``."""
        return decoded(self._parser.feed(chunk), _sse_event)


def _sse_event(message: EventMessage) -> bytes:
    if event_of(message) != "chunk":
        return b""
    try:
        data = pybase64.b64decode(_chunk_decoder.decode(message.payload).bytes, validate=True)
        kind = _type_decoder.decode(data).type
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError):
        raise UpstreamError("The upstream sent an event that cannot be read. Try again.") from None
    if b"\n" in data or b"\r" in data or "\n" in kind:
        data = msgspec.json.format(data, indent=-1)
    return b"event: %b\ndata: %b\n\n" % (kind.encode().replace(b"\n", b""), data)


class _Counted(msgspec.Struct, rename="camel"):
    input_tokens: int


class CountReader:
    """Reads the answer of CountTokens as that of Messages' count_tokens."""

    def decode(self, body: bytes) -> bytes:
        """Return the count; raises UpstreamError if there is none."""
        try:
            counted = msgspec.json.decode(body, type=_Counted)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise UpstreamError("The upstream did not count the tokens. Try again.") from None
        return msgspec.json.encode({"input_tokens": counted.input_tokens})

    def stream_decoder(self) -> None:
        """Return none: a count is not streamed."""
