"""Items and tools that only an upstream with this dialect understands: their texts, and images nobody can check."""

import re
from collections.abc import Sequence

from obscura.dialects.base import StreamTranslator
from obscura.dialects.json.raw import Node, is_array, is_null, is_object, is_string, open_array, open_object
from obscura.dialects.passthrough import EndMarkers, PassthroughResponse, PassthroughStream
from obscura.dialects.responses.content import RequestContent, mentions_image, mentions_video
from obscura.dialects.responses.from_chat.events import error_event
from obscura.errors import ObscuraError, UnsupportedOperation

_TEXTS = frozenset(
    ("text", "output", "input", "arguments", "content", "summary", "code", "diff", "logs", "stdout", "stderr", "reason")
)
_MASK = "input_image_mask"


def collect_native_item(leaf: Node, kind: str, path: str, content: RequestContent) -> None:
    """Gather an item's texts at any depth, and remember the refusal of an image or video in it."""
    names = [kind]
    _collect_texts(leaf, "", path, content, names)
    if any(map(mentions_image, names)) or any(map(mentions_video, names)):
        _record_unchecked(path, content)


def collect_native_tools(leaf: Node | None, path: str, content: RequestContent) -> None:
    """Remember the refusal of a tool that brings an image with it: the mask of image generation.

    Whatever else a tool says of images only describes them.
    """
    if not is_array(leaf):
        return
    for index, tool in enumerate(open_array(leaf, path)):
        if not is_object(tool):
            continue
        fields = open_object(tool, f"{path}[{index}]")
        if not is_null(fields.get(_MASK)):
            _record_unchecked(f"{path}[{index}].{_MASK}", content)
        collect_native_tools(fields.get("tools"), f"{path}[{index}].tools", content)


def _collect_texts(leaf: Node, key: str, path: str, content: RequestContent, names: list[str]) -> None:
    """Gather the texts below a node that stands under ``key``, and add the names that may speak of an image.

    What is in a list stands under the list's key.
    """
    if is_string(leaf):
        if key in _TEXTS:
            content.texts.append(content.body.text(leaf))
        elif key == "type":
            names.append(content.body.text(leaf))
    elif is_array(leaf):
        for one in open_array(leaf, path):
            _collect_texts(one, key, path, content, names)
    elif is_object(leaf):
        for name, inner in open_object(leaf, path).items():
            if name == "tools":
                collect_native_tools(inner, f"{path}.tools", content)
            elif not is_null(inner):
                names.append(name)
                _collect_texts(inner, name, path, content, names)


def _record_unchecked(path: str, content: RequestContent) -> None:
    content.unchecked = content.unchecked or UnsupportedOperation(
        f"'{path}' carries an image or video in a form that cannot be checked. Send an input_image part of a message.",
        param=path,
    )


_IMAGE_TOKENS = ("usage", "input_tokens_details", "image_tokens")
_IN_EVENTS = (("response", *_IMAGE_TOKENS),)
_END_MARKERS = EndMarkers(
    last=re.compile(rb'"type": ?"response\.(?:completed|incomplete|failed|cancelled)"'),
    enough=re.compile(rb'"type": ?"error"'),
    marks=(b"response.completed", b"response.incomplete", b"response.failed", b"response.cancelled", b'"error"'),
)
_NUMBER = re.compile(rb'"sequence_number":\s*(\d{1,15})(?=\D)')


class SequencedPassthroughStream:
    """A stream of events on its way through, whose last number is known."""

    def __init__(self, image_tokens: Sequence[int]) -> None:
        """Start before the first event."""
        self._events = PassthroughStream(
            _IN_EVENTS, image_tokens, lambda error, _: error_event(error, self._next_number), _END_MARKERS
        )
        self._next_number = 0

    @property
    def ended(self) -> bool:
        """Whether the upstream has said that the response is over."""
        return self._events.ended

    def feed(self, chunk: bytes) -> bytes:
        """Return what is ready to be sent once ``chunk`` has come in."""
        ready = self._events.feed(chunk)
        for found in _NUMBER.finditer(ready):
            self._next_number = int(found[1]) + 1
        return ready

    def finish(self) -> bytes:
        """Return what was held back when the upstream has ended the stream."""
        return self._events.finish()

    def fail(self, error: ObscuraError, request_id: str) -> bytes:
        """Return the error, numbered after the last event that went out."""
        return self._events.fail(error, request_id)


class NativeTranslator(PassthroughResponse):
    """A response passed on; an error that ends its stream goes on with the upstream's numbers."""

    def stream(self, image_tokens: Sequence[int]) -> StreamTranslator:
        """Open the way for a stream of events."""
        return SequencedPassthroughStream(image_tokens)


PASSTHROUGH = NativeTranslator(
    _IMAGE_TOKENS, _IN_EVENTS, lambda error, _: error_event(error, 0), _END_MARKERS, "output"
)
