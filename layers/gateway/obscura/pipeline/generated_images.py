"""Generated images before they leave: fetched or decoded, made again, compared with hash lists, moderated (ADR 181)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from obscura.dialects.base import ImageSlot, SourceKind
from obscura.dialects.data_url import base64_of, decode_base64, encode_data_url, is_data_url
from obscura.dialects.images.answer import AnsweredImage, CheckedImage
from obscura.errors import ModerationBlocked, ModerationUnavailable, ObscuraError, Overloaded, UpstreamError
from obscura.execution import gather_or_raise_first
from obscura.fetch.base import FetchAllowance
from obscura.imaging import ImageError
from obscura.imaging.alpha import GeneratedImage, prepare_generated
from obscura.pipeline.check_content import ContentCheck
from obscura.pipeline.load_images import MAX_VIDEO_BYTES
from obscura.pipeline.prepare import ImageToInspect, PreparedImagePart, TokenCounting
from obscura.pipeline.services import MAX_REDIRECTS, Services
from obscura.upstreams.base import CatalogModel
from obscura.upstreams.image_limits import NO_LIMITS, UpstreamImageLimits
from obscura.upstreams.openai import NO_RETRY

MAX_GENERATED_BYTES = MAX_VIDEO_BYTES
"""Of one file as the upstream sends it: a PNG of 3840 x 2160 px has up to 20 MB."""
_OWN = (ModerationBlocked, ModerationUnavailable, Overloaded)
"""What keeps its own code: all else that is wrong with a generated image is the upstream's."""


@dataclass(frozen=True, slots=True)
class _AsSeen:
    """How generated images are prepared for moderation: without the limits of what the upstream takes."""

    token_profile: str
    token_factor: float
    image_limits: UpstreamImageLimits = NO_LIMITS


@dataclass(frozen=True, slots=True)
class GeneratedCheck:
    """The check of the generated images of one answer."""

    check: ContentCheck
    services: Services
    allowance: FetchAllowance

    @classmethod
    def of(cls, check: ContentCheck, model: CatalogModel, services: Services) -> "GeneratedCheck":
        """Return the check of an answer to a request that ``check`` has checked; nothing of it is cached."""
        seen: TokenCounting = _AsSeen(model.token_profile, model.token_factor)
        limits = replace(services.limits.image, raw_bytes=MAX_GENERATED_BYTES)
        preparation = replace(check.preparation, model=seen, deployment_limits=limits, cache=None)
        return cls(
            replace(check, preparation=preparation),
            services,
            FetchAllowance(10 * MAX_GENERATED_BYTES, MAX_REDIRECTS),
        )

    async def load(self, images: Sequence[AnsweredImage]) -> list[GeneratedImage]:
        """Return the images as they may leave; raises UpstreamError for one that cannot be used."""
        return await gather_or_raise_first([self._load(image) for image in images])

    async def review(self, images: Sequence[AnsweredImage], generated: Sequence[GeneratedImage]) -> list[CheckedImage]:
        """Moderate every view of every image; raises ModerationBlocked with the path of the first that is flagged."""
        return await gather_or_raise_first(
            [self._review(image, made) for image, made in zip(images, generated, strict=True)]
        )

    async def _load(self, image: AnsweredImage) -> GeneratedImage:
        executor, caller = self.services.executor, self.check.preparation.caller
        try:
            if image.base64 is not None:
                decode = partial(decode_base64, image.base64, MAX_GENERATED_BYTES)
                file = await executor.run_light(decode, caller)
            else:
                file = await self._fetch(image.url or "")
            return await executor.run(partial(prepare_generated, file, self.check.preparation.limits), caller)
        except ImageError as error:
            raise _unusable(image.path, error.message) from None
        except _OWN:
            raise
        except ObscuraError as error:
            raise _unusable(image.path, error.message) from None

    async def _fetch(self, url: str) -> bytes:
        """Return the bytes of a data URL, or those at an https URL, through the guard."""
        source = memoryview(url.encode())
        if not is_data_url(source):
            return await self.services.videos.fetch(url, self.allowance)
        decode = partial(decode_base64, base64_of(source), MAX_GENERATED_BYTES)
        return await self.services.executor.run_light(decode, self.check.preparation.caller)

    async def _review(self, image: AnsweredImage, made: GeneratedImage) -> CheckedImage:
        await gather_or_raise_first([self._seen(image.path, view) for view in made.views])
        encode = partial(encode_data_url, made.data, made.media_type)
        data_url = await self.services.executor.run_light(encode, self.check.preparation.caller)
        return CheckedImage(data_url, image.revised_prompt, image.url is not None)

    async def _seen(self, path: str, view: bytes) -> PreparedImagePart:
        slot = ImageSlot(path, memoryview(view), "high", lambda _: None, SourceKind.FILE)
        try:
            [inspected] = await self.check.preparation.inspect([ImageToInspect(path, slot.detail, view)])
            return await self.check.checked_image(slot, inspected, self.check.moderation)
        except ModerationBlocked as error:
            error.message = error.message.replace("The image", "A generated image", 1)
            error.headers |= NO_RETRY
            raise
        except _OWN:
            raise
        except ObscuraError as error:
            raise _unusable(path, error.message) from None


def _unusable(path: str, message: str) -> UpstreamError:
    """Return the error for an image that is not passed on; trying again would be another generation, at its price."""
    error = UpstreamError(f"An image of the upstream's answer cannot be passed on: {message}", param=path)
    error.headers |= NO_RETRY
    return error
