"""From decoded pixels to an upright 8-bit image of the wanted size."""

import math

from PIL import Image

from obscura.imaging.container import ContainerInfo

_MIN_SHRINK = ((8, 1.35), (4, 1.17), (2, 1.15))
"""How much LANCZOS has to shrink after libjpeg's 1/8, 1/4 and 1/2 decode for the two to equal a full decode (SSIM of
0.98 and more on photographs as a camera stores them, ``benchmarks/image.py``). Nearer to 1 libjpeg's own, coarser
filter would be the one that shows."""

_JPEG_FILTERS = (
    (1, 1.0, Image.Resampling.HAMMING),
    (2, 1.4, Image.Resampling.HAMMING),
    (2, 1.0, Image.Resampling.BICUBIC),
    (4, 1.5, Image.Resampling.BICUBIC),
)
"""The quickest filter that keeps the SSIM over 0.98, by the scale of the decode and by how much is left to shrink;
LANCZOS elsewhere. It matters most where most pixels are left: HAMMING takes 22 ms and LANCZOS 50 (3.5 Mpx to
1280 px), at an SSIM of 0.99."""

_REDUCING_GAP = 1.5
"""How much LANCZOS has to shrink after a plain average of n x n pixels: twice as fast on large PNG, WEBP and GIF."""

_STRIP_PIXELS = 1 << 20
_TRANSPOSE_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SWAPPING_ORIENTATIONS = frozenset(range(5, 9))
"""Those that turn by a quarter: width and height change places."""
_GREY_MODES = frozenset({"1", "L", "LA", "I;16"})
WHITE = (255, 255, 255)


def target_size(width_px: int, height_px: int, longest_side_px: int, aspect_ratio: int) -> tuple[int, int]:
    """Return the size that fits ``longest_side_px`` with the same aspect; never larger than the image is.

    The shorter side is rounded to the nearest pixel, but never so far that the result would pass ``aspect_ratio``
    itself: what was prepared can be prepared again.
    """
    longest = max(width_px, height_px)
    if longest <= longest_side_px:
        return width_px, height_px
    min_side_px = math.ceil(longest_side_px / aspect_ratio)

    def shrunk(side_px: int) -> int:
        return max((2 * side_px * longest_side_px + longest) // (2 * longest), min_side_px)

    return shrunk(width_px), shrunk(height_px)


def decode_scale(info: ContainerInfo, size: tuple[int, int]) -> int:
    """Return the power of two that a JPEG may be divided by while it is decoded: 1, 2, 4 or 8."""
    shrink = min(info.width_px / size[0], info.height_px / size[1])
    return next((scale for scale, min_shrink in _MIN_SHRINK if shrink >= scale * min_shrink), 1)


def resize_upright(
    image: Image.Image,
    info: ContainerInfo,
    size: tuple[int, int],
    scale: int = 1,
    flatten_onto: tuple[int, int, int] = WHITE,
) -> Image.Image:
    """Return the image in mode L or RGB, of ``size`` in stored orientation, turned upright.

    ``scale`` is the one it was decoded at. It is turned after the resize, when fewer pixels are left. What is
    transparent is flattened onto a colour before the resize, so that invisible colours do not bleed into visible ones;
    an alpha channel that is opaque throughout changes nothing.
    """
    mode = "L" if _stays_grey(image, flatten_onto) else "RGB"
    if size == image.size:
        result = _convert(image, mode, flatten_onto)
    else:
        box = (info.width_px / scale, info.height_px / scale)
        result = _shrink(image, mode, size, box, _filter(info, scale, box[0] / size[0]), flatten_onto)
    return turn_upright(result, info.orientation)


def turn_upright(image: Image.Image, orientation: int) -> Image.Image:
    """Turn an image of an EXIF orientation upright."""
    turn = _TRANSPOSE_UPRIGHT.get(orientation)
    return image if turn is None else image.transpose(turn)


def _stays_grey(image: Image.Image, flatten_onto: tuple[int, int, int]) -> bool:
    if image.mode not in _GREY_MODES:
        return False
    if not image.has_transparency_data or len(set(flatten_onto)) == 1:
        return True
    return image.mode == "LA" and image.getextrema()[1] == (255, 255)


def _filter(info: ContainerInfo, scale: int, shrink: float) -> Image.Resampling:
    filters = (
        quickest
        for decoded_at, min_shrink, quickest in _JPEG_FILTERS
        if info.source_format.decodes_scaled and decoded_at == scale and shrink >= min_shrink
    )
    return next(filters, Image.Resampling.LANCZOS)


def _shrink(  # noqa: PLR0913, PLR0917 - the six facts of one resize
    image: Image.Image,
    mode: str,
    size: tuple[int, int],
    box: tuple[float, float],
    resample: Image.Resampling,
    flatten_onto: tuple[int, int, int],
) -> Image.Image:
    """Resize; an image of another mode by LANCZOS and in strips, converting on the way: it is never in memory twice.

    Pillow's resize is a horizontal and then a vertical pass with 8-bit pixels between them; doing the first by strips
    gives the same pixels.
    """
    if image.mode == mode and not image.has_transparency_data:
        return image.resize(size, resample, (0, 0, *box), reducing_gap=_REDUCING_GAP)
    factor = max(1, int(min(box[0] / size[0], box[1] / size[1]) / _REDUCING_GAP))
    rows = max(1, _STRIP_PIXELS // image.width // factor) * factor
    narrow = Image.new(mode, (size[0], math.ceil(image.height / factor)))
    for top in range(0, image.height, rows):
        bottom = min(top + rows, image.height)
        strip = _convert(image.crop((0, top, image.width, bottom)), mode, flatten_onto)
        if factor > 1:
            strip = strip.reduce(factor)
        strip_box = (0, 0, box[0] / factor, strip.height)
        narrow.paste(strip.resize((size[0], strip.height), Image.Resampling.LANCZOS, strip_box), (0, top // factor))
    return narrow.resize(size, Image.Resampling.LANCZOS, (0, 0, size[0], box[1] / factor))


def _convert(image: Image.Image, mode: str, flatten_onto: tuple[int, int, int]) -> Image.Image:
    """Return the image in mode L or RGB, 8-bit, its transparent parts flattened onto a colour."""
    if image.mode == "I;16":
        image = _eight_bit(image)
    if not image.has_transparency_data:
        return image if image.mode == mode else image.convert(mode)
    colours = image.convert("RGBA")
    flat = Image.new("RGB", image.size, flatten_onto)
    flat.paste(colours, mask=colours)
    return flat if mode == "RGB" else flat.convert(mode)


def _eight_bit(image: Image.Image) -> Image.Image:
    """Scale 16-bit grey, which Pillow's own conversion would clip; its transparent grey is compared at 16 bits.

    PNG, third edition, §11.3.1.1: all bits count, so that 0x8001 is not transparent where 0x8000 is.
    """
    grey = image.point(lambda sample: sample * (1 / 257)).convert("L")
    transparent = image.info.get("transparency")
    if not isinstance(transparent, int):
        grey.info = {}
        return grey
    alpha = [255] * 65_536
    alpha[transparent & 0xFFFF] = 0
    with_alpha = Image.merge("LA", (grey, image.convert("I").point(alpha, "L")))
    with_alpha.info = {}
    return with_alpha
