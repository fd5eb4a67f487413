"""Load, prepare and moderate what a request carries, each part as soon as it can be."""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from obscura.access_record import AccessRecord
from obscura.auth.access import Principal
from obscura.dialects.base import DocumentSlot, ImageSlot, RequestContent, VideoSlot
from obscura.errors import ObscuraError
from obscura.execution import gather_or_raise_first
from obscura.fetch.base import FetchAllowance
from obscura.files.stored_images import StoredImages
from obscura.pipeline.load_images import VideoSources, inline_image, inline_videos, load_image, require_few_urls
from obscura.pipeline.moderate import Moderation, moderation_of
from obscura.pipeline.prepare import (
    ImageToInspect,
    InspectedImage,
    Preparation,
    PreparedImagePart,
    TokenCounting,
    require_pixels,
)
from obscura.pipeline.services import MAX_FETCHED_URLS, MAX_REDIRECTS, Services
from obscura.pipeline.totals import Totals

if TYPE_CHECKING:
    from obscura.pipeline.known_images import KnownImages
    from obscura.pipeline.load_documents import DocumentSources, LoadedDocument, PreparedDocument


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

    def texts_of(self, parsed: RequestContent) -> tuple[str, ...]:
        """Return every text of the request and of the documents in it."""
        return (*parsed.texts, *(text for document in self.documents for text in document.texts))

    def replace(self, slots: Sequence[ImageSlot]) -> None:
        """Write all of it into the request, each in its place: the very images and texts that were moderated."""
        for slot, image in zip(slots, self.images, strict=True):
            slot.replace(image.written)
        for document in self.documents:
            document.replace_slot()


@dataclass(frozen=True, slots=True)
class _LoadedContent:
    """The images and documents of a request by their numbers, loaded and inspected; nothing of them is decoded."""

    images: dict[int, InspectedImage]
    documents: "dict[int, LoadedDocument]"

    def all_images(self, slots: Sequence[ImageSlot]) -> list[tuple[str, InspectedImage]]:
        """Return each image with its JSON path: those of the slots, then the documents that are images."""
        found = [(slot.path, self.images[number]) for number, slot in enumerate(slots)]
        documents = (self.documents[number] for number in range(len(self.documents)))
        return found + [(each.slot.path, each.image) for each in documents if each.image is not None]


@dataclass(frozen=True, slots=True)
class ContentCheck:
    """The check of one request's content; without ``moderation`` nothing of it is moderated.

    Images that are not to be ``decoded`` are only counted, by their headers.
    """

    record: AccessRecord
    principal: Principal
    services: Services
    preparation: Preparation
    moderation: Moderation | None
    known: "KnownImages | None"
    allowance: FetchAllowance
    decoded: bool = True
    on_loaded: Callable[[Sequence[tuple[str, InspectedImage]]], Awaitable[None]] | None = None
    """Called with each image and its JSON path, as it was sent, before it is decoded."""

    @classmethod
    def of(  # noqa: PLR0913 - what a request is checked by, and for what
        cls,
        record: AccessRecord,
        principal: Principal,
        model: TokenCounting,
        services: Services,
        *,
        moderated: bool,
        decoded: bool = True,
    ) -> "ContentCheck":
        """Return the check of a request to ``model``; ``moderated`` if its content is to leave the gateway."""
        limits = services.limits
        cache = None if record.zero_retention else services.image_cache
        caller, lists = principal.caller, services.blocked_hashes
        preparation = Preparation(model, limits.image, services.executor, caller, cache, hash_sources=lists is not None)
        known = None
        if lists is not None and moderated:
            from obscura.pipeline.known_images import KnownImages

            known = KnownImages(lists, services.executor, caller, record)
        moderation = moderation_of(record, principal, services) if moderated else None
        allowance = FetchAllowance(limits.fetched_bytes, MAX_REDIRECTS)
        return cls(record, principal, services, preparation, moderation, known, allowance, decoded)

    async def run(self, parsed: RequestContent) -> CheckedContent:
        """Return the prepared content; the first error ends all that is under way, and is raised.

        Every image is loaded and its header walked before the first is decoded or rendered, so that a request that is
        refused by what a header says costs no decode (ADR 74). Text is moderated from the start, each image once it is
        prepared, each document once it is rendered. For an unauthenticated caller moderation begins once everything is
        prepared, so that a broken image still releases the request (ADR 24, ADR 69).
        """
        require_few_urls(parsed, MAX_FETCHED_URLS)
        videos = [self._videos(parsed.videos)] if parsed.videos else []
        if self.moderation is None or self.principal.anonymous:
            content = await self._gather(parsed, videos, None)
            await self._require_unlisted(content.images_and_pages)
            if self.moderation is not None:
                await self.moderate(parsed, content, self.moderation)
            return content
        self.record.left_gateway = True
        return await self._gather(parsed, [self._review_texts(parsed.texts, self.moderation), *videos], self.moderation)

    async def prepare(self, parsed: RequestContent) -> CheckedContent:
        """Return the prepared content but for videos, compared with the hash lists; nothing of it moderated."""
        require_few_urls(parsed, MAX_FETCHED_URLS)
        content = await self._gather(parsed, (), None)
        await self._require_unlisted(content.images_and_pages)
        return content

    async def inline_videos(self, parsed: RequestContent) -> None:
        """Replace the videos of a request by data URLs."""
        if parsed.videos:
            await self._videos(parsed.videos)

    async def moderate(self, parsed: RequestContent, content: CheckedContent, moderation: Moderation) -> None:
        """Moderate what is prepared; the first error ends all that is under way, and is raised."""
        self.record.left_gateway = True
        steps = [self._review_texts(content.texts_of(parsed), moderation)]
        if images := content.images_and_pages:
            steps.append(self._moderate(images, moderation))
        await gather_or_raise_first(steps)

    async def _gather(
        self, parsed: RequestContent, others: Sequence[Coroutine[None, None, None]], moderation: Moderation | None
    ) -> CheckedContent:
        """Prepare the images and documents beside the other steps, and moderate each if there is a moderation."""
        prepared: list[CheckedContent] = []
        if not parsed.images and not parsed.documents:
            await gather_or_raise_first(others)
            return CheckedContent((), ())

        async def content() -> None:
            prepared.append(await self._content(parsed, moderation))

        await gather_or_raise_first([*others, content()])
        return prepared[0]

    async def _content(self, parsed: RequestContent, moderation: Moderation | None) -> CheckedContent:
        totals = Totals(
            parsed,
            self.services.limits,
            self.preparation.model.image_limits.max_images,
            anonymous=self.principal.anonymous,
        )
        with self.record.timed_step("load"):
            loaded = await self._load(parsed)
        require_pixels(loaded.all_images(parsed.images), self.services.limits.pixels)
        if self.on_loaded is not None:
            await self.on_loaded(loaded.all_images(parsed.images))
        images: dict[int, PreparedImagePart] = {}
        documents: dict[int, PreparedDocument] = {}

        async def image(number: int, slot: ImageSlot) -> None:
            images[number] = await self.checked_image(slot, loaded.images.pop(number), moderation)

        async def document(number: int) -> None:
            documents[number] = await self._document(loaded.documents.pop(number), totals, moderation)

        await gather_or_raise_first(
            [
                *(image(number, slot) for number, slot in enumerate(parsed.images)),
                *(document(number) for number in range(len(loaded.documents))),
            ]
        )
        return CheckedContent(
            [images[number] for number in range(len(images))], [documents[number] for number in range(len(documents))]
        )

    async def _load(self, parsed: RequestContent) -> "_LoadedContent":
        """Load and inspect everything: what stands in the request first, so that it is refused before any fetch."""
        loaded = _LoadedContent({}, {})
        inline = [
            (number, ImageToInspect(slot.path, slot.detail, source))
            for number, slot in enumerate(parsed.images)
            if (source := inline_image(slot)) is not None
        ]
        inspected = await self.preparation.inspect([image for _, image in inline])
        loaded.images.update((number, image) for (number, _), image in zip(inline, inspected, strict=True))
        stored = StoredImages(self.principal, self.services.file_service, self.preparation.limits.output)

        async def image(number: int, slot: ImageSlot) -> None:
            source = await load_image(slot, self.services.images, stored, self.allowance)
            [loaded.images[number]] = await self.preparation.inspect([ImageToInspect(slot.path, slot.detail, source)])

        steps = [image(number, slot) for number, slot in enumerate(parsed.images) if number not in loaded.images]
        if parsed.documents:
            steps += self._document_loads(parsed.documents, loaded)
        await gather_or_raise_first(steps)
        return loaded

    def _document_loads(
        self, slots: Sequence[DocumentSlot], loaded: "_LoadedContent"
    ) -> list[Coroutine[None, None, None]]:
        from obscura.pipeline.load_documents import load_document

        sources = self._document_sources()

        async def document(number: int, slot: DocumentSlot) -> None:
            loaded.documents[number] = await load_document(slot, sources)

        return [document(number, slot) for number, slot in enumerate(slots)]

    def _document_sources(self) -> "DocumentSources":
        from obscura.pipeline.load_documents import document_sources

        return document_sources(self.principal, self.services, self.preparation, self.allowance)

    async def checked_image(
        self, slot: ImageSlot, inspected: InspectedImage, moderation: Moderation | None
    ) -> PreparedImagePart:
        """Prepare an image, compare it with the hash lists, and moderate it, if there is a moderation."""
        if not self.decoded:
            return self.preparation.count(slot.path, slot.detail, inspected)
        with self.record.timed_step("prepare"):
            image = await self.preparation.prepare(slot.path, slot.detail, inspected)
        del inspected  # its bytes are not needed for the moderation
        if moderation is not None:
            await self._review([image], moderation)
        return image

    async def _document(
        self, loaded: "LoadedDocument", totals: Totals, moderation: Moderation | None
    ) -> "PreparedDocument":
        from obscura.pipeline.load_documents import prepare_document

        path = loaded.slot.path
        with self.record.timed_step("prepare"):
            document = await prepare_document(loaded, totals.add_pages, self._document_sources(), decoded=self.decoded)
        del loaded
        try:
            totals.add_texts(document.texts)
        except ObscuraError as error:
            raise error.at(path) from None
        if moderation is not None:
            await gather_or_raise_first(
                [self._review_texts(document.texts, moderation), self._review(document.images, moderation)]
            )
        return document

    async def _review(self, images: Sequence[PreparedImagePart], moderation: Moderation) -> None:
        await self._require_unlisted(images)
        await self._moderate(images, moderation)

    async def _require_unlisted(self, images: Sequence[PreparedImagePart]) -> None:
        if self.known is not None:
            await gather_or_raise_first([self.known.require_unlisted(image) for image in images])

    async def _moderate(self, images: Sequence[PreparedImagePart], moderation: Moderation) -> None:
        with self.record.timed_step("moderate"):
            await gather_or_raise_first([moderation.review_image(image) for image in images])

    async def _review_texts(self, texts: Sequence[str], moderation: Moderation) -> None:
        with self.record.timed_step("moderate"):
            await moderation.review_texts(texts)

    async def _videos(self, slots: Sequence[VideoSlot]) -> None:
        with self.record.timed_step("load"):
            services, caller = self.services, self.preparation.caller
            await inline_videos(slots, VideoSources(services.videos, services.executor, caller, self.allowance))
