"""What a dialect collects of a request: its media, its texts, and what cannot be checked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from obscura.dialects.base import ContentLimits, DocumentSlot, ImageSlot, SourceKind, UncheckedPart, VideoSlot
from obscura.dialects.json.raw import RawJson, RawObject
from obscura.errors import UnsupportedOperation


@dataclass(slots=True)
class RequestContent:
    """The media and texts of one request, in request order.

    unchecked     parts that go to no model but one whose catalogue entry passes their type, by the id of their node
    unmoderated   parts that go to the model without a moderation, and which the response names
    """

    body: RawJson
    limits: ContentLimits
    images: list[ImageSlot] = field(default_factory=list)
    videos: list[VideoSlot] = field(default_factory=list)
    documents: list[DocumentSlot] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    unchecked: dict[int, UncheckedPart] = field(default_factory=dict)
    unmoderated: list[UncheckedPart] = field(default_factory=list)

    def add_document(
        self,
        path: str,
        source: memoryview,
        detail: str,
        replace: Callable[[Sequence[bytes], Sequence[str]], None],
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
    def unchecked(self) -> Sequence[UncheckedPart]:
        """The parts that only a model which passes their type may get."""
        return list(self.content.unchecked.values())

    @property
    def unmoderated(self) -> Sequence[UncheckedPart]:
        """The parts that are sent without a moderation."""
        return self.content.unmoderated
