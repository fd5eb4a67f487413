"""The first pass over a JSON body: bounds that parsers leave open are checked, and long strings are cut out.

The pass only looks for quotes (``bytes.find`` runs at memory speed, so an image of 20 MB costs well under a
millisecond). The rest, the skeleton between the strings, is small and shows depth, numbers and the count of values.
Strings of ``LONG_STRING_BYTES`` and more are cut out and stay views of the bytes that arrived.
"""

import re
import secrets
from dataclasses import dataclass
from itertools import islice

import msgspec

from obscura.errors import InvalidJson, TooManyItems

LONG_STRING_BYTES = 4096
MAX_DEPTH = 128
MAX_NUMBER_CHARS = 512
MAX_VALUES = 100_000
"""How many commas and opening brackets: what is worked on in Python costs a few µs for each."""
MAX_ITEMS = 10_000
MAX_SMALL_BODY_BYTES = 64 * 1024
"""Up to this size, one split at all quotes is faster than a search for each of them."""

_BRACKETS = re.compile(rb"[\[\]{}]")
_ITEM_DEPTHS = (2, 4)
"""Within how many brackets items stand: in {[ and in {[{[."""
_STRINGS_PER_CHECK = 50_000
"""How often what stands between the strings is checked while they are searched for."""
_STRING_PART = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_FIRST_SURROGATE = re.compile(rb"\\u[dD][89abAB]")
_ESCAPE_BYTES = 6
_CHUNK_BYTES = 512 * 1024
"""Of a long string, what one call in C reads: until it returns, no other thread runs."""
_LONG_NUMBER = re.compile(rb"[0-9.eE+-]{%d}" % (MAX_NUMBER_CHARS + 1))
_string_decoder = msgspec.json.Decoder(str)


@dataclass(slots=True)
class PrescannedJson:
    """A JSON text whose long strings are replaced by short placeholder strings.

    ``placeholder`` is random for each text, so no caller can write one, and no identifier; ``text`` has the string with
    index i as ``"<placeholder><i>"``. ``long_strings`` are views of the original bytes, without their quotes.
    """

    text: bytes | bytearray
    long_strings: list[memoryview]
    placeholder: bytes
    values: int
    """At most so many values, keys aside: the commas and the opening brackets."""


def extract_long_strings(body: bytes | bytearray, max_items: int = MAX_ITEMS) -> PrescannedJson:
    """Check the bounds of a JSON body and cut its long strings out; it need not be valid JSON beyond that.

    Raises InvalidJson on an open string, on invalid UTF-8 outside of long strings (those are checked when they are
    decoded), on depth over ``MAX_DEPTH``, a number over ``MAX_NUMBER_CHARS`` or more than ``MAX_VALUES`` values;
    TooManyItems on more than ``max_items`` items (``count_items``).
    """
    if len(body) <= MAX_SMALL_BODY_BYTES:
        pieces = _split_at_quotes(body)
        if len(body) < LONG_STRING_BYTES or max(map(len, pieces)) < LONG_STRING_BYTES:
            if not len(pieces) % 2:
                raise _open_string()
            values = _check_skeleton(b"".join(pieces[::2]), max_items)
            _check_utf_8(body)
            return PrescannedJson(body, [], b"", values)
    view = memoryview(body)
    placeholder = b""
    long_strings: list[memoryview] = []
    short: list[bytes | bytearray] = []
    skeleton: list[bytes | bytearray] = []
    position = short_from = 0
    while (opening := body.find(b'"', position)) >= 0:
        skeleton.append(body[position:opening])
        closing = _closing_quote(body, opening)
        if closing - opening > LONG_STRING_BYTES:
            placeholder = placeholder or b"~%b." % secrets.token_hex(12).encode()
            short += (body[short_from:opening], b'"%s%d"' % (placeholder, len(long_strings)))
            long_strings.append(view[opening + 1 : closing])
            short_from = closing + 1
        position = closing + 1
        if not len(skeleton) % _STRINGS_PER_CHECK:
            _check_skeleton(b"".join(skeleton), max_items)
            if len(skeleton) > 2 * MAX_VALUES:
                raise _too_many_values()
    skeleton.append(body[position:])
    values = _check_skeleton(b"".join(skeleton), max_items)
    text = b"".join([*short, body[short_from:]]) if long_strings else body
    _check_utf_8(text)
    return PrescannedJson(text, long_strings, placeholder, values)


def decode_string(string: memoryview) -> str:
    """Decode a JSON string's bytes, given without their quotes; raises InvalidJson on malformed ones."""
    if len(string) <= _CHUNK_BYTES:
        return decode_quoted(b"".join((b'"', string, b'"')))
    texts: list[str] = []
    while len(string) > _CHUNK_BYTES:
        end = _chunk_end(string)
        texts.append(decode_quoted(b"".join((b'"', string[:end], b'"'))))
        string = string[end:]
    texts.append(decode_quoted(b"".join((b'"', string, b'"'))))
    return "".join(texts)


def _chunk_end(string: memoryview) -> int:
    """Return where the first chunk of a JSON string may end: in no character, escape or pair of surrogates."""
    end = _CHUNK_BYTES
    chunk = bytes(string[:end])
    backslash = chunk.rfind(b"\\", end - 2 * _ESCAPE_BYTES)
    if backslash >= 0:
        if not _begins_escape(chunk, backslash):
            return backslash + 1
        before = backslash - _ESCAPE_BYTES
        in_pair = _FIRST_SURROGATE.match(chunk, before) and _begins_escape(chunk, before)
        return before if in_pair else backslash
    while end > _CHUNK_BYTES - 3 and string[end] & 0xC0 == 0x80:  # a byte within a character (RFC 3629 §3)
        end -= 1
    return end


def _begins_escape(chunk: bytes, backslash: int) -> bool:
    """Whether a backslash is not itself escaped: the number of those that end with it is odd."""
    run = chunk[: backslash + 1]
    return (len(run) - len(run.rstrip(b"\\"))) % 2 == 1


def decode_quoted(string: bytes | msgspec.Raw) -> str:
    """Decode a JSON string with its quotes; raises InvalidJson on a malformed one."""
    try:
        return _string_decoder.decode(string)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise InvalidJson("The body is not valid JSON: a string has invalid UTF-8 or escapes.") from None


def _split_at_quotes(body: bytes | bytearray) -> list[bytes] | list[bytearray]:
    """Split at every quote that opens or closes a string (RFC 8259 §7): every second piece is a string's content.

    A backslash outside of a string ends the document for any parser, so it does not matter what comes after it.
    """
    if b"\\" in body:
        body = body.replace(rb"\\", b"__").replace(rb"\"", b"__")
    return body.split(b'"')


def _closing_quote(body: bytes | bytearray, opening: int) -> int:
    """Return the end of the string that opens here."""
    closing = body.find(b'"', opening + 1)
    if closing > 0 and body[closing - 1] == 0x5C:
        closing = _after_escapes(body, opening + 1)
    if closing < 0:
        raise _open_string()
    return closing


def _after_escapes(body: bytes | bytearray, position: int) -> int:
    """Return the quote that ends a string with escapes, or -1; read in chunks, each from the start of no escape."""
    while part := _STRING_PART.match(body, position, position + _CHUNK_BYTES):
        end = part.end()
        if end < len(body) and body[end] == 0x22:
            return end
        if end == position:
            break
        position = end
    return -1


def _check_skeleton(skeleton: bytes, max_items: int) -> int:
    """Return the number of values."""
    commas, objects, arrays = skeleton.count(b","), skeleton.count(b"{"), skeleton.count(b"[")
    values = commas + objects + arrays
    if commas + arrays > max_items:
        _require_items(skeleton, max_items)
    if objects + arrays > MAX_DEPTH:
        _require_depth(skeleton)
    if values > MAX_VALUES:
        raise _too_many_values()
    if len(skeleton) > MAX_NUMBER_CHARS and _LONG_NUMBER.search(skeleton):
        raise InvalidJson(f"The body has a number of more than {MAX_NUMBER_CHARS} characters. Send it as a string.")
    return values


def _require_depth(skeleton: bytes) -> None:
    depth = 0
    for bracket in islice(_BRACKETS.finditer(skeleton), 2 * MAX_VALUES):
        depth += 1 if bracket[0] in b"[{" else -1
        if depth > MAX_DEPTH:
            raise InvalidJson(f"The body is nested more than {MAX_DEPTH} levels deep. Flatten it.")


def _require_items(skeleton: bytes, max_items: int) -> None:
    """Raise TooManyItems as soon as more than ``max_items`` were seen; the text need not be JSON.

    An item is an element of an array in a field of the body, or in a field of such an element: a message, a part of
    one, a tool. What stands deeper, or in a field of a field, such as a tool's schema, has none. A list without
    elements counts as one.
    """
    items = depth = aligned = last = 0
    for bracket in islice(_BRACKETS.finditer(skeleton), 2 * MAX_VALUES):
        position, kind = bracket.start(), bracket[0]
        if aligned == depth in _ITEM_DEPTHS:
            items += skeleton.count(b",", last, position)
        last = position + 1
        if kind in b"[{":
            if aligned == depth < _ITEM_DEPTHS[-1] and (kind == b"[") == depth % 2:
                aligned += 1
                items += kind == b"["
            depth += 1
        else:
            depth -= 1
            aligned = min(aligned, depth)
        if items > max_items:
            break
    else:
        if aligned == depth in _ITEM_DEPTHS:
            items += skeleton.count(b",", last)
    if items > max_items:
        raise too_many_items(max_items)


def too_many_items(max_items: int) -> TooManyItems:
    """Return the error for a request with more items than ``max_items``."""
    return TooManyItems(
        f"The request has more than {max_items:,} messages, parts and tools in all, the limit (OBSCURA_MAX_ITEMS). "
        "Send fewer: join texts, leave the oldest turns out, or split it."
    )


def _check_utf_8(text: bytes | bytearray) -> None:
    if text.isascii():
        return
    try:
        text.decode()
    except UnicodeDecodeError as failure:
        raise InvalidJson(f"The body is not valid UTF-8 ({failure.reason}). Send JSON encoded as UTF-8.") from None


def _open_string() -> InvalidJson:
    return InvalidJson("The body is not valid JSON: it ends inside a string.")


def _too_many_values() -> InvalidJson:
    return InvalidJson(f"The body has more than {MAX_VALUES:,} values. Send fewer.")
