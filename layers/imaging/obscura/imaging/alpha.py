"""Images whose alpha is kept: masks, images to be edited by their own alpha, and images that a model has made."""

import io
from dataclasses import dataclass

from PIL import Image, ImageChops

from obscura.imaging.colour import to_srgb
from obscura.imaging.container import ContainerInfo
from obscura.imaging.decode import decode
from obscura.imaging.decode_memory import check_decode, decode_bytes
from obscura.imaging.detect import detect_format
from obscura.imaging.encode import encode_jpeg, encode_png
from obscura.imaging.errors import ImageError, corrupt
from obscura.imaging.file_facts import file_facts
from obscura.imaging.fit import OutputLimits
from obscura.imaging.formats.jpeg import JPEG
from obscura.imaging.formats.png import PNG
from obscura.imaging.formats.webp import WEBP
from obscura.imaging.header import ImageHeader
from obscura.imaging.limits import ImageLimits, check_dimensions, check_raw_bytes
from obscura.imaging.prepare import keeps_bytes
from obscura.imaging.resize import SWAPPING_ORIENTATIONS, WHITE, resize_upright, turn_upright

_QUALITY = 95
"""Of a generated JPEG or WEBP that is encoded again: what is lost cannot be seen."""
_EXTRA_BYTES_PER_PIXEL = 16
"""Colours, alpha, and two flattened copies, beside what a decode takes."""
_SHRINK = (1.0, 0.75, 0.5, 0.35, 0.25)


@dataclass(frozen=True, slots=True)
class AlphaImage:
    """An image with its alpha, and its colours without: both PNG of one size, of the same colours."""

    data: bytes
    colours: bytes
    width_px: int
    height_px: int


def may_have_alpha(data: bytes, header: ImageHeader) -> bool:
    """Whether a decode may find transparent pixels."""
    return header.info.source_format is not JPEG and file_facts(data, header.source_format).alpha is not False


def prepare_edited(data: bytes, header: ImageHeader, limits: ImageLimits) -> AlphaImage | None:
    """Prepare an image that is to be edited where it is transparent; None if no pixel of it has an alpha of 0.

    Args:
        data: the file.
        header: what ``inspect`` returned for it; its ``size`` is the result's.
        limits: as for ``prepare``. Its output's bytes hold for the result, which is made smaller until it fits.

    Raises:
        ImageError: ``invalid_image``, or ``image_too_large`` if it cannot be made small enough.

    """
    info = _whole(header, data)
    with limits.memory.reserve(_memory_bytes(info, len(data), header.size)):
        image = decode(data, info)
        alpha = _binary_alpha(image)
        if alpha is None:
            return None
        for factor in _SHRINK:
            size = (max(1, round(header.size[0] * factor)), max(1, round(header.size[1] * factor)))
            made = _with_alpha(image, alpha, info, size)
            if limits.output.base64_bytes is None or _fits(made, limits.output):
                return made
    raise _too_large(limits.output)


def prepare_mask(data: bytes, header: ImageHeader, size: tuple[int, int], limits: ImageLimits) -> AlphaImage:
    """Prepare the mask of an image of ``size``, upright; a mask without alpha stays opaque. Raises what decoding does.

    Raises:
        ImageError: ``invalid_image``, or ``image_too_large`` over the output's bytes.

    """
    info = _whole(header, data)
    stored = (size[1], size[0]) if info.orientation in SWAPPING_ORIENTATIONS else size
    needed_bytes = _memory_bytes(info, len(data), stored)
    check_decode(info, needed_bytes, limits.decode_bytes)
    with limits.memory.reserve(needed_bytes):
        image = decode(data, info)
        made = _with_alpha(image, _binary_alpha(image), info, stored)
    if not _fits(made, limits.output):
        raise _too_large(limits.output)
    return made


@dataclass(frozen=True, slots=True)
class GeneratedImage:
    """A generated image as it may leave: static, upright, without metadata; and what of it is to be moderated.

    ``views`` are whole files: its own bytes if it is opaque, else its colours, and it flattened onto white and black.
    """

    data: bytes
    media_type: str
    views: tuple[bytes, ...]


def prepare_generated(data: bytes, limits: ImageLimits) -> GeneratedImage:
    """Make an image of the pixels of a file, at its full size, or keep its bytes if they are nothing but opaque pixels.

    A JPEG stays one, a WEBP too; all else becomes PNG. Alpha is kept; where it is 0, the colour becomes white.

    Raises:
        ImageError: with the API's error code.

    """
    check_raw_bytes(len(data), limits)
    info = detect_format(data).scan(data)
    check_dimensions(info, limits)
    if any(each.lacks_data for each in info.entropy_scans):
        raise corrupt(info.source_format.name, "is damaged: a part of its pixels is missing")
    size = (info.width_px, info.height_px)
    needed_bytes = _memory_bytes(info, len(data), size)
    check_decode(info, decode_bytes(info, len(data), size), limits.decode_bytes)
    with limits.memory.reserve(needed_bytes):
        image = decode(data, info)
        if keeps_bytes(data, info, size, image):
            return GeneratedImage(data, info.source_format.media_type, (data,))
        alpha = _alpha(image)
        if alpha is None:
            encoded, media_type = _encoded(_upright_colours(image, info, size), info)
            return GeneratedImage(encoded, media_type, (encoded,))
        # Not flattened: the colours are those of the file, but where nothing of them shows.
        colours = turn_upright(image.convert("RGBA").convert("RGB"), info.orientation)
        if info.icc_profile:
            colours = to_srgb(colours, info.icc_profile)
        alpha = turn_upright(alpha, info.orientation)
        colours.paste(WHITE, mask=alpha.point(_IS_ZERO))
        encoded, media_type = _encoded(_merged(colours, alpha), info)
        views = (encode_png(colours), *(encode_png(_onto(colours, alpha, ground)) for ground in ("white", "black")))
        return GeneratedImage(encoded, media_type, views)


_IS_ZERO = [255] + [0] * 255
_IS_NOT_ZERO = [0] + [255] * 255


def _whole(header: ImageHeader, data: bytes) -> ContainerInfo:
    """Return what a decode needs of a header, read again if that was not held."""
    return header.info if header.is_whole else detect_format(data).scan(data)


def _memory_bytes(info: ContainerInfo, file_bytes: int, size: tuple[int, int]) -> int:
    pixels = max(info.width_px * info.height_px, size[0] * size[1])
    return decode_bytes(info, file_bytes, size) + _EXTRA_BYTES_PER_PIXEL * pixels


def _alpha(image: Image.Image) -> Image.Image | None:
    """Return the alpha of an image; None if it is opaque throughout."""
    if not image.has_transparency_data:
        return None
    alpha = image.convert("RGBA").getchannel("A")
    return None if alpha.getextrema() == (255, 255) else alpha


def _binary_alpha(image: Image.Image) -> Image.Image | None:
    """Return the alpha as 0 and 255; None if no pixel is wholly transparent."""
    alpha = _alpha(image)
    if alpha is None:
        return None
    binary = alpha.point(_IS_NOT_ZERO)
    return None if binary.getextrema() == (255, 255) else binary


def _upright_colours(image: Image.Image, info: ContainerInfo, size: tuple[int, int]) -> Image.Image:
    colours = resize_upright(image, info, size)
    return to_srgb(colours, info.icc_profile) if info.icc_profile else colours


def _with_alpha(
    image: Image.Image, alpha: Image.Image | None, info: ContainerInfo, size: tuple[int, int]
) -> AlphaImage:
    colours = _upright_colours(image, info, size).convert("RGB")
    resized = Image.new("L", size, 255) if alpha is None else alpha.resize(size, Image.Resampling.NEAREST)
    upright = turn_upright(resized, info.orientation)
    colours.paste(WHITE, mask=ImageChops.invert(upright))
    return AlphaImage(encode_png(_merged(colours, upright)), encode_png(colours), *colours.size)


def _merged(colours: Image.Image, alpha: Image.Image) -> Image.Image:
    colours.info = {}
    merged = colours.copy()
    merged.putalpha(alpha)
    merged.info = {}
    return merged


def _onto(colours: Image.Image, alpha: Image.Image, ground: str) -> Image.Image:
    flat = Image.new("RGB", colours.size, ground)
    flat.paste(colours, mask=alpha)
    return flat


def _encoded(image: Image.Image, info: ContainerInfo) -> tuple[bytes, str]:
    image.info = {}
    if info.source_format is JPEG:
        return encode_jpeg(image, _QUALITY, full_chroma=True), JPEG.media_type
    if info.source_format is not WEBP:
        return encode_png(image), PNG.media_type
    file = io.BytesIO()
    with_alpha = image.mode == "RGBA"
    image.save(file, "WEBP", quality=_QUALITY, method=2, lossless=with_alpha, exact=with_alpha)
    return file.getvalue(), WEBP.media_type


def _fits(made: AlphaImage, output: OutputLimits) -> bool:
    return output.allow(len(made.data), PNG.name, max(made.width_px, made.height_px))


def _too_large(output: OutputLimits) -> ImageError:
    return ImageError(
        "image_too_large",
        f"The image is to keep its alpha, as PNG, and this model's upstream takes {output.base64_bytes} bytes of "
        "base64 an image. Crop it, or send it without transparent areas.",
        output.base64_bytes,
    )
