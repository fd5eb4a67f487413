"""Escapes of JSON in a text that is JSON itself, such as a tool call's arguments: rules look at what they stand for."""

import re

_ESCAPE = re.compile(
    r"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|(.))", re.DOTALL
)


def unescaped(text: str) -> str:
    """Return a text without the escapes of characters that JSON needs none for (RFC 8259 §7): it stays the same JSON.

    Quotes, backslashes and control characters stay escaped. A text without escapes is returned as it is.
    """
    return _ESCAPE.sub(_character, text) if "\\u" in text or "\\/" in text else text


def _character(found: re.Match[str]) -> str:
    high, low, code, other = found.groups()
    if other is not None:
        return "/" if other == "/" else found[0]
    number = int(code, 16) if code else 0x10000 + ((int(high, 16) & 0x3FF) << 10) + (int(low, 16) & 0x3FF)
    is_plain = number >= 0x20 and number not in {0x22, 0x5C} and not 0xD800 <= number <= 0xDFFF
    return chr(number) if is_plain else found[0]
