"""Bodies that are odd as a whole: marks, surrogates, garbage, long texts, many items, addresses that load."""

import json
from collections.abc import Iterator
from typing import Any

from tests.security.shapes.places import minimal_request
from tests.security.shapes.plants import PHRASE, data_url, image

LONG_TEXT_CHARS = 120_000
PIECE_CHARS = (1_000, 2_000, 4_000, 8_000, 10_000, 16_000, 20_000, 32_000, 50_000, 64_000, 100_000)
"""Lengths at which a text may be cut into pieces: the phrase stands across each of them."""

type Special = tuple[str, str, bytes]


def special_bodies(dialect: str) -> Iterator[Special]:
    """Yield the name, the group and the bytes of each."""
    hidden = json.dumps(with_text(dialect, PHRASE)).encode()
    yield "byte order mark", "text", b"\xef\xbb\xbf" + hidden
    yield "UTF-16", "text", hidden.decode().encode("utf-16")
    yield "UTF-16 without a mark", "text", hidden.decode().encode("utf-16-le")
    yield "UTF-32", "text", hidden.decode().encode("utf-32")
    yield "white space around", "text", b" \r\n\t" + hidden + b"\n \n"
    plain = json.dumps(minimal_request(dialect)).encode()
    for name, tail in (("another document", hidden), ("a comment", b"/* x */"), ("NUL", b"\0"), ("text", b" x")):
        yield f"{name} after the end", "text", plain + tail
    yield "NaN", "text", hidden[:-1] + b',"temperature":NaN}'
    yield "overlong UTF-8", "text", hidden.replace(b"zebrawort", b"\xc0\xbaebrawort")
    for name, text in (
        ("a lone high surrogate", "\\ud83d"),
        ("a lone low surrogate", "\\udc00"),
        ("reversed surrogates", "\\udc00\\ud83d"),
    ):
        phrase = json.dumps(PHRASE)[1:-1]
        with_surrogate = f"{phrase[:10]}{text}{phrase[10:]} {phrase}"
        yield name, "text", hidden.replace(phrase.encode(), with_surrogate.encode())
        yield f"{name} in a key", "text", plain[:-1] + f',"x{text}":"{phrase}"}}'.encode()
    yield from _long(dialect)
    yield from _many(dialect)


def _long(dialect: str) -> Iterator[Special]:
    filler = "lorem ipsum dolor sit amet "
    long = (filler * (LONG_TEXT_CHARS // len(filler) + 1))[:LONG_TEXT_CHARS]
    yield "at the end of a long text", "text", _body(with_text(dialect, long + PHRASE))
    yield "in the middle of a long text", "text", _body(with_text(dialect, long[:60_000] + PHRASE + long[60_000:]))
    yield "after a long run without white space", "text", _body(with_text(dialect, "x" * LONG_TEXT_CHARS + PHRASE))
    yield "after many line breaks", "text", _body(with_text(dialect, "\n" * LONG_TEXT_CHARS + PHRASE))
    wide = "\U0001f993" * 40_000
    yield "after many astral characters", "text", _body(with_text(dialect, wide + PHRASE))
    for cut in PIECE_CHARS:
        for overlap in (3, len(PHRASE) // 2, len(PHRASE) - 3):
            text = long[: cut - overlap] + PHRASE + long[cut:]
            yield f"across character {cut:,} less {overlap}", "text", _body(with_text(dialect, text))


def _many(dialect: str) -> Iterator[Special]:
    words = [f"hello {index}" for index in range(400)]
    yield "in the last of 400 messages", "text", _body(with_messages(dialect, [*words, PHRASE]))
    url = data_url(image("PNG"), "image/png")
    yield "in item 60 of an unknown list", "image", _body(minimal_request(dialect) | {"x": [*words[:60], url]})
    yield (
        "in item 300 of nested lists",
        "image",
        _body(minimal_request(dialect) | {"x": [[[word] for word in words], [url]]}),
    )
    deep: Any = {"image_url": url}
    for _ in range(60):
        deep = {"x": [deep]}
    yield "120 levels deep", "image", _body(minimal_request(dialect) | {"x": deep})
    yield (
        "among 2,000 unknown fields",
        "image",
        _body(minimal_request(dialect) | {f"x_{index}": "hello" for index in range(2000)} | {"x_last": url}),
    )
    for field in ("text", "prompt", "inputs", "query", "suffix", "system", "context", "instructions", "chat_template"):
        if field not in minimal_request(dialect):
            yield f"as the root's {field}", "text", _body(minimal_request(dialect) | {field: PHRASE})


def with_text(dialect: str, text: str) -> dict[str, Any]:
    """Return a request whose one message is this text."""
    return with_messages(dialect, [text])


def with_messages(dialect: str, texts: list[str]) -> dict[str, Any]:
    """Return a request of user messages."""
    key = "input" if dialect == "responses" else "messages"
    return minimal_request(dialect) | {key: [{"role": "user", "content": text} for text in texts]}


def _body(request: dict[str, Any]) -> bytes:
    return json.dumps(request).encode()
