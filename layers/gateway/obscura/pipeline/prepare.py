"""Prepare: every picture checked, made upright and small, and its tokens counted, in the workshop."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from obscura import errors
from obscura.errors import ObscuraError
from obscura.imaging import Detail, ImageLimits, ImageRefused, PreparedImage, TokenProfile, image_tokens, prepare
from obscura.pipeline.concurrently import first_failure_of
from obscura.pipeline.journal import PictureFacts
from obscura.pipeline.load import Loaded
from obscura.pipeline.workshop import Workshop
from obscura.ports import Model
from obscura.wire.data_url import decode_base64, encode_data_url
from obscura.wire.dialect import ImageSlot

_REFUSALS: dict[str, type[ObscuraError]] = {
    refusal.code: refusal
    for refusal in (
        errors.UnsupportedImageFormat,
        errors.InvalidImage,
        errors.ImageTooLarge,
        errors.ImageTooManyPixels,
        errors.UnsupportedImageDimensions,
    )
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A prepared picture: the ASCII data URL that moderation and the model both get, byte for byte."""

    path: str
    data_url: bytes
    tokens: int
    facts: PictureFacts


class TokenCount(Protocol):
    """How a model's pictures are counted."""

    def __call__(self, width_px: int, height_px: int, *, detail: Detail) -> int:
        """Count the tokens of a picture of so many pixels."""
        ...


def token_count_of(model: Model) -> TokenCount:
    """Give the count of a model's profile, multiplied as the model's pictures are."""
    return partial(image_tokens, profile=TokenProfile(model.token_profile), factor=model.token_factor)


async def prepare_pictures(
    slots: Sequence[ImageSlot],
    loaded: Sequence[Loaded],
    count: TokenCount,
    limits: ImageLimits,
    workshop: Workshop,
) -> list[Picture]:
    """Prepare every slot's picture; raises the first refusal, with the slot's path as its param."""
    return await first_failure_of(
        [
            workshop.run(partial(_prepare, slot, source, count, limits))
            for slot, source in zip(slots, loaded, strict=True)
        ]
    )


def _prepare(slot: ImageSlot, source: Loaded, count: TokenCount, limits: ImageLimits) -> Picture:
    detail = Detail(slot.detail)
    try:
        if isinstance(source, PreparedImage):
            prepared = source
        else:
            data = decode_base64(source, limits.raw_bytes) if isinstance(source, memoryview) else source
            prepared = prepare(data, detail, limits)
    except ImageRefused as refusal:
        raise refusal_of_picture(refusal, slot.path) from None
    except ObscuraError as refusal:
        refusal.param = slot.path
        raise
    tokens = count(prepared.width_px, prepared.height_px, detail=detail)
    return Picture(slot.path, encode_data_url(prepared.data, prepared.media_type), tokens, _facts(prepared, tokens))


def refusal_of_picture(refusal: ImageRefused, param: str | None) -> ObscuraError:
    """Give the error of the imaging room's refusal."""
    return _REFUSALS[refusal.code](refusal.message, param=param)


def _facts(prepared: PreparedImage, tokens: int) -> PictureFacts:
    return PictureFacts(
        format=prepared.source_format,
        bytes_before=prepared.source_bytes,
        bytes_after=len(prepared.data),
        pixels_before=f"{prepared.source_width_px}x{prepared.source_height_px}",
        pixels_after=f"{prepared.width_px}x{prepared.height_px}",
        tokens=tokens,
    )
