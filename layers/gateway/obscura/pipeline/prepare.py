"""Inspect the images of a request, then prepare each in the executor; or count their tokens without a decode."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol

from obscura.access_record import ImageRecord
from obscura.dialects.data_url import decode_base64, encode_data_url
from obscura.errors import ObscuraError, TooManyPixels
from obscura.execution import Caller, ImageExecutor
from obscura.files.service import image_error
from obscura.files.stored_images import StoredOriginal
from obscura.imaging import (
    Detail,
    ImageError,
    ImageHeader,
    ImageLimits,
    PreparedImage,
    TokenProfile,
    image_tokens,
    inspect,
    prepare,
)
from obscura.pipeline.image_cache import CachedImage, ImageCache, ImageKey
from obscura.pipeline.load_images import LoadedImage
from obscura.upstreams.image_limits import UpstreamImageLimits


class TokenCounting(Protocol):
    """How a model counts the tokens of images, and what it takes of them; every ``CatalogModel`` has these."""

    @property
    def token_profile(self) -> str:
        """The name of a token profile."""
        ...

    @property
    def token_factor(self) -> float:
        """What OpenAI's patches are multiplied by."""
        ...

    @property
    def image_limits(self) -> UpstreamImageLimits:
        """What its upstream takes of images."""
        ...


@dataclass(frozen=True, slots=True)
class PreparedImagePart:
    """A prepared image: the ASCII data URL that moderation and the model both get, byte for byte.

    The data URL of an image that was only counted is empty. ``source_sha256`` is that of the file that was sent, in
    hexadecimal, where hash lists ask for it; of a page of a document there is none.
    """

    path: str
    data_url: bytes
    tokens: int
    record: ImageRecord
    source_sha256: str = ""
    name: str = "The image"
    """What errors call it."""
    description: str | None = None
    """What the model gets in the place of the image, if it cannot see."""

    @property
    def written(self) -> bytes | str:
        """What stands in the request: the image, or its description."""
        return self.data_url if self.description is None else self.description


@dataclass(frozen=True, slots=True)
class WalkedImage:
    """An image that is still to be decoded, and what its header says; ``key`` is its place in the cache."""

    source: memoryview | bytes | StoredOriginal
    header: ImageHeader
    key: ImageKey | None

    @property
    def decode_pixels(self) -> int:
        """The pixels that its request makes the gateway decode; of a stored image, once and for all, none."""
        return 0 if isinstance(self.source, StoredOriginal) else self.header.decode_pixels


type InspectedImage = WalkedImage | CachedImage | PreparedImage
"""An image of which everything is known but what a decode finds, or one that needs no decode."""


@dataclass(frozen=True, slots=True)
class ImageToInspect:
    """A loaded image, the JSON path that its errors name, and the detail at which the model gets it."""

    path: str
    detail: str
    source: LoadedImage


def require_pixels(images: Sequence[tuple[str, InspectedImage]], max_pixels: int) -> None:
    """Raise TooManyPixels for the path at which the pixels to decode are more than ``max_pixels`` in all."""
    total, crossing = 0, None
    for path, image in images:
        total += image.decode_pixels if isinstance(image, WalkedImage) else 0
        if crossing is None and total > max_pixels:
            crossing = path
    if crossing is not None:
        raise TooManyPixels(
            f"The images of this request have {total:,} pixels to decode; {max_pixels:,} are allowed in one request. "
            "Send them smaller or in several requests, as JPEG (which is decoded at a part of its size), or store them "
            "as files and send their ids.",
            param=crossing,
        )


@dataclass(frozen=True, slots=True)
class Preparation:
    """How the images of one request are prepared; without ``cache``, each of them.

    ``hash_sources`` adds the SHA-256 of what was sent.
    """

    model: TokenCounting
    deployment_limits: ImageLimits
    executor: ImageExecutor
    caller: Caller
    cache: ImageCache | None = None
    hash_sources: bool = False

    @property
    def limits(self) -> ImageLimits:
        """The limits of its images: the deployment's, and what the model's upstream takes; made at the first image."""
        return _limits_for(self.model.image_limits, self.deployment_limits)

    async def inspect(self, images: Sequence[ImageToInspect]) -> list[InspectedImage]:
        """Check all that needs no decode, image by image; raises the first one's error with its path as param."""
        if not images:
            return []
        return await self.executor.run_light(lambda: [self._inspect(image) for image in images], self.caller)

    async def prepare(self, path: str, detail: str, image: InspectedImage) -> PreparedImagePart:
        """Prepare an image; raises an error with its path as param."""
        return self._part(path, Detail(detail), await self._prepare(path, Detail(detail), image))

    def count(self, path: str, detail: str, image: InspectedImage) -> PreparedImagePart:
        """Count the tokens of an image as ``prepare`` would, without a decode, of which it needs no byte."""
        if isinstance(image, CachedImage):
            counted = replace(image, data_url=b"")
        elif isinstance(image, PreparedImage):
            counted = CachedImage(b"", image.width_px, image.height_px, _record(image))
        else:
            record = record_of(image.header, 0, image.header.prepared_size)
            counted = CachedImage(b"", *image.header.prepared_size, record)
        return self._part(path, Detail(detail), counted)

    def _part(self, path: str, detail: Detail, image: CachedImage) -> PreparedImagePart:
        return _image_part(path, image, detail, self.model)

    def _inspect(self, image: ImageToInspect) -> InspectedImage:
        source, detail = image.source, Detail(image.detail)
        if isinstance(source, PreparedImage):
            return source
        key = None
        if self.cache is not None and not isinstance(source, StoredOriginal):
            key = ImageKey.of(source, detail, self.limits)
            cached = self.cache.get(key)
            if cached is not None:
                return cached
        try:
            header = inspect(_file(source, self.limits), detail, self.limits)
            return WalkedImage(source, header.to_hold(), key)
        except ImageError as error:
            raise image_error(error, image.path) from None
        except ObscuraError as error:
            raise error.at(image.path) from None

    async def _prepare(self, path: str, detail: Detail, image: InspectedImage) -> CachedImage:
        if isinstance(image, CachedImage):
            return image
        if isinstance(image, PreparedImage):
            return await self.executor.run_light(lambda: _encode(image), self.caller)
        if isinstance(image.source, StoredOriginal):
            try:
                prepared = await image.source.prepare(self.caller)
            except ObscuraError as error:
                raise error.at(path) from None
            return await self.executor.run_light(lambda: _encode(prepared), self.caller)
        return await self.executor.run(lambda: self._decode(path, detail, image), self.caller)

    def _decode(self, path: str, detail: Detail, image: WalkedImage) -> CachedImage:
        try:
            file = _file(image.source, self.limits)
            result = _encode(prepare(file, detail, self.limits, image.header))
        except ImageError as error:
            raise image_error(error, path) from None
        except ObscuraError as error:
            raise error.at(path) from None
        if self.hash_sources:
            result = replace(result, source_sha256=self._hash_of(file))
        if self.cache is not None and image.key is not None:
            self.cache.add(image.key, result)
        return result

    def _hash_of(self, file: bytes) -> str:
        return hashlib.sha256(file).hexdigest() if self.hash_sources else ""


def record_of(header: ImageHeader, bytes_after: int, size: tuple[int, int]) -> ImageRecord:
    """Return the record of an image with this header that was prepared to so many bytes of this size; no tokens yet."""
    return ImageRecord(
        format=header.source_format,
        bytes_before=header.source_bytes,
        bytes_after=bytes_after,
        pixels_before=f"{header.info.width_px}x{header.info.height_px}",
        pixels_after=f"{size[0]}x{size[1]}",
        tokens=0,
    )


@lru_cache(maxsize=256)  # of each request with an image
def _limits_for(upstream: UpstreamImageLimits, limits: ImageLimits) -> ImageLimits:
    output = upstream.output()
    return limits if output is None else replace(limits, output=output)


def image_part(path: str, prepared: PreparedImage, detail: Detail, model: TokenCounting) -> PreparedImagePart:
    """Return a prepared image as a part of the request, its tokens counted as the model counts them."""
    return _image_part(path, _encode(prepared), detail, model)


def _image_part(path: str, image: CachedImage, detail: Detail, model: TokenCounting) -> PreparedImagePart:
    profile = TokenProfile(model.token_profile)
    tokens = image_tokens(image.width_px, image.height_px, profile, detail, model.token_factor)
    return PreparedImagePart(path, image.data_url, tokens, replace(image.record, tokens=tokens), image.source_sha256)


def _file(source: memoryview | bytes | StoredOriginal, limits: ImageLimits) -> bytes:
    if isinstance(source, StoredOriginal):
        return source.data
    return decode_base64(source, limits.raw_bytes) if isinstance(source, memoryview) else source


def _encode(prepared: PreparedImage) -> CachedImage:
    data_url = encode_data_url(prepared.data, prepared.media_type)
    return CachedImage(data_url, prepared.width_px, prepared.height_px, _record(prepared), prepared.source_sha256)


def _record(prepared: PreparedImage) -> ImageRecord:
    return ImageRecord(
        format=prepared.source_format,
        bytes_before=prepared.source_bytes,
        bytes_after=len(prepared.data),
        pixels_before=f"{prepared.source_width_px}x{prepared.source_height_px}",
        pixels_after=f"{prepared.width_px}x{prepared.height_px}",
        tokens=0,
    )
