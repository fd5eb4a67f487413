"""A request body as a tree of raw slices: only what Obscura understands is decoded, the rest is spliced back as sent.

The tree's inner nodes are dicts and lists, its leaves msgspec ``Raw`` slices. A dialect opens the nodes on the way to
the fields that it knows and replaces some leaves; rendering writes each opened object again, so a key that was sent
twice there leaves once, with the value that was read.
"""

from typing import TypeGuard

import msgspec
from msgspec import Raw

from obscura.dialects.json.prescan import PrescannedJson, decode_string, extract_long_strings
from obscura.errors import InvalidJson, InvalidRequest

type Node = Raw | dict[str, Node] | list[Node]
type RawObject = dict[str, Node]

_object_decoder = msgspec.json.Decoder(dict[str, Raw])
_array_decoder = msgspec.json.Decoder(list[Raw])


class RawJson:
    """One JSON body; ``root`` is its opened top-level object."""

    def __init__(self, body: bytes | bytearray) -> None:
        """Check and open ``body``; raises InvalidJson, or InvalidRequest when it is not an object."""
        if not body:
            raise InvalidJson("The body is empty. Send a JSON object.")
        lifted = extract_long_strings(body)
        self._lifted: PrescannedJson = lifted
        self._unread = set(range(len(lifted.long_strings)))
        try:
            self.root: RawObject = dict(_object_decoder.decode(lifted.text))
        except msgspec.ValidationError:
            raise InvalidRequest("The body must be a JSON object.") from None
        except (msgspec.DecodeError, RecursionError) as failure:
            raise InvalidJson(f"The body is not valid JSON{_reason(failure, lifted)}.") from None

    def string_slice(self, leaf: Raw) -> memoryview:
        """Return a string leaf's bytes between its quotes, escapes unresolved and unchecked: a view, never a copy."""
        index = self._long_index(leaf)
        if index is None:
            return memoryview(leaf)[1:-1]
        self._unread.discard(index)
        return self._lifted.long_strings[index]

    def text(self, leaf: Raw) -> str:
        """Decode a string leaf; raises InvalidJson on invalid UTF-8, escapes or control characters."""
        return decode_string(self.string_slice(leaf))

    def check_unread(self) -> None:
        """Decode, once, the long strings that nobody has read, so that nothing malformed is passed on."""
        while self._unread:
            decode_string(self._lifted.long_strings[self._unread.pop()])

    def render(self, tree: Node | None = None) -> bytes:
        """Write the root as it stands now, or another ``tree`` made of this body's leaves."""
        text = msgspec.json.encode(self.root if tree is None else tree)
        if not self._lifted.long_strings or self._lifted.placeholder not in text:
            return text
        first, *rest = text.split(b'"' + self._lifted.placeholder)
        pieces: list[bytes | memoryview] = [first]
        for piece in rest:
            index, _, after = piece.partition(b'"')
            pieces += (b'"', self._lifted.long_strings[int(index)], b'"', after)
        return b"".join(pieces)

    def _long_index(self, leaf: Raw) -> int | None:
        placeholder = self._lifted.placeholder
        if not placeholder:
            return None
        content = bytes(memoryview(leaf)[1:-1])
        return int(content.removeprefix(placeholder)) if content.startswith(placeholder) else None


def open_object(leaf: Node, path: str) -> RawObject:
    """Open an object leaf; raises InvalidRequest, with ``path`` as its param, when it is something else."""
    try:
        return dict(_object_decoder.decode(_raw(leaf)))
    except msgspec.ValidationError:
        raise InvalidRequest(f"'{path}' must be an object.", param=path) from None


def open_array(leaf: Node, path: str) -> list[Raw]:
    """Open an array leaf; raises InvalidRequest, with ``path`` as its param, when it is something else."""
    try:
        return _array_decoder.decode(_raw(leaf))
    except msgspec.ValidationError:
        raise InvalidRequest(f"'{path}' must be an array.", param=path) from None


def is_string(leaf: Node | None) -> TypeGuard[Raw]:
    """Whether a leaf holds a JSON string."""
    return isinstance(leaf, Raw) and memoryview(leaf)[0] == ord('"')


def is_object(leaf: Node | None) -> TypeGuard[Raw]:
    """Whether a leaf holds a JSON object."""
    return isinstance(leaf, Raw) and memoryview(leaf)[0] == ord("{")


def is_array(leaf: Node | None) -> TypeGuard[Raw]:
    """Whether a leaf holds a JSON array."""
    return isinstance(leaf, Raw) and memoryview(leaf)[0] == ord("[")


def is_null(leaf: Node | None) -> bool:
    """Whether a field is absent or null."""
    return leaf is None or (isinstance(leaf, Raw) and memoryview(leaf)[0] == ord("n"))


def quoted(ascii_text: bytes) -> Raw:
    """Make a string leaf of ASCII bytes that need no escaping, such as a data URL."""
    return Raw(b'"%b"' % ascii_text)


def _raw(leaf: Node) -> Raw:
    if not isinstance(leaf, Raw):
        raise TypeError("an opened node is not a leaf")
    return leaf


def _reason(failure: Exception, lifted: PrescannedJson) -> str:
    """What msgspec found; its byte offsets are the caller's only when nothing was lifted."""
    reason = str(failure).removeprefix("JSON is malformed: ")
    if reason == "Input data was truncated":
        return ": it ends too early, or an escape is half of a surrogate pair"
    return f": {reason.split(' (byte')[0] if lifted.long_strings else reason}"
