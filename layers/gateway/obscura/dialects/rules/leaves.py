"""The rules of single values: text, identifiers, opaque values, and what no rule knows.

A dialect describes its requests by nested rules. ``review`` walks the tree of a request by them after the media were
collected: every string is then text to be moderated, an identifier, a provider's own opaque value, or it is refused.
What no rule names falls under ``unknown``, which lets nothing pass that is media or leads to it, and has the rest
moderated. So a field that is not known here can be sent, and can carry nothing unseen.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from msgspec import Raw

from obscura.dialects.content import RequestContent
from obscura.dialects.json.raw import (
    MAX_NAME_CHARS,
    Node,
    is_array,
    is_null,
    is_object,
    is_string,
    open_array,
    open_object,
)
from obscura.dialects.media import (
    MAX_RUN_CHARS,
    MediaKind,
    base64_kind,
    base64_kinds,
    holds_data_url,
    holds_media,
    holds_numbered_media,
    is_opaque,
    leads_to_media,
    token_holds_media,
)
from obscura.errors import UnsupportedOperation

MAX_IDENTIFIER_CHARS = 64
MAX_SECRET_CHARS = 8192
MAX_UNKNOWN_CHARS = 131_072
"""How many characters of fields that no rule knows are looked through in a request: about 50 ms of CPU at most."""
_MAX_UNKNOWN_BYTES = 1 << 20
"""How many bytes of JSON one such field may have: six for each character, if all are escaped, and its numbers."""
_MAX_LOCATED_BYTES = 1 << 16
"""In a larger field what is to blame is not searched for."""
_CHARS_PER_STRING = 100
"""What a string costs at least, as the characters of one that costs as much."""

_TOKEN = r"[A-Za-z0-9_.:@+\-]+(?:/[A-Za-z0-9_.:@+\-]+)*+"
_IDENTIFIER = re.compile(
    rf'"(?:(?=[^"]{{1,{MAX_IDENTIFIER_CHARS}}}"){_TOKEN})?"|null|true|false|-?[0-9.eE+\-]+'.encode()
)
_TOKEN_TEXT = re.compile(rf"(?=.{{0,{MAX_IDENTIFIER_CHARS}}}\Z)(?:{_TOKEN})?")
_BASE64 = re.compile(r"(?:data:(?:audio|video)/[\w.+\-]+(?:;[\w.+\-=]+)*,)?[A-Za-z0-9+/_\-]{4,}=*", re.IGNORECASE)
_OPAQUE_VALUE = re.compile(r"[A-Za-z0-9+/_=.:|\-]*")
_MAX_IDENTIFIERS_BYTES = 4096
"""A longer list is ``unknown``."""
_MAX_START_CHARS = 1024
_MIN_MEDIA_CHARS = 24
_CREDENTIAL = re.compile(r"(?:[A-Za-z][\w\-]* )?\S*(?:(?<=[;,]) \S+)*")
_USER_IN_URL = re.compile(r"(?<=//)[^/?#\s]*@")
_SCALARS = frozenset(b"ntf-0123456789")


@dataclass(slots=True)
class Review:
    """The walk over one request: what it collects, and the path to where it stands."""

    content: RequestContent
    folded_names: frozenset[str] = frozenset()
    """The names of all fields that the dialect knows, as readers that ignore letter case compare them."""
    path: list[str | int] = field(default_factory=list)
    unknown_chars: int = 0

    @property
    def param(self) -> str:
        """The JSON path to where the walk stands."""
        path = ""
        for key in self.path:
            path += f"[{key}]" if isinstance(key, int) else f".{key[:MAX_NAME_CHARS]}"
        return path.removeprefix(".")

    def count_unknown(self, chars: int) -> None:
        """Count a key or a string that no rule knows; raises UnsupportedOperation if a request has too much of them."""
        self.unknown_chars += chars + _CHARS_PER_STRING
        if self.unknown_chars > MAX_UNKNOWN_CHARS:
            raise self.refuse(f"and other fields that are not known here have over {MAX_UNKNOWN_CHARS:,} characters")

    def refuse(self, what: str) -> UnsupportedOperation:
        """Return the error for a string that may not go on from here."""
        return UnsupportedOperation(
            f"'{self.param}' {what}, which cannot be checked there. Send images as image parts of a message, documents "
            "as file parts, and text as text; or have the operator pass the type (pass_types in the catalog).",
            param=self.param,
        )


type Rule = Callable[[Node, Review], None]


def text(node: Node, review: Review) -> None:
    """A string that is text, whatever is in it: moderated, never refused. Any other value is ``unknown``."""
    if is_string(node):
        review.content.texts.append(review.content.body.text(node))
    else:
        unknown(node, review)


def data(node: Node, review: Review) -> None:
    """A value of any form whose strings all are text, such as the arguments of a tool: moderated, never refused."""
    if _has_strings(node):
        review.content.texts.append("\n".join(review.content.body.strings(node)))


def number(node: Node, review: Review) -> None:
    """A number, a boolean or null. Anything else is ``unknown``."""
    if _has_strings(node):
        unknown(node, review)


def schema(node: Node, review: Review) -> None:
    """A JSON Schema, or another text of a program: as ``text``, but a data URL of media is refused."""
    if not _has_strings(node):
        return
    joined = "\n".join(review.content.body.strings(node))
    review.content.texts.append(joined)
    if holds_data_url(joined):
        raise review.refuse("has a data URL")


def links(node: Node, review: Review) -> None:
    """Strings that are text or the URLs of web pages, which no model loads; media itself is refused."""
    _moderate_without_media(node, review, urls_allowed=True)


def unknown(node: Node, review: Review) -> None:
    """What no rule knows: refused if any of it may be media or lead to it, and moderated as text otherwise."""
    _moderate_without_media(node, review, urls_allowed=False)


def identifier(node: Node, review: Review) -> None:
    """A number, a short word of a machine's (an id, a role, an enumeration), or some of them. Else ``unknown``."""
    if not (_is_identifier(node) or (is_array(node) and _are_tokens(node, review))):
        unknown(node, review)


def label(node: Node, review: Review) -> None:
    """An identifier, or text of a program that no model reads: as ``links``."""
    if not _is_identifier(node):
        links(node, review)


def _is_identifier(node: Node) -> bool:
    if isinstance(node, (dict, list)) or not _IDENTIFIER.fullmatch(node):
        return False
    return memoryview(node).nbytes <= _MIN_MEDIA_CHARS or not token_holds_media(bytes(node)[1:-1].decode())


def _are_tokens(node: Raw, review: Review) -> bool:
    if memoryview(node).nbytes > _MAX_IDENTIFIERS_BYTES or holds_numbered_media(bytes(node)):
        return False
    return all(map(_is_token, review.content.body.strings(node)))


def _is_token(string: str) -> bool:
    return _TOKEN_TEXT.fullmatch(string) is not None and not token_holds_media(string)


def opaque(node: Node, review: Review) -> None:
    """A value that a provider made and reads back itself; refused if its first bytes are media."""
    if not is_string(node):
        unknown(node, review)
        return
    value = review.content.body.text(node)
    if not _OPAQUE_VALUE.fullmatch(value):
        unknown(node, review)
    elif holds_media(value[:_MAX_START_CHARS]) or leads_to_media(value[:_MAX_START_CHARS]):
        raise review.refuse("is media")


def recording(node: Node, review: Review) -> None:
    """The base64 of an audio recording or a video, which the response names as not moderated; no other file."""
    value = review.content.body.text(node) if is_string(node) else ""
    if not _BASE64.fullmatch(value) or not base64_kinds(value) <= {MediaKind.RECORDING}:
        raise review.refuse("is not the base64 of a recording")


def credential(node: Node, review: Review) -> None:
    """A secret for the provider's own calls, which no model reads and no other service may see.

    In one of HTTP's forms (RFC 9110 §11.4, RFC 6265 §4.2.1): one word, maybe a scheme before it, or a list. A URL is a
    ``server_address``, and anything else ``unknown``.
    """
    value = review.content.body.text(node) if is_string(node) else ""
    if leads_to_media(value):
        server_address(node, review)
    elif value and _CREDENTIAL.fullmatch(value):
        _require_secret(value, review)
    else:
        unknown(node, review)


def server_address(node: Node, review: Review) -> None:
    """The URL of a server that the provider calls: no media, and moderated without its query and its user's name."""
    value = review.content.body.text(node) if is_string(node) else ""
    if not value or any(map(str.isspace, value)):
        unknown(node, review)
        return
    _require_secret(value, review)
    review.content.texts.append(_USER_IN_URL.sub("", value.partition("?")[0]))


def _require_secret(value: str, review: Review) -> None:
    if len(value) > MAX_SECRET_CHARS or holds_data_url(value) or holds_media(value):
        raise review.refuse("is media or too long")


def unchecked(node: Node, review: Review) -> None:
    """What only the operator can let pass: its texts are moderated, the base64 of its files and other media are not."""
    if _has_strings(node):
        strings = review.content.body.strings(node)
        texts = (string for string in strings if base64_kind(string) is None and not is_opaque(string))
        review.content.texts.append("\n".join(texts))


def replaced(node: Node, review: Review) -> None:
    """Where a medium was taken out of the tree, to be put back when it is checked: nothing else may stand here."""
    if not is_null(node):
        raise review.refuse("is a second source of one part, or none that is known here")


def _has_strings(node: Node) -> bool:
    return isinstance(node, (dict, list)) or memoryview(node)[0] not in _SCALARS


def is_identifier_key(key: str | int) -> bool:
    """Whether a key is a short word of a machine's, as all known ones are, and so no text; or an index."""
    return isinstance(key, int) or (
        key.isascii() and len(key) <= MAX_IDENTIFIER_CHARS and key.replace("_", "").isalnum()
    )


def review_key(key: str, review: Review) -> None:
    """A key of the caller's own may be read by the model too, and can be as long as an image."""
    if not is_identifier_key(key):
        _require_no_media(key, review, urls_allowed=False)
        review.content.texts.append(key)


def _moderate_without_media(node: Node, review: Review, *, urls_allowed: bool) -> None:
    if not _has_strings(node):
        return
    written = node if isinstance(node, Raw) else Raw(review.content.body.render(node))
    size_bytes = memoryview(written).nbytes
    if size_bytes > _MAX_UNKNOWN_BYTES:
        raise review.refuse(f"has over {_MAX_UNKNOWN_BYTES:,} bytes")
    strings = review.content.body.strings(written)
    try:
        _require_no_media_in(strings, written, review, urls_allowed=urls_allowed)
    except UnsupportedOperation:
        if size_bytes <= _MAX_LOCATED_BYTES:
            _refuse_inside(written, review, urls_allowed=urls_allowed)
        raise
    if strings:
        review.content.texts.append("\n".join(strings))


def _require_no_media_in(strings: Sequence[str], node: Raw, review: Review, *, urls_allowed: bool) -> None:
    for string in strings:
        review.count_unknown(len(string))
        _require_no_media(string, review, urls_allowed=urls_allowed)
    if not is_string(node) and holds_numbered_media(bytes(node)):
        raise review.refuse(f"has a list of numbers that is media or over {MAX_RUN_CHARS:,} characters long")


def _refuse_inside(node: Raw, review: Review, *, urls_allowed: bool) -> None:
    """Raise the error of a value again, with the path of what in it is to blame; return if that is a key."""
    children: Iterable[tuple[str | int, Node]] = ()
    if is_object(node):
        children = open_object(node, review.param).items()
    elif is_array(node):
        children = enumerate(open_array(node, review.param))
    for key, child in children:
        review.path.append(key)
        _moderate_without_media(child, review, urls_allowed=urls_allowed)
        review.path.pop()


def _require_no_media(string: str, review: Review, *, urls_allowed: bool) -> None:
    if holds_data_url(string) or (not urls_allowed and leads_to_media(string)):
        raise review.refuse("has a URL")
    if holds_media(string):
        raise review.refuse("is media in an encoded form")
    if is_opaque(string):
        raise review.refuse(f"has over {MAX_RUN_CHARS:,} characters without white space that are no text")
