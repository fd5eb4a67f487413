"""Prepare the images of a request in the executor: checked, upright, resized, and their tokens counted."""

from dataclasses import dataclass, replace

from obscura.access_record import ImageRecord
from obscura.dialects.base import ImageSlot
from obscura.dialects.data_url import decode_base64, encode_data_url
from obscura.errors import ObscuraError
from obscura.execution import ImageExecutor
from obscura.files.service import image_error
from obscura.imaging import Detail, ImageError, ImageLimits, PreparedImage, TokenProfile, image_tokens, prepare
from obscura.pipeline.image_cache import CachedImage, ImageCache, ImageKey
from obscura.pipeline.load_images import LoadedImage
from obscura.upstreams.base import CatalogModel


@dataclass(frozen=True, slots=True)
class PreparedImagePart:
    """A prepared image: the ASCII data URL that moderation and the model both get, byte for byte."""

    path: str
    data_url: bytes
    tokens: int
    record: ImageRecord
    name: str = "The image"
    """What errors call it."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """How the images of one request are prepared; without ``cache``, each of them."""

    model: CatalogModel
    limits: ImageLimits
    executor: ImageExecutor
    cache: ImageCache | None = None

    async def prepare(self, slot: ImageSlot, source: LoadedImage) -> PreparedImagePart:
        """Prepare the image of a slot; raises an error with the path of the slot as param."""
        return await self.executor.run(lambda: self._prepare(slot, source))

    def _prepare(self, slot: ImageSlot, source: LoadedImage) -> PreparedImagePart:
        detail = Detail(slot.detail)
        try:
            image = self._data_url(source, detail)
        except ImageError as error:
            raise image_error(error, slot.path) from None
        except ObscuraError as error:
            raise error.at(slot.path) from None
        return _image_part(slot.path, image, detail, self.model)

    def _data_url(self, source: LoadedImage, detail: Detail) -> CachedImage:
        if isinstance(source, PreparedImage):
            return _encode(source)
        if self.cache is None:
            return _encode(_decode_and_prepare(source, detail, self.limits))
        key = ImageKey.of(source, detail, self.limits)
        image = self.cache.get(key)
        if image is None:
            image = _encode(_decode_and_prepare(source, detail, self.limits))
            self.cache.add(key, image)
        return image


def image_part(path: str, prepared: PreparedImage, detail: Detail, model: CatalogModel) -> PreparedImagePart:
    """Return a prepared image as a part of the request, its tokens counted as the model counts them."""
    return _image_part(path, _encode(prepared), detail, model)


def _image_part(path: str, image: CachedImage, detail: Detail, model: CatalogModel) -> PreparedImagePart:
    profile = TokenProfile(model.token_profile)
    tokens = image_tokens(image.width_px, image.height_px, profile, detail, model.token_factor)
    return PreparedImagePart(path, image.data_url, tokens, replace(image.record, tokens=tokens))


def _decode_and_prepare(source: memoryview | bytes, detail: Detail, limits: ImageLimits) -> PreparedImage:
    data = decode_base64(source, limits.raw_bytes) if isinstance(source, memoryview) else source
    return prepare(data, detail, limits)


def _encode(prepared: PreparedImage) -> CachedImage:
    record = ImageRecord(
        format=prepared.source_format,
        bytes_before=prepared.source_bytes,
        bytes_after=len(prepared.data),
        pixels_before=f"{prepared.source_width_px}x{prepared.source_height_px}",
        pixels_after=f"{prepared.width_px}x{prepared.height_px}",
        tokens=0,
    )
    data_url = encode_data_url(prepared.data, prepared.media_type)
    return CachedImage(data_url, prepared.width_px, prepared.height_px, record)
