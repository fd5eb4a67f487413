"""The first pass over a JSON body: bounds that parsers leave open are checked, and long strings are cut out.

The pass only looks for quotes (``bytes.find`` runs at memory speed, so an image of 20 MB costs well under a
millisecond). The rest, the skeleton between the strings, is small and shows depth, numbers and the count of values.
Strings of ``LONG_STRING_BYTES`` and more are cut out and stay views of the bytes that arrived.
"""

import re
import secrets
from dataclasses import dataclass

import msgspec

from obscura.errors import InvalidJson

LONG_STRING_BYTES = 4096
MAX_DEPTH = 128
MAX_NUMBER_CHARS = 512
MAX_VALUES = 400_000
MAX_SMALL_BODY_BYTES = 64 * 1024
"""Up to this size, one split at all quotes is faster than a search for each of them."""

_BRACKETS = re.compile(rb"[\[\]{}]")
_STRING_REST = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
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


def extract_long_strings(body: bytes | bytearray) -> PrescannedJson:
    """Check the bounds of a JSON body and cut its long strings out; it need not be valid JSON beyond that.

    Raises InvalidJson on an open string, on invalid UTF-8 outside of long strings (those are checked when they are
    decoded), on depth over ``MAX_DEPTH``, a number over ``MAX_NUMBER_CHARS`` or more than ``MAX_VALUES`` values.
    """
    if len(body) <= MAX_SMALL_BODY_BYTES:
        pieces = _split_at_quotes(body)
        if len(body) < LONG_STRING_BYTES or max(map(len, pieces)) < LONG_STRING_BYTES:
            if not len(pieces) % 2:
                raise _open_string()
            _check_skeleton(b"".join(pieces[::2]))
            _check_utf_8(body)
            return PrescannedJson(body, [], b"")
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
        if len(skeleton) > 2 * MAX_VALUES:
            raise _too_many_values()
    skeleton.append(body[position:])
    _check_skeleton(b"".join(skeleton))
    text = b"".join([*short, body[short_from:]]) if long_strings else body
    _check_utf_8(text)
    return PrescannedJson(text, long_strings, placeholder)


def decode_string(string: memoryview) -> str:
    """Decode a JSON string's bytes, given without their quotes; raises InvalidJson on malformed ones."""
    return decode_quoted(b"".join((b'"', string, b'"')))


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
        rest = _STRING_REST.match(body, opening + 1)
        closing = rest.end() - 1 if rest else -1
    if closing < 0:
        raise _open_string()
    return closing


def _check_skeleton(skeleton: bytes) -> None:
    if skeleton.count(b",") > MAX_VALUES:
        raise _too_many_values()
    if len(skeleton) > MAX_NUMBER_CHARS and _LONG_NUMBER.search(skeleton):
        raise InvalidJson(f"The body has a number of more than {MAX_NUMBER_CHARS} characters. Send it as a string.")
    if skeleton.count(b"[") + skeleton.count(b"{") <= MAX_DEPTH:
        return
    depth = 0
    for bracket in _BRACKETS.finditer(skeleton):
        depth += 1 if bracket[0] in b"[{" else -1
        if depth > MAX_DEPTH:
            raise InvalidJson(f"The body is nested more than {MAX_DEPTH} levels deep. Flatten it.")


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
