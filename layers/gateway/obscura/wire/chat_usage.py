"""Image tokens in the usage of chat completions, whole answers and streams: the rest stays byte for byte."""

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from obscura.errors import UpstreamError
from obscura.wire.sse import LineSplitter

_members = msgspec.json.Decoder(dict[str, Raw])


def with_image_tokens(completion: bytes, image_tokens: Sequence[int]) -> bytes:
    """Set ``usage.prompt_tokens_details.image_tokens`` of a completion, or of a chunk, that has a usage.

    Raises UpstreamError when ``completion`` is not a JSON object.
    """
    try:
        fields: dict[str, object] = dict(_members.decode(completion))
        usage = _object(fields.get("usage"))
        if not image_tokens or usage is None:
            return completion
        details = _object(usage.get("prompt_tokens_details")) or {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UpstreamError("The upstream answered with something other than a JSON object. Try again.") from None
    details["image_tokens"] = sum(image_tokens)
    usage["prompt_tokens_details"] = details
    fields["usage"] = usage
    return msgspec.json.encode(fields)


class ChatPassage:
    """A chat stream on its way through: events that carry a usage get the image tokens, all others pass untouched."""

    def __init__(self, image_tokens: Sequence[int]) -> None:
        """Without images every chunk passes as it is."""
        self._image_tokens = image_tokens
        self._lines = LineSplitter()

    def feed(self, chunk: bytes) -> bytes:
        """Give what is ready to be sent once ``chunk`` has come in."""
        if not self._image_tokens:
            return chunk
        lines = self._lines.feed(chunk)
        if b'"usage"' not in lines:
            return lines
        return b"".join(self._with_usage(line) for line in lines.splitlines(keepends=True))

    def finish(self) -> bytes:
        """Give what was held back when the upstream has ended the stream."""
        return self._with_usage(self._lines.finish())

    def _with_usage(self, line: bytes) -> bytes:
        if not line.startswith(b"data:") or b'"usage"' not in line:
            return line
        data = line.removeprefix(b"data:")
        ending = data[len(data.rstrip(b"\r\n")) :]
        try:
            changed = with_image_tokens(data, self._image_tokens)
        except UpstreamError:
            return line
        return line if changed is data else b"data: %b%b" % (changed, ending)


def _object(raw: object) -> dict[str, object] | None:
    if not isinstance(raw, Raw) or memoryview(raw)[0] != ord("{"):
        return None
    return dict(_members.decode(raw))
