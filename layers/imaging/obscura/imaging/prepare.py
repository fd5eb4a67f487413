"""The road of one image through this room."""

import io
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from PIL import Image

from obscura.imaging.container import UPRIGHT, ContainerInfo, SourceFormat
from obscura.imaging.decode import decode
from obscura.imaging.detect import detect_format
from obscura.imaging.encode import encode
from obscura.imaging.formats.gif import scan_gif
from obscura.imaging.formats.jpeg import scan_jpeg
from obscura.imaging.formats.png import idat_is_exactly, scan_png
from obscura.imaging.formats.webp import scan_webp
from obscura.imaging.limits import Detail, ImageLimits, check_dimensions, check_raw_bytes
from obscura.imaging.resize import decode_scale, resize_upright, target_size

_SCANS: dict[SourceFormat, Callable[[bytes], ContainerInfo]] = {
    SourceFormat.JPEG: scan_jpeg,
    SourceFormat.PNG: scan_png,
    SourceFormat.WEBP: scan_webp,
    SourceFormat.GIF: scan_gif,
}


@dataclass(frozen=True, slots=True)
class PreparedImage:
    """An image as moderation and model get it: upright, static, 8-bit L, RGB or RGBA, without metadata.

    ``kept`` says that ``data`` is the caller's own bytes. ``source_width_px`` and ``source_height_px`` are the sides
    as stored, before EXIF's orientation. The timings are wall time of this image's steps; a kept one has no
    resize and no encode.
    """

    data: bytes
    media_type: str
    width_px: int
    height_px: int
    source_format: str
    source_bytes: int
    source_width_px: int
    source_height_px: int
    kept: bool
    decode_ms: float = 0.0
    resize_ms: float = 0.0
    encode_ms: float = 0.0


DEFAULT_LIMITS = ImageLimits()


def prepare(
    data: bytes | bytearray | memoryview, detail: Detail = Detail.AUTO, limits: ImageLimits = DEFAULT_LIMITS
) -> PreparedImage:
    """Sniff, bound, decode, downscale, turn upright and re-encode one image, or keep its bytes where they will do.

    Safe in any thread; runs without the interpreter's lock for nearly all of its time. ``bytes`` are not copied;
    other buffers are, once.

    Args:
        data: the file, of any declared type.
        detail: decides the longest side of the result: 768, 1280 or 2048 px.
        limits: in bytes, pixels and n:1.

    Raises:
        ImageRefused: with the error code to answer.

    """
    check_raw_bytes(memoryview(data).nbytes, limits)
    file = bytes(data)
    facts = scan(file)
    check_dimensions(facts, limits)
    size = target_size(facts.width_px, facts.height_px, detail.longest_side_px, limits.aspect_ratio)
    scale = decode_scale(facts, size) if facts.source_format is SourceFormat.JPEG else 1

    begun_s = time.perf_counter()
    image = decode(file, facts, scale)
    decoded_s = time.perf_counter()
    own = PreparedImage(
        data=file,
        media_type=facts.source_format.media_type,
        width_px=facts.width_px,
        height_px=facts.height_px,
        source_format=facts.source_format.value,
        source_bytes=len(file),
        source_width_px=facts.width_px,
        source_height_px=facts.height_px,
        kept=True,
        decode_ms=(decoded_s - begun_s) * 1e3,
    )
    if _may_keep_bytes(facts, size, image) and _is_all_image(file, facts, image):
        return own
    result = resize_upright(image, facts, size, scale)
    fitted_s = time.perf_counter()
    output, output_format = encode(result, facts.source_format)
    return replace(
        own,
        data=output,
        media_type=output_format.media_type,
        width_px=result.width,
        height_px=result.height,
        kept=False,
        resize_ms=(fitted_s - decoded_s) * 1e3,
        encode_ms=(time.perf_counter() - fitted_s) * 1e3,
    )


def scan(file: bytes) -> ContainerInfo:
    """Sniff a file and walk its container; nothing is decoded.

    Raises:
        ImageRefused: ``unsupported_image_format`` or ``invalid_image``.

    """
    return _SCANS[detect_format(file)](file)


def warm_up() -> None:
    """Send one pixel of each format down the road, so that the first request does not pay for what loads lazily."""
    for source_format in SourceFormat:
        for mode in ("RGB", "RGBA") if source_format is not SourceFormat.JPEG else ("RGB",):
            pixel = io.BytesIO()
            Image.new(mode, (1, 1)).save(pixel, source_format)
            prepare(pixel.getvalue())


def _may_keep_bytes(facts: ContainerInfo, size: tuple[int, int], image: Image.Image) -> bool:
    return (
        facts.bare
        and facts.orientation == UPRIGHT
        and size == (facts.width_px, facts.height_px)
        and image.mode in {"L", "RGB", "RGBA"}
    )


def _is_all_image(file: bytes, facts: ContainerInfo, image: Image.Image) -> bool:
    if facts.source_format is not SourceFormat.PNG:
        return True
    return idat_is_exactly(file, facts.height_px * (1 + facts.width_px * len(image.getbands())))
