"""What the demo model reads of a chat completion request: no object is made of anything else.

``json.loads`` keeps the interpreter's lock until it returns: 67 ms for a schema of 95,000 keys.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
from msgspec import Raw

from obscura.dialects.json.prescan import decode_string, extract_long_strings
from obscura.dialects.json.raw import NULL
from obscura.errors import InvalidJson


class _Message(msgspec.Struct):
    role: Raw = NULL
    content: Raw = NULL


class _ImageUrl(msgspec.Struct):
    url: Raw = NULL


class _Part(msgspec.Struct):
    text: Raw = NULL
    image_url: Raw = NULL


class _StreamOptions(msgspec.Struct):
    include_usage: Raw = NULL


class _Body(msgspec.Struct):
    model: Raw
    messages: list[_Message]
    stop: Raw = NULL
    stream_options: Raw = NULL


_body_decoder = msgspec.json.Decoder(_Body)
_part_decoder = msgspec.json.Decoder(_Part)
_list_decoder = msgspec.json.Decoder(list[Raw])


@dataclass(slots=True)
class DemoRequest:
    """``question`` is the last text of the user, ``image_urls`` are data URLs in the order of the request."""

    model: str
    question: str = ""
    image_urls: list[str] = field(default_factory=list)
    wants_usage: bool = False
    stop: tuple[str, ...] = ()


def read_demo_request(body: bytes) -> DemoRequest:
    """Read a chat completion request that this gateway rendered."""
    return _Reader(body).request()


class _Reader:
    def __init__(self, body: bytes) -> None:
        self._text: bytes | bytearray = body
        self._long_strings: list[memoryview] = []
        self._placeholder = b""
        try:
            scanned = extract_long_strings(body, max_items=len(body))
        except InvalidJson:  # a translated request may be past the bounds of the one that was sent
            return
        self._text, self._long_strings, self._placeholder = scanned.text, scanned.long_strings, scanned.placeholder

    def request(self) -> DemoRequest:
        body = _body_decoder.decode(self._text)
        request = DemoRequest(self._string(body.model) or "")
        for message in body.messages:
            is_user = self._string(message.role) == "user"
            for part in self._parts(message.content):
                url = self._url(part.image_url)
                if url:
                    request.image_urls.append(url)
                elif is_user and (text := self._string(part.text)) is not None:
                    request.question = text
        request.stop = tuple(self._strings(body.stop))
        if _begins(body.stream_options, b"{"):
            options = msgspec.json.decode(body.stream_options, type=_StreamOptions)
            request.wants_usage = bytes(options.include_usage) == b"true"
        return request

    def _parts(self, content: Raw) -> Iterator[_Part]:
        if _begins(content, b'"'):
            if self._string(content):
                yield _Part(text=content)
        elif _begins(content, b"["):
            for part in _list_decoder.decode(content):
                yield _part_decoder.decode(part) if _begins(part, b"{") else _Part(text=part)

    def _url(self, shown: Raw) -> str | None:
        leaf = msgspec.json.decode(shown, type=_ImageUrl).url if _begins(shown, b"{") else shown
        return self._string(leaf)

    def _strings(self, leaf: Raw) -> Iterator[str]:
        for one in _list_decoder.decode(leaf) if _begins(leaf, b"[") else [leaf]:
            if text := self._string(one):
                yield text

    def _string(self, leaf: Raw) -> str | None:
        """Return a string, None for anything else."""
        if not _begins(leaf, b'"'):
            return None
        content = memoryview(leaf)[1:-1]
        if self._placeholder and bytes(content[: len(self._placeholder)]) == self._placeholder:
            content = self._long_strings[int(content[len(self._placeholder) :])]
        return decode_string(content)


def _begins(leaf: Raw, first: bytes) -> bool:
    return bytes(memoryview(leaf)[:1]) == first
