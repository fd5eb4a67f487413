"""Prepare one image: detect, scan, check, decode, resize, turn upright, encode."""

import io
import time
from dataclasses import dataclass, replace

from PIL import Image

from obscura.imaging.colour import to_srgb
from obscura.imaging.container import UPRIGHT, ContainerInfo
from obscura.imaging.decode import decode
from obscura.imaging.detect import detect_format
from obscura.imaging.fit import encode_within
from obscura.imaging.formats import FORMATS
from obscura.imaging.header import ImageHeader, inspect
from obscura.imaging.limits import Detail, ImageLimits, check_raw_bytes
from obscura.imaging.resize import resize_upright


@dataclass(frozen=True, slots=True)
class PreparedImage:
    """An image as moderation and model get it: upright, static, 8-bit L or RGB in sRGB, without metadata.

    ``unchanged`` says that ``data`` is the caller's own bytes. ``source_width_px`` and ``source_height_px`` are the
    sides as stored, before the orientation is applied. The timings are wall time of this image's steps; an unchanged
    image has no resize and no encode. One that is ``limited`` would be another without the limits of its output.
    ``source_sha256`` is the file's, in hexadecimal, where who prepares it adds it.
    """

    data: bytes
    media_type: str
    width_px: int
    height_px: int
    source_format: str
    source_bytes: int
    source_width_px: int
    source_height_px: int
    unchanged: bool
    decode_ms: float = 0.0
    resize_ms: float = 0.0
    encode_ms: float = 0.0
    source_sha256: str = ""
    limited: bool = False

    @property
    def source_media_type(self) -> str:
        """The media type of the file that was sent."""
        return FORMATS[self.source_format].media_type


DEFAULT_LIMITS = ImageLimits()


def prepare(
    data: bytes | bytearray | memoryview,
    detail: Detail = Detail.AUTO,
    limits: ImageLimits = DEFAULT_LIMITS,
    header: ImageHeader | None = None,
) -> PreparedImage:
    """Check, decode, flatten, downscale, turn upright and re-encode one image, or keep its bytes if they are canonical.

    Safe in any thread; runs without the interpreter's lock for nearly all of its time. ``bytes`` are not copied; other
    buffers are, once.

    Args:
        data: the file, of any declared type.
        detail: decides the longest side of the result: 768, 1280 or 2048 px.
        limits: in bytes, pixels and n:1, the memory to decode in, for which it may wait, and the colour that shows
            through where the image is transparent.
        header: what ``inspect`` returned for these bytes, this detail and these limits; without it they are inspected.

    Raises:
        ImageError: with the API's error code; ``image_too_large`` too, if nothing within the output's limits is found.

    """
    check_raw_bytes(memoryview(data).nbytes, limits)
    file = bytes(data)
    if header is None or not header.is_whole:
        header = inspect(file, detail, limits)
    info, size, scale = header.info, header.size, header.scale
    with limits.memory.reserve(header.decode_bytes):
        prepared = _decode_and_encode(file, info, size, scale, limits)
    side_px = limits.longest_side_px(detail)
    if side_px < detail.longest_side_px and max(info.width_px, info.height_px) > side_px:
        prepared = replace(prepared, limited=True)
    return prepared


def _decode_and_encode(
    file: bytes, info: ContainerInfo, size: tuple[int, int], scale: int, limits: ImageLimits
) -> PreparedImage:
    begun_s = time.perf_counter()
    image = decode(file, info, scale)
    decoded_s = time.perf_counter()
    unchanged = PreparedImage(
        data=file,
        media_type=info.source_format.media_type,
        width_px=info.width_px,
        height_px=info.height_px,
        source_format=info.source_format.name,
        source_bytes=len(file),
        source_width_px=info.width_px,
        source_height_px=info.height_px,
        unchanged=True,
        decode_ms=(decoded_s - begun_s) * 1e3,
    )
    is_allowed = limits.output.allow(len(file), info.source_format.name, max(size))
    may_keep = _may_keep_bytes(info, size, image)
    if may_keep and is_allowed and _is_only_pixels(file, info, image):
        return unchanged
    result = resize_upright(image, info, size, scale, limits.flatten_onto)
    if info.icc_profile:
        result = to_srgb(result, info.icc_profile)
    resized_s = time.perf_counter()
    is_resized = size != (info.width_px, info.height_px)
    full_chroma = info.has_full_chroma and not is_resized
    encoded = encode_within(result, info.source_format, limits.output, full_chroma=full_chroma)
    return replace(
        unchanged,
        data=encoded.data,
        media_type=encoded.source_format.media_type,
        width_px=encoded.width_px,
        height_px=encoded.height_px,
        limited=encoded.limited or (may_keep and not is_allowed),
        unchanged=False,
        resize_ms=(resized_s - decoded_s) * 1e3,
        encode_ms=(time.perf_counter() - resized_s) * 1e3,
    )


def scan(file: bytes) -> ContainerInfo:
    """Detect the format of a file and scan its container; nothing is decoded.

    Raises:
        ImageError: ``unsupported_image_format`` or ``invalid_image``.

    """
    return detect_format(file).scan(file)


def warm_up() -> None:
    """Prepare one pixel of each common format, so that the first request does not pay for what loads lazily."""
    for name in (image_format.name for image_format in FORMATS.values() if image_format.is_common):
        for mode in ("RGB", "RGBA") if name != "JPEG" else ("RGB",):
            pixel = io.BytesIO()
            Image.new(mode, (1, 1)).save(pixel, name)
            prepare(pixel.getvalue())


def keeps_bytes(file: bytes, info: ContainerInfo, size: tuple[int, int], image: Image.Image) -> bool:
    """Whether a file that was decoded is nothing but the opaque, upright, static pixels of ``size`` that it shows."""
    return _may_keep_bytes(info, size, image) and _is_only_pixels(file, info, image)


def _may_keep_bytes(info: ContainerInfo, size: tuple[int, int], image: Image.Image) -> bool:
    return (
        info.is_canonical
        and info.orientation == UPRIGHT
        and size == (info.width_px, info.height_px)
        and image.mode in {"L", "RGB"}
    )


def _is_only_pixels(file: bytes, info: ContainerInfo, image: Image.Image) -> bool:
    pixels_are_exactly = info.source_format.pixels_are_exactly
    return pixels_are_exactly is None or pixels_are_exactly(
        file, info.height_px * (1 + info.width_px * len(image.getbands()))
    )
