"""Load, prepare and moderate what a request carries, each part as soon as it can be."""

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from obscura.access_record import AccessRecord
from obscura.auth.access import Principal
from obscura.dialects.base import DocumentSlot, ImageSlot, ParsedRequest, VideoSlot
from obscura.errors import ObscuraError, TooManyImages
from obscura.execution import gather_or_raise_first
from obscura.files.stored_images import StoredImages
from obscura.moderation.cache import CachingModerator, CleanVerdicts, TextVerdicts
from obscura.pipeline.load_images import inline_videos, load_image
from obscura.pipeline.moderate import Moderation, require_text_length
from obscura.pipeline.prepare import Preparation, PreparedImagePart
from obscura.pipeline.services import RequestLimits, Services
from obscura.upstreams.base import CatalogModel

if TYPE_CHECKING:
    from obscura.pipeline.load_documents import PreparedDocument


@dataclass(frozen=True, slots=True)
class CheckedContent:
    """The images and documents of a request, prepared and moderated, each in request order."""

    images: Sequence[PreparedImagePart]
    documents: "Sequence[PreparedDocument]"

    @property
    def images_and_pages(self) -> list[PreparedImagePart]:
        """The images and the pages of the documents, in the order in which the request has them."""
        ordered: list[PreparedImagePart] = []
        taken = 0
        for document in self.documents:
            ordered += self.images[taken : document.slot.images_before]
            taken = document.slot.images_before
            ordered += document.images
        return [*ordered, *self.images[taken:]]

    def replace(self, slots: Sequence[ImageSlot]) -> None:
        """Write all of it into the request, each in its place: the very images and texts that were moderated."""
        for slot, image in zip(slots, self.images, strict=True):
            slot.replace(image.data_url)
        for document in self.documents:
            document.replace_slot()


class _Totals:
    """What a request has of images and text when the pages of its documents are counted too."""

    def __init__(self, parsed: ParsedRequest, limits: RequestLimits, *, anonymous: bool) -> None:
        self._images = len(parsed.images)
        self._texts = list(parsed.texts)
        self._limits = limits
        self._anonymous = anonymous

    def add_pages(self, pages: int) -> None:
        """Count the pages of a document; raises TooManyImages."""
        self._images += pages
        if self._images > self._limits.content.images:
            raise TooManyImages(
                f"The request has {self._images} images, each page of a document counted as one; "
                f"{self._limits.content.images} are allowed. Send fewer pages, or split it."
            )

    def add_texts(self, texts: Sequence[str]) -> None:
        """Count the texts of a document's pages; raises RequestTooLarge."""
        self._texts += texts
        require_text_length(self._texts, self._limits.text_chars, anonymous=self._anonymous)


@dataclass(frozen=True, slots=True)
class ContentCheck:
    """The check of one request's content; without ``moderation`` nothing of it is moderated."""

    record: AccessRecord
    principal: Principal
    services: Services
    preparation: Preparation
    moderation: Moderation | None

    @classmethod
    def of(
        cls, record: AccessRecord, principal: Principal, model: CatalogModel, services: Services, *, moderated: bool
    ) -> "ContentCheck":
        """Return the check of a request to ``model``; ``moderated`` if its content is to leave the gateway."""
        cache = None if record.zero_retention else services.image_cache
        preparation = Preparation(model, services.limits.image, services.executor, cache)
        moderation = _moderation(record, principal, services) if moderated else None
        return cls(record, principal, services, preparation, moderation)

    async def run(self, parsed: ParsedRequest) -> CheckedContent:
        """Return the prepared content; the first error ends all that is under way, and is raised.

        Text is moderated from the start, each image once it is prepared, each document once it is rendered: none waits
        for another one. For an unauthenticated caller moderation begins once everything is prepared, so that a broken
        image still releases the request (ADR 24, ADR 69).
        """
        videos = [self._videos(parsed.videos)] if parsed.videos else []
        if self.moderation is None or self.principal.anonymous:
            content = await self._gather(parsed, videos, None)
            if self.moderation is not None:
                self.record.left_gateway = True
                texts = [*parsed.texts, *(text for document in content.documents for text in document.texts)]
                images = self._review(content.images_and_pages, self.moderation)
                await gather_or_raise_first([self._review_texts(texts, self.moderation), images])
            return content
        self.record.left_gateway = True
        return await self._gather(parsed, [self._review_texts(parsed.texts, self.moderation), *videos], self.moderation)

    async def _gather(
        self, parsed: ParsedRequest, others: Sequence[Coroutine[None, None, None]], moderation: Moderation | None
    ) -> CheckedContent:
        """Prepare each image and document beside the other steps, and moderate each if there is a moderation."""
        totals = _Totals(parsed, self.services.limits, anonymous=self.principal.anonymous)
        images: dict[int, PreparedImagePart] = {}
        documents: dict[int, PreparedDocument] = {}

        async def image(number: int, slot: ImageSlot) -> None:
            images[number] = await self._image(slot, moderation)

        async def document(number: int, slot: DocumentSlot) -> None:
            documents[number] = await self._document(slot, totals, moderation)

        await gather_or_raise_first(
            [
                *others,
                *(image(number, slot) for number, slot in enumerate(parsed.images)),
                *(document(number, slot) for number, slot in enumerate(parsed.documents)),
            ]
        )
        return CheckedContent(
            [images[number] for number in range(len(images))], [documents[number] for number in range(len(documents))]
        )

    async def _image(self, slot: ImageSlot, moderation: Moderation | None) -> PreparedImagePart:
        stored = StoredImages(self.principal, self.services.file_service)
        with self.record.timed_step("load"):
            source = await load_image(slot, self.services.images, stored)
        with self.record.timed_step("prepare"):
            image = await self.preparation.prepare(slot, source)
        if moderation is not None:
            await self._review([image], moderation)
        return image

    async def _document(self, slot: DocumentSlot, totals: _Totals, moderation: Moderation | None) -> "PreparedDocument":
        from obscura.pipeline.load_documents import document_sources, prepare_document

        sources = document_sources(self.principal, self.services)
        with self.record.timed_step("prepare"):
            document = await prepare_document(slot, totals.add_pages, self.preparation.model, sources)
        try:
            totals.add_texts(document.texts)
        except ObscuraError as error:
            raise error.at(slot.path) from None
        if moderation is not None:
            await gather_or_raise_first(
                [self._review_texts(document.texts, moderation), self._review(document.images, moderation)]
            )
        return document

    async def _review(self, images: Sequence[PreparedImagePart], moderation: Moderation) -> None:
        with self.record.timed_step("moderate"):
            await gather_or_raise_first([moderation.review_image(image) for image in images])

    async def _review_texts(self, texts: Sequence[str], moderation: Moderation) -> None:
        with self.record.timed_step("moderate"):
            await moderation.review_texts(texts)

    async def _videos(self, slots: Sequence[VideoSlot]) -> None:
        with self.record.timed_step("load"):
            await inline_videos(slots, self.services.videos, self.services.executor)


def _moderation(record: AccessRecord, principal: Principal, services: Services) -> Moderation | None:
    """Return the moderation of one request; zero-retention requests neither use nor make cached verdicts.

    Texts of unauthenticated callers are not cached, since they share one project and do not know each other (ADR 68).
    """
    moderator = services.moderator
    if moderator is None:
        return None
    texts: TextVerdicts | None = None
    if services.verdicts is not None and not record.zero_retention:
        clean = CleanVerdicts(services.verdicts, record, services.clock)
        if not moderator.local and not principal.anonymous:
            texts = TextVerdicts(clean, moderator.identity, principal.project)
        moderator = CachingModerator(moderator, clean)
    return Moderation(moderator, texts)
