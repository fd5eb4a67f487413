"""A request body as a tree of raw slices: only the fields that Obscura knows are decoded, the rest stays as sent.

The tree's inner nodes are dicts and lists, its leaves msgspec ``Raw`` slices. A dialect opens the nodes on the way to
the fields that it knows and replaces some leaves. Rendering writes each opened object again. An object that has a key
twice is no object that is opened: some readers take the first value, others the last.
"""

import re
from itertools import batched
from typing import Any, TypeGuard, cast

import msgspec
from msgspec import Raw

from obscura.dialects.json.prescan import MAX_ITEMS, decode_quoted, decode_string, extract_long_strings
from obscura.errors import InvalidJson, InvalidRequest

type Node = Raw | dict[str, Node] | list[Node]
type RawObject = dict[str, Node]

MAX_NAME_CHARS = 100
"""How much of a key that the caller made up goes into a path."""

TRUE, FALSE, NULL = Raw(b"true"), Raw(b"false"), Raw(b"null")

# A dict of leaves that is new is a dict of nodes too, which the type system cannot know.
_OBJECT: Any = dict[str, Raw]
_object_decoder: msgspec.json.Decoder[RawObject] = msgspec.json.Decoder(_OBJECT)
_array_decoder = msgspec.json.Decoder(list[Raw])
_strings_decoder = msgspec.json.Decoder(list[str])
_STRINGS_PER_CALL = 1_000
_KEY = re.compile(rb'[ \t\r\n,]*("[^"\\]*+(?:\\.[^"\\]*+)*+")[ \t\r\n]*:[ \t\r\n]*', re.DOTALL)
_STRINGS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)


class RawJson:
    """One JSON body; ``root`` is its opened top-level object."""

    def __init__(self, body: bytes | bytearray, max_items: int = MAX_ITEMS) -> None:
        """Check and open ``body``; raises InvalidJson, TooManyItems, or InvalidRequest if it is not an object."""
        if not body:
            raise InvalidJson("The body is empty. Send a JSON object.")
        prescanned = extract_long_strings(body, max_items)
        self.values = prescanned.values
        self._long_strings = prescanned.long_strings
        self._placeholder = prescanned.placeholder
        self._unread = set(range(len(prescanned.long_strings)))
        try:
            self.root = _object_decoder.decode(prescanned.text)
            _require_unique_keys(self.root, prescanned.text, "")
        except msgspec.ValidationError:
            raise InvalidRequest("The body must be a JSON object.") from None
        except (msgspec.DecodeError, RecursionError) as failure:
            raise InvalidJson(f"The body is not valid JSON{self._reason(failure)}.") from None

    def string_slice(self, leaf: Raw) -> memoryview:
        """Return a string leaf's bytes between its quotes, escapes unresolved and unchecked: a view, never a copy."""
        content = memoryview(leaf)[1:-1]
        if not self._placeholder:
            return content
        return self._long_string(bytes(content)) or content

    def text(self, leaf: Raw) -> str:
        """Decode a string leaf; raises InvalidJson on invalid UTF-8, escapes or control characters."""
        return decode_string(self.string_slice(leaf)) if self._placeholder else decode_quoted(leaf)

    def strings(self, node: Node) -> list[str]:
        """Decode every string in a node, keys included, at any depth; raises InvalidJson as ``text`` does."""
        found = _STRINGS.finditer(node if isinstance(node, Raw) else msgspec.json.encode(node))
        strings: list[str] = []
        try:
            # Batch by batch: one call for all would keep every other thread from running until it returns.
            for batch in batched(found, _STRINGS_PER_CALL, strict=False):
                strings += _strings_decoder.decode(b"[%b]" % b",".join([string[0] for string in batch]))
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise InvalidJson("The body is not valid JSON: a string has invalid UTF-8 or escapes.") from None
        if not self._placeholder:
            return strings
        return [self._whole_string(string) for string in strings]

    def check_unread(self) -> None:
        """Decode the long strings that were not read so far, once each, so that nothing malformed is passed on."""
        while self._unread:
            decode_string(self._long_strings[self._unread.pop()])

    def render(self, tree: Node | None = None) -> bytes:
        """Render the root in its current state, or another ``tree`` made of this body's leaves."""
        text = msgspec.json.encode(self.root if tree is None else tree)
        if not self._placeholder or self._placeholder not in text:
            return text
        first, *rest = text.split(b'"' + self._placeholder)
        pieces: list[bytes | memoryview] = [first]
        for piece in rest:
            index, _, after = piece.partition(b'"')
            pieces += (b'"', self._long_strings[int(index)], b'"', after)
        return b"".join(pieces)

    def _whole_string(self, string: str) -> str:
        long_string = self._long_string(string.encode()) if string[0:1] == "~" else None
        return string if long_string is None else decode_string(long_string)

    def _long_string(self, content: bytes) -> memoryview | None:
        if not content.startswith(self._placeholder):
            return None
        index = int(content.removeprefix(self._placeholder))
        self._unread.discard(index)
        return self._long_strings[index]

    def _reason(self, failure: Exception) -> str:
        """Return what msgspec found; its byte offsets are the caller's only if no string was cut out."""
        reason = str(failure).removeprefix("JSON is malformed: ")
        if reason == "Input data was truncated":
            return ": it ends too early, or an escape is half of a surrogate pair"
        return f": {reason.split(' (byte')[0] if self._long_strings else reason}"


def open_object(leaf: Node, path: str) -> RawObject:
    """Open an object leaf; raises InvalidRequest, with ``path`` as its param, if it is something else."""
    if not isinstance(leaf, Raw):
        raise TypeError("an opened node is not a leaf")
    try:
        fields = _object_decoder.decode(leaf)
    except msgspec.ValidationError:
        raise InvalidRequest(f"'{path}' must be an object.", param=path) from None
    _require_unique_keys(fields, leaf, path)
    return fields


def _require_unique_keys(fields: RawObject, text: Raw | bytes | bytearray, path: str) -> None:
    """Raise InvalidRequest if an object has a key twice.

    Without white space and escapes between its fields, an object without such a key is as long as its own copy; with
    white space it has as many quotes, as long as no key has one.
    """
    copy = msgspec.json.encode(fields)
    if len(copy) == memoryview(text).nbytes:
        return
    written = bytes(text)
    if written.count(b'"') == copy.count(b'"') and not any('"' in key for key in fields):
        return
    twice = _key_twice(written, fields)
    if twice is not None:
        name = f"{path}.{twice[:MAX_NAME_CHARS]}".removeprefix(".")
        raise InvalidRequest(f"'{name}' is there twice. Send it once.", param=name)


def _key_twice(written: bytes, fields: RawObject) -> str | None:
    """Return a key that an object has twice, by one walk from key to key, which passes over the values.

    ``fields`` has the last value of each key. A key before which another value stands is there twice.
    """
    seen: set[str] = set()
    position = written.index(b"{") + 1
    while found := _KEY.match(written, position):
        key, position = decode_quoted(found[1]), found.end()
        value = bytes(cast("Raw", fields[key]))
        if key in seen or written[position : position + len(value)] != value:
            return key
        seen.add(key)
        position += len(value)
    return None


def open_array(leaf: Node, path: str) -> list[Raw]:
    """Open an array leaf; raises InvalidRequest, with ``path`` as its param, if it is something else."""
    if not isinstance(leaf, Raw):
        raise TypeError("an opened node is not a leaf")
    try:
        return _array_decoder.decode(leaf)
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
    """Return a string leaf of ASCII bytes that need no escaping, such as a data URL."""
    return Raw(b'"%b"' % ascii_text)
