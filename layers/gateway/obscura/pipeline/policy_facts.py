"""What a policy decides on: the facts of a request's images and texts, beside who sends it."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pybase64

from obscura.dialects.base import ImageSlot, RequestContent, SourceKind
from obscura.dialects.data_url import decode_base64, is_data_url
from obscura.dialects.json.prescan import decode_string
from obscura.execution import Caller, ImageExecutor
from obscura.fetch.base import FetchAllowance
from obscura.files.stored_images import StoredOriginal
from obscura.imaging.file_facts import FileFacts, file_facts
from obscura.pipeline.check_content import CheckedContent
from obscura.pipeline.prepare import InspectedImage, PreparedImagePart, WalkedImage
from obscura.policy.document import PolicyDocument
from obscura.policy.facts import ImageFacts

type Source = Literal["data_url", "url", "file_id", "document"]


def asks_for_hashes(documents: Iterable[PolicyDocument]) -> bool:
    """Whether a rule of the documents compares hashes of images."""
    return any(one.images.blocked_hashes or one.images.allowed_hashes is not None for one in documents)


def asks_for_file_facts(documents: Iterable[PolicyDocument]) -> bool:
    """Whether a rule of the documents asks what only the bytes of an image say."""
    images = [document.images for document in documents]
    return any(one.refuse_animated or one.refuse_alpha or one.refuse_metadata for one in images)


@dataclass(frozen=True, slots=True)
class _SentImage:
    """What the bytes of an image say; without them, nothing is known."""

    facts: FileFacts = field(default_factory=FileFacts)
    sha256: str | None = None


@dataclass(slots=True)
class ImageFactsCollector:
    """Collects the facts of a request's images: of their bytes before these are dropped, the rest once it is prepared.

    ``hashed`` and ``read`` say whether a rule asks for hashes, and for what the bytes say.
    """

    executor: ImageExecutor
    caller: Caller
    max_bytes: int
    allowance: FetchAllowance
    hashed: bool
    read: bool
    _sent: dict[str, _SentImage] = field(default_factory=dict)

    async def on_loaded(self, images: Sequence[tuple[str, InspectedImage]]) -> None:
        """Note what the bytes of the images say, in the executor."""
        if images and (self.hashed or self.read):
            self._sent = await self.executor.run_light(
                lambda: {path: self._sent_image(image) for path, image in images}, self.caller
            )

    def _sent_image(self, image: InspectedImage) -> _SentImage:
        if not isinstance(image, WalkedImage):
            return _SentImage()
        source = image.source
        if isinstance(source, StoredOriginal):
            data = source.data
        else:
            data = decode_base64(source, self.max_bytes) if isinstance(source, memoryview) else source
        return _SentImage(
            file_facts(data, image.header.source_format) if self.read else FileFacts(),
            hashlib.sha256(data).hexdigest() if self.hashed else None,
        )

    def facts(self, parsed: RequestContent, content: CheckedContent) -> tuple[ImageFacts, ...]:
        """Return the facts of every image and every page of a document, in the order of the request."""
        slots = {slot.path: slot for slot in parsed.images}
        return tuple(self._image_facts(image, slots.get(image.path)) for image in content.images_and_pages)

    def _image_facts(self, image: PreparedImagePart, slot: ImageSlot | None) -> ImageFacts:
        source, hosts = self._origin(slot)
        record, sent = image.record, self._sent.get(image.path, _SentImage())
        width_px, _, height_px = record.pixels_before.partition("x")
        return ImageFacts(
            path=image.path,
            source=source,
            hosts=hosts,
            format=record.format.lower(),
            raw_bytes=record.bytes_before,
            width_px=int(width_px),
            height_px=int(height_px),
            tokens=image.tokens,
            animated=sent.facts.animated,
            alpha=sent.facts.alpha,
            metadata=sent.facts.metadata,
            sha256=sent.sha256,
            prepared_sha256=_prepared_sha256(image.data_url) if self.hashed else None,
        )

    def _origin(self, slot: ImageSlot | None) -> tuple[Source, tuple[str, ...]]:
        if slot is None:
            return "document", ()
        if slot.kind is SourceKind.FILE_ID:
            return "file_id", ()
        if slot.kind is SourceKind.BASE64 or is_data_url(slot.source):
            return "data_url", ()
        return "url", tuple(self.allowance.hosts.get(decode_string(slot.source), ()))


def _prepared_sha256(data_url: bytes) -> str:
    _, _, encoded = data_url.partition(b",")
    return hashlib.sha256(pybase64.b64decode(encoded)).hexdigest()
