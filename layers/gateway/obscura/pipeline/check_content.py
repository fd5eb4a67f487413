"""Load, prepare and moderate what a request carries, each part as soon as it can be."""

from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

from obscura.access_record import AccessRecord
from obscura.auth.access import Principal
from obscura.dialects.base import ImageSlot, ParsedRequest, VideoSlot
from obscura.execution import gather_or_raise_first
from obscura.files.stored_images import StoredImages
from obscura.moderation.cache import CachingModerator, CleanVerdicts, TextVerdicts
from obscura.pipeline.load_images import inline_videos, load_image
from obscura.pipeline.moderate import Moderation
from obscura.pipeline.prepare import Preparation, PreparedImagePart
from obscura.pipeline.services import Services
from obscura.upstreams.base import CatalogModel

type _Step = Coroutine[None, None, list[PreparedImagePart]]
"""A part of a request on its way: the images that come of it, one for an image, none for text or a video."""


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

    async def run(self, parsed: ParsedRequest) -> list[PreparedImagePart]:
        """Return the prepared images, in request order; the first error ends all that is under way, and is raised.

        Text is moderated from the start, and each image once it is prepared: none waits for another one. For an
        unauthenticated caller moderation begins once everything is prepared, so that a broken image still releases
        the request (ADR 24, ADR 69).
        """
        videos = [self._videos(parsed.videos)] if parsed.videos else []
        if self.moderation is None:
            return await _all_of(*map(self._prepare, parsed.images), *videos)
        if self.principal.anonymous:
            images = await _all_of(*map(self._prepare, parsed.images), *videos)
            self.record.left_gateway = True
            await _all_of(self._texts(parsed.texts, self.moderation), *self._reviews(images, self.moderation))
            return images
        self.record.left_gateway = True
        checked = [self._prepare_and_review(slot, self.moderation) for slot in parsed.images]
        return await _all_of(self._texts(parsed.texts, self.moderation), *checked, *videos)

    async def _prepare(self, slot: ImageSlot) -> list[PreparedImagePart]:
        stored = StoredImages(self.principal, self.services.file_service)
        with self.record.timed_step("load"):
            source = await load_image(slot, self.services.images, stored)
        with self.record.timed_step("prepare"):
            return [await self.preparation.prepare(slot, source)]

    async def _prepare_and_review(self, slot: ImageSlot, moderation: Moderation) -> list[PreparedImagePart]:
        images = await self._prepare(slot)
        return await _all_of(*self._reviews(images, moderation))

    def _reviews(self, images: Iterable[PreparedImagePart], moderation: Moderation) -> list[_Step]:
        return [self._review(image, moderation) for image in images]

    async def _review(self, image: PreparedImagePart, moderation: Moderation) -> list[PreparedImagePart]:
        with self.record.timed_step("moderate"):
            await moderation.review_image(image)
        return [image]

    async def _texts(self, texts: Sequence[str], moderation: Moderation) -> list[PreparedImagePart]:
        with self.record.timed_step("moderate"):
            await moderation.review_texts(texts)
        return []

    async def _videos(self, slots: Sequence[VideoSlot]) -> list[PreparedImagePart]:
        with self.record.timed_step("load"):
            await inline_videos(slots, self.services.videos, self.services.executor)
        return []


async def _all_of(*steps: _Step) -> list[PreparedImagePart]:
    return list(chain.from_iterable(await gather_or_raise_first(steps)))


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
            texts = TextVerdicts(clean, moderator.model, principal.project)
        moderator = CachingModerator(moderator, clean)
    return Moderation(moderator, texts)
