"""A JSON body with its images cut out of it, and put into another one, as base64 that nobody decodes or copies twice.

The bodies are those that this gateway has rendered: each image is an ASCII data URL, a JSON string of its own.
"""

import re
import secrets
from dataclasses import dataclass
from typing import Any

import msgspec

from obscura.errors import InvalidRequest

_DATA_URL = re.compile(rb'"data:image/([a-z+.-]{1,20});base64,')
_MARK = "\x1a"


@dataclass(frozen=True, slots=True)
class DataImage:
    """An image: its subtype, such as jpeg, and its base64, a view of the body that it came in."""

    subtype: str
    base64: memoryview


class SplicedJson:
    """A body decoded, in which each image's string is a short mark."""

    def __init__(self, body: bytes) -> None:
        """Decode ``body``; raises InvalidRequest if a number in it is out of range."""
        self._prefix = _MARK + secrets.token_hex(16)
        self.images: list[DataImage] = []
        try:
            self.root: Any = msgspec.json.decode(self._cut(body))
        except (msgspec.DecodeError, RecursionError):
            raise InvalidRequest(
                "The body has a value that cannot be sent on, such as a number out of range."
            ) from None

    def _cut(self, body: bytes) -> bytes:
        view = memoryview(body)
        pieces: list[bytes | memoryview] = []
        position = 0
        for found in _DATA_URL.finditer(body):
            start, data_start = found.span()
            # An escaped quote stands within a text; a data URL there is the text's own.
            if start < position or body[start - 1] == ord("\\"):
                continue
            end = body.index(b'"', data_start)
            if body.find(b"\\", data_start, end) >= 0:
                continue
            pieces += (view[position:start], b'"%b%d"' % (msgspec.json.encode(self._prefix)[1:-1], len(self.images)))
            self.images.append(DataImage(found.group(1).decode(), view[data_start:end]))
            position = end + 1
        return b"".join((*pieces, view[position:])) if pieces else body

    def image(self, url: object) -> DataImage | None:
        """Return the image that a string of the tree stands for, None if it is another string."""
        if not isinstance(url, str) or not url.startswith(self._prefix):
            return None
        return self.images[int(url.removeprefix(self._prefix))]

    def render(self, tree: object) -> bytes:
        """Render a tree in which the marks of images stand for their base64."""
        text = msgspec.json.encode(tree)
        if not self.images:
            return text
        first, *rest = text.split(msgspec.json.encode(self._prefix)[1:-1])
        pieces: list[bytes | memoryview] = [first]
        for piece in rest:
            index, _, after = piece.partition(b'"')
            pieces += (self.images[int(index)].base64, b'"', after)
        return b"".join(pieces)
