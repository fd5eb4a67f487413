"""Prepare: every image checked, made upright and small, and its tokens counted, in the executor."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

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
    facts: ImageRecord


class TokenCounter(Protocol):
    """How a model's images are counted."""

    def __call__(self, width_px: int, height_px: int, *, detail: Detail) -> int:
        """Count the tokens of an image of so many pixels."""
        ...


def token_counter_for(model: CatalogModel) -> TokenCounter:
    """Return the count of a model's profile, multiplied as the model's images are."""
    return partial(image_tokens, profile=TokenProfile(model.token_profile), factor=model.token_factor)


async def prepare_images(
    slots: Sequence[ImageSlot],
    loaded: Sequence[LoadedImage],
    count: TokenCounter,
    limits: ImageLimits,
    executor: ImageExecutor,
) -> list[PreparedImagePart]:
    """Prepare every slot's image; raises the first refusal, with the slot's path as its param."""
    return await gather_or_raise_first(
        [
            executor.run(partial(_prepare, slot, source, count, limits))
            for slot, source in zip(slots, loaded, strict=True)
        ]
    )


def _prepare(slot: ImageSlot, source: LoadedImage, count: TokenCounter, limits: ImageLimits) -> PreparedImagePart:
    detail = Detail(slot.detail)
    try:
        if isinstance(source, PreparedImage):
            prepared = source
        else:
            data = decode_base64(source, limits.raw_bytes) if isinstance(source, memoryview) else source
            prepared = prepare(data, detail, limits)
    except ImageError as refusal:
        raise image_error(refusal, slot.path) from None
    except ObscuraError as refusal:
        refusal.param = slot.path
        raise
    tokens = count(prepared.width_px, prepared.height_px, detail=detail)
    return PreparedImagePart(
        slot.path, encode_data_url(prepared.data, prepared.media_type), tokens, _image_record(prepared, tokens)
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
