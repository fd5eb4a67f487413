"""Prepare the images of a request in the executor: checked, upright, resized, and their tokens counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from obscura.access_record import ImageRecord
from obscura.dialects.base import ImageSlot
from obscura.dialects.data_url import decode_base64, encode_data_url
from obscura.errors import ObscuraError
from obscura.execution import ImageExecutor, gather_or_raise_first
from obscura.files.service import image_error
from obscura.imaging import Detail, ImageError, ImageLimits, PreparedImage, TokenProfile, image_tokens, prepare
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


async def prepare_images(
    slots: Sequence[ImageSlot],
    loaded: Sequence[LoadedImage],
    model: CatalogModel,
    limits: ImageLimits,
    executor: ImageExecutor,
) -> list[PreparedImagePart]:
    """Prepare the image of every slot; raises the first error, with the path of its slot as param."""
    return await gather_or_raise_first(
        [
            executor.run(partial(_prepare, slot, source, model, limits))
            for slot, source in zip(slots, loaded, strict=True)
        ]
    )


def _prepare(slot: ImageSlot, source: LoadedImage, model: CatalogModel, limits: ImageLimits) -> PreparedImagePart:
    detail = Detail(slot.detail)
    try:
        if isinstance(source, PreparedImage):
            prepared = source
        else:
            data = decode_base64(source, limits.raw_bytes) if isinstance(source, memoryview) else source
            prepared = prepare(data, detail, limits)
    except ImageError as error:
        raise image_error(error, slot.path) from None
    except ObscuraError as error:
        raise error.at(slot.path) from None
    return image_part(slot.path, prepared, detail, model)


def image_part(path: str, prepared: PreparedImage, detail: Detail, model: CatalogModel) -> PreparedImagePart:
    """Return a prepared image as a part of the request, its tokens counted as the model counts them."""
    profile = TokenProfile(model.token_profile)
    tokens = image_tokens(prepared.width_px, prepared.height_px, profile, detail, model.token_factor)
    return PreparedImagePart(
        path, encode_data_url(prepared.data, prepared.media_type), tokens, _image_record(prepared, tokens)
    )


def _image_record(prepared: PreparedImage, tokens: int) -> ImageRecord:
    return ImageRecord(
        format=prepared.source_format,
        bytes_before=prepared.source_bytes,
        bytes_after=len(prepared.data),
        pixels_before=f"{prepared.source_width_px}x{prepared.source_height_px}",
        pixels_after=f"{prepared.width_px}x{prepared.height_px}",
        tokens=tokens,
    )
