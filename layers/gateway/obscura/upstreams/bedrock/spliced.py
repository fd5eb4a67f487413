"""A JSON body whose images are cut out and put into another one, as base64 that is neither decoded nor copied twice.

The bodies are those that this gateway has rendered: each image is an ASCII data URL, a JSON string of its own.
"""

import re
import secrets
from dataclasses import dataclass
from typing import Any

import msgspec

from obscura.errors import InvalidRequest

_BEGINNING = b'"data:image/'
_DATA_URL = re.compile(rb'"data:image/([a-z+.-]{1,20});base64,')

_NAME = f"~{secrets.token_hex(16)}~"
_MARKS = re.compile(rb"%b(b?)([0-9]+);" % _NAME.encode())
"""A process's own marks; they stand in no body that leaves it."""


@dataclass(frozen=True, slots=True)
class DataImage:
    """An image: its subtype, such as jpeg, its data URL, and its base64, both views of the body that they came in.

    ``mark`` is the string that ``render`` writes the base64 for.
    """

    subtype: str
    data_url: memoryview
    base64: memoryview
    mark: str


class SplicedJson:
    """A body decoded, in which each string that is a data URL of an image is a mark, which no caller can guess."""

    def __init__(self, body: bytes) -> None:
        """Decode ``body``; raises InvalidRequest if a number in it is out of range."""
        self.images: list[DataImage] = []
        try:
            self.root: Any = msgspec.json.decode(self._cut(body))
        except (msgspec.DecodeError, RecursionError):
            raise InvalidRequest("The body has a value that cannot be sent on: a number out of range?") from None

    def _cut(self, body: bytes) -> bytes:
        view = memoryview(body)
        pieces: list[bytes | memoryview] = []
        position = searched = 0
        while (start := body.find(_BEGINNING, searched)) >= 0:  # ten times as fast as a search by the pattern
            searched = start + len(_BEGINNING)
            found = _DATA_URL.match(body, start)
            # An escaped quote stands within a text; a data URL there is the text's own.
            if found is None or body[start - 1] == ord("\\"):
                continue
            end = body.index(b'"', found.end())
            if body.find(b"\\", found.end(), end) >= 0:
                continue
            index = len(self.images)
            pieces += (view[position:start], b'"%b%d;"' % (_NAME.encode(), index))
            data_url, base64 = view[start + 1 : end], view[found.end() : end]
            self.images.append(DataImage(found.group(1).decode(), data_url, base64, f"{_NAME}b{index};"))
            position = searched = end + 1
        return b"".join((*pieces, view[position:])) if pieces else body

    def image(self, url: object) -> DataImage | None:
        """Return the image that a string of the tree stands for, None if it is another string."""
        if not isinstance(url, str) or not url.startswith(_NAME):
            return None
        return self.images[int(url.removeprefix(_NAME).removesuffix(";"))]

    def render(self, tree: object) -> bytes:
        """Render a tree: for the marks of images their base64, for strings that were data URLs those again."""
        text = msgspec.json.encode(tree)
        if not self.images:
            return text
        pieces: list[bytes | memoryview] = []
        position = 0
        for found in _MARKS.finditer(text):
            image = self.images[int(found.group(2))]
            pieces += (text[position : found.start()], image.base64 if found.group(1) else image.data_url)
            position = found.end()
        return b"".join((*pieces, text[position:]))
