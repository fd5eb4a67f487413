"""What a policy decides on: the facts of a request's images and texts, beside who sends it."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

import pybase64

from obscura.dialects.base import ImageSlot, RequestContent, SourceKind
from obscura.dialects.data_url import is_data_url
from obscura.dialects.json.prescan import decode_string
from obscura.execution import Caller, ImageExecutor, gather_or_raise_first
from obscura.fetch.base import FetchAllowance
from obscura.fetch.errors import HostRefused
from obscura.pipeline.check_content import CheckedContent, ContentCheck
from obscura.pipeline.prepare import PreparedImagePart
from obscura.pipeline.sent_images import SentImages, hashing
from obscura.policy.document import PolicyDocument
from obscura.policy.engine import CompiledPolicy
from obscura.policy.facts import ImageFacts
from obscura.policy.image_hashes import asks_for_hashes, asks_for_pdq

type Source = Literal["data_url", "url", "file_id", "document"]


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a prepared image is compared by; without it, nothing is known."""

    sha256: str | None = None
    pdq: str | None = None
    pdq_quality: int = 0
    codes: tuple[str, ...] | None = None


@dataclass(slots=True)
class ImageFactsCollector:
    """Collects the facts of a request's images: of their bytes before these are dropped, the rest once it is prepared.

    Only what a rule of the documents asks for is determined.
    """

    executor: ImageExecutor
    caller: Caller
    sent: SentImages
    allowance: FetchAllowance
    hashed: bool
    pdq: bool
    coded: bool
    _seen: dict[str, _Seen] = field(default_factory=dict)

    @classmethod
    def of(cls, check: ContentCheck, documents: Iterable[PolicyDocument]) -> "ImageFactsCollector":
        """Return the collector of a request, for the rules of the documents that may be applied to it."""
        rules = [document.images for document in documents]
        executor, caller = check.preparation.executor, check.preparation.caller
        read = any(one.refuse_animated or one.refuse_alpha or one.refuse_metadata for one in rules)
        return cls(
            executor,
            caller,
            SentImages(executor, caller, check.services.limits.image.raw_bytes, read=read),
            check.allowance,
            hashed=any(map(asks_for_hashes, rules)),
            pdq=any(map(asks_for_pdq, rules)),
            coded=any(one.qr != "ignore" for one in rules),
        )

    def collecting(self, check: ContentCheck, policy: CompiledPolicy) -> ContentCheck:
        """Return the check that prepares what the facts are of; moderation sees later what the rules leave of it."""
        check.allowance.refuses_host = policy.refuses_host
        return replace(hashing(check) if self.hashed else check, moderation=None, on_loaded=self.sent.on_loaded)

    async def on_prepared(self, content: CheckedContent) -> None:
        """Hash the prepared images, and read the codes in them: an image a job in the executor."""
        if not (self.hashed or self.coded):
            return

        async def see(image: PreparedImagePart) -> None:
            self._seen[image.path] = await self.executor.run(lambda: self._seen_in(image), self.caller)

        await gather_or_raise_first([see(image) for image in content.images_and_pages])

    def _seen_in(self, image: PreparedImagePart) -> _Seen:
        _, _, encoded = image.data_url.partition(b",")
        data = pybase64.b64decode(encoded)
        codes = None
        if self.coded:
            from obscura.imaging.codes import read_codes

            codes = read_codes(data)
        if not self.hashed:
            return _Seen(codes=codes)
        sha256 = hashlib.sha256(data).hexdigest()
        if not self.pdq:
            return _Seen(sha256, codes=codes)
        from obscura.imaging.pdq import pdq_hash

        pdq = pdq_hash(data)
        return _Seen(sha256, str(pdq), pdq.quality, codes)

    def facts(self, parsed: RequestContent, content: CheckedContent) -> tuple[ImageFacts, ...]:
        """Return the facts of every image and every page of a document, in the order of the request."""
        slots = {slot.path: slot for slot in parsed.images}
        return tuple(self._image_facts(image, slots.get(image.path)) for image in content.images_and_pages)

    def _image_facts(self, image: PreparedImagePart, slot: ImageSlot | None) -> ImageFacts:
        source, hosts = self._origin(slot)
        record, sent, seen = image.record, self.sent.at(image.path), self._seen.get(image.path, _Seen())
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
            animated=sent.animated,
            alpha=sent.alpha,
            metadata=sent.metadata,
            sha256=image.source_sha256 or None if self.hashed else None,
            prepared_sha256=seen.sha256,
            pdq=seen.pdq,
            pdq_quality=seen.pdq_quality,
            codes=seen.codes,
        )

    def _origin(self, slot: ImageSlot | None) -> tuple[Source, tuple[str, ...]]:
        if slot is None:
            return "document", ()
        if slot.kind is SourceKind.FILE_ID:
            return "file_id", ()
        if slot.kind is SourceKind.BASE64 or is_data_url(slot.source):
            return "data_url", ()
        return "url", tuple(self.allowance.hosts.get(decode_string(slot.source), ()))


def refused_image(refused: HostRefused, parsed: RequestContent) -> ImageFacts:
    """Return the facts of what was not fetched: where it stands, and the hosts up to the one that is refused."""
    places = [(slot.source, slot.path) for slot in parsed.images]
    places += [(slot.source, slot.path) for slot in parsed.documents]
    places += [(slot.source, slot.path) for slot in parsed.videos]
    path = next((path for source, path in places if decode_string(source) == refused.url), "")
    return ImageFacts(path=path, source="url", hosts=tuple(refused.hosts))
