"""Encode an image so that it fits what its model's upstream takes: fewer bytes by quality first, then by size."""

from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from obscura.imaging.container import ImageFormat
from obscura.imaging.encode import encode, encode_jpeg, encode_png
from obscura.imaging.errors import ImageError
from obscura.imaging.formats.jpeg import JPEG
from obscura.imaging.formats.png import PNG

_QUALITIES = (80, 65, 50)
_SHRINK = (0.75, 0.5, 0.35, 0.25)
"""Of the sides. At most eight encodings in all, each of a prepared image: 30 ms for one of 2048 x 2048 px."""
_SHRUNK_QUALITY = 65
_DEEPEST = 9


@dataclass(frozen=True, slots=True)
class OutputLimits:
    """What a prepared image may be; None sets no limit.

    Attributes:
        longest_side_px: the longest side, beside that of ``detail``.
        base64_bytes: the most bytes as base64, in which requests carry images (RFC 4648 §4: four for three).
        formats: the names of the formats that are taken, JPEG or PNG among them: those are what is encoded here.

    """

    longest_side_px: int | None = None
    base64_bytes: int | None = None
    formats: frozenset[str] | None = None

    @property
    def key(self) -> str:
        """The limits as a short text, the same for the same limits."""
        formats = "" if self.formats is None else ",".join(sorted(self.formats))
        return f"{self.longest_side_px or ''}/{self.base64_bytes or ''}/{formats}"

    def allow(self, image_bytes: int, format_name: str, longest_side_px: int) -> bool:
        """Whether an image of so many bytes, of this format and this longest side is within the limits."""
        return (
            (self.base64_bytes is None or base64_length(image_bytes) <= self.base64_bytes)
            and (self.formats is None or format_name in self.formats)
            and (self.longest_side_px is None or longest_side_px <= self.longest_side_px)
        )


NO_LIMITS = OutputLimits()


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """An encoded image, its format, its sides in px, and whether limits made it other than it would have been."""

    data: bytes
    source_format: ImageFormat
    width_px: int
    height_px: int
    limited: bool = True


def base64_length(image_bytes: int) -> int:
    """Return the length of so many bytes as padded base64 (RFC 4648 §4)."""
    return 4 * -(-image_bytes // 3)


def encode_within(
    image: Image.Image, source_format: ImageFormat, limits: OutputLimits, *, full_chroma: bool = False
) -> EncodedImage:
    """Encode an upright L or RGB image as ``encode`` does, or the first way on from there that is within ``limits``.

    A pure function of the pixels and the limits: the same image gives the same bytes each time.

    Raises:
        ImageError: ``image_too_large``, if none of a fixed number of ways is.

    """
    width_px, height_px = image.size
    data, output_format = encode(image, source_format, full_chroma=full_chroma)
    if limits.allow(len(data), output_format.name, max(image.size)):
        return EncodedImage(data, output_format, width_px, height_px, limited=False)
    for encoded in _ways(image, limits, full_chroma=full_chroma or source_format is not JPEG):
        if limits.allow(len(encoded.data), encoded.source_format.name, max(encoded.width_px, encoded.height_px)):
            return encoded
    raise ImageError(
        "image_too_large",
        f"The image cannot be made small enough for this model, whose upstream takes {limits.base64_bytes} bytes of "
        "base64 an image (max_image_bytes in the catalog). Crop it, or send it with fewer details.",
        limits.base64_bytes,
    )


def _ways(image: Image.Image, limits: OutputLimits, *, full_chroma: bool) -> Iterator[EncodedImage]:
    width_px, height_px = image.size
    if limits.formats is not None and JPEG.name not in limits.formats:
        yield EncodedImage(encode_png(image), PNG, width_px, height_px)
        yield EncodedImage(encode_png(image, _DEEPEST), PNG, width_px, height_px)
        for factor in _SHRINK:
            smaller = _shrunk(image, factor)
            yield EncodedImage(encode_png(smaller, _DEEPEST), PNG, *smaller.size)
        return
    yield EncodedImage(encode_jpeg(image, full_chroma=full_chroma), JPEG, width_px, height_px)
    for quality in _QUALITIES:
        yield EncodedImage(encode_jpeg(image, quality, full_chroma=False), JPEG, width_px, height_px)
    for factor in _SHRINK:
        smaller = _shrunk(image, factor)
        yield EncodedImage(encode_jpeg(smaller, _SHRUNK_QUALITY, full_chroma=False), JPEG, *smaller.size)


def _shrunk(image: Image.Image, factor: float) -> Image.Image:
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return image.resize(size, Image.Resampling.LANCZOS)
