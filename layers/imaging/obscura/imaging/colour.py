"""From the colours that an ICC profile means to sRGB, which is what moderation and model take every image for."""

import io
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING

from PIL import Image

from obscura.imaging.icc import MatrixProfile, profile_bytes, read_profile

if TYPE_CHECKING:
    from PIL.ImageCms import ImageCmsTransform

_CACHED = 32


def to_srgb(image: Image.Image, icc_profile: bytes) -> Image.Image:
    """Convert an L or RGB image of the colours of a profile to sRGB, relative to the white of both; perhaps in place.

    Only the numbers of a matrix or grey profile count, as our own reader finds them; LittleCMS gets a profile that was
    written from them, and never the caller's bytes. Other profiles (those of tables, as for CMYK) and broken ones are
    ignored, as are those of another number of colours than the image has; a grey image with an RGB profile is taken by
    the curve of green.
    """
    profile = _read(icc_profile)
    if profile is None or profile.is_srgb:
        return image
    if image.mode == "L":
        return image.point(_grey_table(profile))
    if not profile.colorants:
        return image
    return _convert(image, profile)


@lru_cache(_CACHED)
def _read(icc_profile: bytes) -> MatrixProfile | None:
    return read_profile(icc_profile)


@lru_cache(_CACHED)
def _grey_table(profile: MatrixProfile) -> list[int]:
    curve = profile.curves[len(profile.curves) // 2]
    return [round(255 * _srgb_from_light(curve.at(value / 255))) for value in range(256)]


def _srgb_from_light(light: float) -> float:
    """Return the sRGB value of linear light (IEC 61966-2-1 §5.2)."""
    clipped = min(1.0, max(0.0, light))
    return 12.92 * clipped if clipped <= 0.0031308 else 1.055 * clipped ** (1 / 2.4) - 0.055


def _convert(image: Image.Image, profile: MatrixProfile) -> Image.Image:
    from PIL import ImageCms  # noqa: PLC0415 - its library is loaded for the first image that needs it

    with suppress(ImageCms.PyCMSError):  # numbers that LittleCMS cannot combine: a broken profile
        ImageCms.applyTransform(image, _transform(profile), inPlace=True)
    return image


@lru_cache(_CACHED)
def _transform(profile: MatrixProfile) -> "ImageCmsTransform":
    from PIL import ImageCms  # noqa: PLC0415

    return ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(profile_bytes(profile))),
        ImageCms.createProfile("sRGB"),
        "RGB",
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )
