"""Upstreams that speak Responses: items and tools that only they understand, and answers passed through."""

import re
from collections.abc import Sequence

from obscura.dialects.base import StreamTranslator
from obscura.dialects.json.raw import Node, is_array, is_null, is_object, is_string, open_array, open_object
from obscura.dialects.passthrough import EndMarkers, PassthroughResponse, PassthroughStream
from obscura.dialects.responses.content import RequestContent, mentions_image, mentions_video
from obscura.dialects.responses.events import error_event
from obscura.errors import ObscuraError, UnsupportedOperation

_TEXTS = frozenset(
    ("text", "output", "input", "arguments", "content", "summary", "code", "diff", "logs", "stdout", "stderr", "reason")
)
_MASK = "input_image_mask"


def collect_native_item(leaf: Node, kind: str, path: str, content: RequestContent) -> None:
    """Collect an item's texts at any depth, and record an image or video in it, which cannot be checked."""
    names = [kind]
    _collect_texts(leaf, "", path, content, names)
    if any(map(mentions_image, names)) or any(map(mentions_video, names)):
        _record_uncheckable(path, content)


def collect_native_tools(leaf: Node | None, path: str, content: RequestContent) -> None:
    """Record a tool that carries an image, which cannot be checked: the mask of image generation.

    Any other mention of images in a tool only describes them.
    """
    if not is_array(leaf):
        return
    for index, tool in enumerate(open_array(leaf, path)):
        if not is_object(tool):
            continue
        fields = open_object(tool, f"{path}[{index}]")
        if not is_null(fields.get(_MASK)):
            _record_uncheckable(f"{path}[{index}].{_MASK}", content)
        collect_native_tools(fields.get("tools"), f"{path}[{index}].tools", content)


def _collect_texts(leaf: Node, key: str, path: str, content: RequestContent, names: list[str]) -> None:
    """Collect the texts below the node at ``key``, and add to ``names`` the types and keys that may name an image.

    The elements of a list have the key of the list.
    """
    if is_string(leaf):
        if key in _TEXTS:
            content.texts.append(content.body.text(leaf))
        elif key == "type":
            names.append(content.body.text(leaf))
    elif is_array(leaf):
        for element in open_array(leaf, path):
            _collect_texts(element, key, path, content, names)
    elif is_object(leaf):
        for name, inner in open_object(leaf, path).items():
            if name == "tools":
                collect_native_tools(inner, f"{path}.tools", content)
            elif not is_null(inner):
                names.append(name)
                _collect_texts(inner, name, path, content, names)


def _record_uncheckable(path: str, content: RequestContent) -> None:
    content.uncheckable = content.uncheckable or UnsupportedOperation(
        f"'{path}' carries an image or video in a form that cannot be checked. Send an input_image part of a message.",
        param=path,
    )


_IMAGE_TOKENS = ("usage", "input_tokens_details", "image_tokens")
_IMAGE_TOKENS_IN_EVENTS = (("response", *_IMAGE_TOKENS),)
_END_MARKERS = EndMarkers(
    terminal=re.compile(rb'"type": ?"response\.(?:completed|incomplete|failed|cancelled)"'),
    sufficient=re.compile(rb'"type": ?"error"'),
    hints=(b"response.completed", b"response.incomplete", b"response.failed", b"response.cancelled", b'"error"'),
)
_SEQUENCE_NUMBER = re.compile(rb'"sequence_number":\s*(\d{1,15})(?=\D)')


class SequencedPassthroughStream:
    """A native stream passed through, with the sequence number of its last event."""

    def __init__(self, image_tokens: Sequence[int]) -> None:
        self._events = PassthroughStream(
            _IMAGE_TOKENS_IN_EVENTS, image_tokens, lambda error, _: error_event(error, self._next_number), _END_MARKERS
        )
        self._next_number = 0

    @property
    def complete(self) -> bool:
        """Whether the upstream has ended the response."""
        return self._events.complete

    def feed(self, chunk: bytes) -> bytes:
        """Return the lines that ``chunk`` completes."""
        ready = self._events.feed(chunk)
        for match in _SEQUENCE_NUMBER.finditer(ready):
            self._next_number = int(match[1]) + 1
        return ready

    def finish(self) -> bytes:
        """Return the line that was held back until the upstream closed the stream."""
        return self._events.finish()

    def fail(self, error: ObscuraError, request_id: str) -> bytes:
        """Return the error event, numbered after the last event sent."""
        return self._events.fail(error, request_id)


class NativeTranslator(PassthroughResponse):
    """A native response passed through; an error that ends its stream continues the upstream's numbering."""

    def stream(self, image_tokens: Sequence[int]) -> StreamTranslator:
        """Return the translator of one stream."""
        return SequencedPassthroughStream(image_tokens)


PASSTHROUGH = NativeTranslator(
    _IMAGE_TOKENS, _IMAGE_TOKENS_IN_EVENTS, lambda error, _: error_event(error, 0), _END_MARKERS, "output"
)
