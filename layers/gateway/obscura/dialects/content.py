"""What a dialect collects of a request: its media, its texts, and what cannot be checked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import msgspec
from msgspec import Raw

from obscura.dialects.base import ContentLimits, DocumentSlot, ImageSlot, SourceKind, UncheckedPart, VideoSlot
from obscura.dialects.chat_options import ChatOptions
from obscura.dialects.json.prescan import too_many_items
from obscura.dialects.json.raw import FALSE, Node, RawJson, RawObject, is_array, open_array, open_object
from obscura.errors import RequestTooLarge, UnsupportedOperation


def text_too_long(chars: int, limits: ContentLimits) -> RequestTooLarge:
    """Return the error for a request with ``chars`` characters of text, over its limit."""
    way_out = f"the limit is {limits.text_chars:,}. Shorten it, or send it in several requests."
    if limits.text_chars < limits.key_text_chars:
        way_out = (
            f"the free tier takes {limits.text_chars:,}. Shorten it, or send an API key: with one, "
            f"{limits.key_text_chars:,} are taken."
        )
    return RequestTooLarge(f"The request has {chars:,} characters of text; {way_out}")


class Texts(list[str]):
    """Texts up to the limit of a request: the one that exceeds it raises RequestTooLarge, so that no more is read."""

    def __init__(self, limits: ContentLimits) -> None:
        super().__init__()
        self._limits = limits
        self._chars = 0

    def append(self, text: str) -> None:
        """Add a text."""
        self._chars += len(text)
        if self._chars > self._limits.text_chars:
            raise text_too_long(self._chars, self._limits)
        super().append(text)


type NodePath = tuple[str | int, ...]
"""The keys that lead from the root of a body to a node."""

CACHE_IDS = ("uuid",)
"""The keys of a content part under which vLLM caches its medium instead of under the medium's own hash."""


@dataclass(slots=True)
class RequestContent:
    """The media and texts of one request, in request order.

    unchecked     parts that go to no model but one whose catalogue entry passes their type, by the id of their node
    unmoderated   parts that go to the model without a moderation, and which the response names
    account_state  JSON paths of ids of what the upstream's account holds (``rules.marks``)
    stored_items  JSON paths of ids of items that have no content of their own; only a native upstream knows them
    kept_upstream  JSON paths of fields by which the upstream keeps something of the request
    cache_hints   the places of fields that name or make entries of the upstream's cache
    unruled_texts  how many of the first texts were found before the review, by no rule: names and titles of files
    kept_nowhere  whether it is a zero-retention request, to which nothing is added by which it could be known again
    unstored      whether ``"store": false`` is written into the request, if its dialect has the field
    """

    body: RawJson
    limits: ContentLimits
    images: list[ImageSlot] = field(default_factory=list)
    videos: list[VideoSlot] = field(default_factory=list)
    documents: list[DocumentSlot] = field(default_factory=list)
    texts: Texts = field(init=False)
    unchecked: dict[int, UncheckedPart] = field(default_factory=dict)
    unmoderated: list[UncheckedPart] = field(default_factory=list)
    parts: int = 0

    def __post_init__(self) -> None:
        self.texts = Texts(self.limits)

    def count_items(self, items: int) -> None:
        """Count parts, wherever they stand; raises TooManyItems."""
        self.parts += items
        if self.parts > self.limits.items:
            raise too_many_items(self.limits.items)

    account_state: list[str] = field(default_factory=list)
    stored_items: list[str] = field(default_factory=list)
    kept_upstream: list[str] = field(default_factory=list)
    cache_hints: list[NodePath] = field(default_factory=list)
    unruled_texts: int = 0
    unstored: bool = False
    kept_nowhere: bool = False

    def add_document(
        self,
        path: str,
        source: memoryview,
        detail: str,
        replace: Callable[[Sequence[bytes | str], Sequence[str]], None],
        kind: SourceKind,
    ) -> None:
        """Add a document that stands behind all images so far."""
        self.documents.append(DocumentSlot(path, source, detail, replace, kind, len(self.images)))

    def add_unchecked(self, node: RawObject, part: UncheckedPart) -> None:
        """Record a part that cannot be checked; ``node`` is the part as it stands in the tree."""
        self.unchecked[id(node)] = part

    def add_unmoderated(self, kind: str, path: str) -> None:
        """Record an audio or video part, which no moderation here can judge."""
        error = UnsupportedOperation(
            f"'{path}' is audio or video, which cannot be moderated; this deployment, or access without a key, takes "
            "only what is. Send its text, or images of it.",
            param=path,
        )
        self.unmoderated.append(UncheckedPart(kind, path, error))

    def add_loaded_by_provider(self, kind: str, path: str) -> None:
        """Record a tool or a server by which the provider loads something itself: it does not pass by here."""
        error = UnsupportedOperation(
            f"'{path}' brings in what the provider loads by itself, which cannot be moderated; this deployment, or "
            "access without a key, takes only what is. Load it yourself, and send it as text and images.",
            param=path,
        )
        self.unmoderated.append(UncheckedPart(kind, path, error))


class ContentRequest:
    """The part of a ParsedRequest that every dialect shares: it shows what its ``content`` holds."""

    content: RequestContent
    rule: ClassVar[Any]
    """The rule of the dialect's requests."""

    def rewrite_texts(self, rewrite: Callable[[str], str]) -> None:
        """Rewrite every text, string by string, in the request and in ``texts``."""
        from obscura.dialects.rewriting import rewrite_texts

        rewrite_texts(self.content, type(self).rule, rewrite)

    def leave_out_images(self, count: int) -> int:
        """Replace the first ``count`` images by a text that says so; return how many there were that could be."""
        from obscura.dialects.left_out import leave_out_images

        return leave_out_images(self.content, count)

    @property
    def images(self) -> Sequence[ImageSlot]:
        """Every image, in request order."""
        return self.content.images

    @property
    def videos(self) -> Sequence[VideoSlot]:
        """Every video, in request order; empty in a dialect without videos."""
        return self.content.videos

    @property
    def documents(self) -> Sequence[DocumentSlot]:
        """Every PDF, in request order, and every file that may be one."""
        return self.content.documents

    @property
    def texts(self) -> Sequence[str]:
        """Every text that the caller wrote and the model may read."""
        return self.content.texts

    @property
    def max_output_tokens(self) -> int | None:
        """The most tokens that the answer may have, of all its choices together."""
        root = self.content.body.root
        limits = [count for name in _OUTPUT_LIMITS if (count := _positive_int(root.get(name))) is not None]
        return max(limits) * (_positive_int(root.get("n")) or 1) if limits else None

    @property
    def unchecked(self) -> Sequence[UncheckedPart]:
        """The parts that only a model which passes their type may get."""
        return list(self.content.unchecked.values())

    @property
    def unmoderated(self) -> Sequence[UncheckedPart]:
        """The parts that are sent without a moderation."""
        return self.content.unmoderated

    @property
    def kept_upstream(self) -> Sequence[str]:
        """The JSON paths of fields by which the upstream would keep something of the request."""
        return self.content.kept_upstream

    def account_state(self, *, native: bool) -> Sequence[str]:
        """Return the JSON paths of ids of what the upstream's account holds; see ``ParsedRequest``."""
        files = [part.account_id for part in self.content.unchecked.values() if part.account_id is not None]
        return [*self.content.account_state, *self.content.stored_items, *files] if native else files

    def is_bound(self, *, native: bool) -> bool:
        """Whether it names what only one upstream knows; see ``ParsedRequest``."""
        return bool(self.account_state(native=native))

    def rename_model(self, model: str) -> None:
        """Have the upstream be asked for a model by this id; another leaf is written, and nothing else."""
        self.content.body.root["model"] = Raw(msgspec.json.encode(model))

    def keep_nothing_upstream(self, *, store_field: bool) -> None:
        """Take the cache hints off, and have ``"store": false`` written if the upstream takes the field."""
        content = self.content
        for path in content.cache_hints:
            _remove(content.body.root, path)
        content.cache_hints.clear()
        content.body.root.pop("store", None)
        content.unstored = store_field
        content.kept_nowhere = True

    def stored_field(self) -> RawObject:
        """Return what is written into a request of a dialect that has the field ``store``: that, or nothing."""
        return {"store": FALSE} if self.content.unstored else {}

    def render_chat(self, tree: RawObject, options: ChatOptions) -> bytes:
        """Render a chat request to the model of ``options``, with ``store`` and ids of images if they are due."""
        tree |= self.stored_field()
        if options.image_uuids and (self.content.images or self.content.documents) and not self.content.kept_nowhere:
            from obscura.dialects.chat.image_uuids import with_image_uuids

            tree = with_image_uuids(tree)
        return self.content.body.render(tree)


_OUTPUT_LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
_MAX_DIGITS = 12


def _positive_int(node: Node | None) -> int | None:
    if not isinstance(node, Raw):
        return None
    text = bytes(node)
    return int(text) or None if text.isdigit() and len(text) <= _MAX_DIGITS else None


def drop_cache_ids(part: RawObject) -> None:
    """Take a caller's own cache key off a part: one caller could be answered on another's image (``CACHE_IDS``)."""
    for key in CACHE_IDS:
        part.pop(key, None)


def _remove(root: RawObject, path: NodePath) -> None:
    """Take a field out of the tree; the leaves on the way to it are opened in their places."""
    *holders, last = path
    node: Node = root
    for key in holders:
        node = _opened_child(node, key)
    if isinstance(node, dict) and isinstance(last, str):
        node.pop(last, None)


def _opened_child(node: Node, key: str | int) -> Node:
    child: Node
    if isinstance(node, dict) and isinstance(key, str):
        child = node[key] = _opened(node[key])
        return child
    if isinstance(node, list) and isinstance(key, int):
        child = node[key] = _opened(node[key])
        return child
    raise TypeError("a path of the review does not fit its tree")


def _opened(node: Node) -> Node:
    if isinstance(node, (dict, list)):
        return node
    return list(open_array(node, "")) if is_array(node) else open_object(node, "")
