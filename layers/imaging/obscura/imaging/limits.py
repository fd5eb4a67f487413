"""How large an image may be when it is sent, and how large it is when it leaves."""

from dataclasses import dataclass, field
from enum import StrEnum

from obscura.imaging.container import ContainerInfo
from obscura.imaging.decode_memory import MAX_DECODE_BYTES, DecodeMemory, UnboundedMemory
from obscura.imaging.errors import ImageError, corrupt
from obscura.imaging.fit import NO_LIMITS, OutputLimits


class Detail(StrEnum):
    """How much detail the model gets: OpenAI's ``detail``."""

    LOW = "low"
    AUTO = "auto"
    HIGH = "high"

    @property
    def longest_side_px(self) -> int:
        """The longest side that a prepared image may have."""
        return _SIDE_PX[self]


_SIDE_PX = {Detail.LOW: 768, Detail.AUTO: 1280, Detail.HIGH: 2048}


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What the operator decides about images.

    Attributes:
        raw_bytes: the most bytes of one image, as sent.
        pixels: the most pixels that one image may decode to.
        aspect_ratio: the n of the most extreme n:1.
        decode_bytes: the most memory that one decode may take.
        memory: what decodes take their memory from; it waits while others hold too much of it.
        flatten_onto: the colour, R, G and B of 0 to 255, that shows through where an image is transparent.
        output: what the prepared image may be, by its model's upstream.

    """

    raw_bytes: int = 15 * 1024 * 1024
    pixels: int = 64_000_000
    aspect_ratio: int = 200
    flatten_onto: tuple[int, int, int] = (255, 255, 255)
    decode_bytes: int = MAX_DECODE_BYTES
    memory: DecodeMemory = field(default_factory=UnboundedMemory, compare=False, repr=False)
    output: OutputLimits = NO_LIMITS

    def longest_side_px(self, detail: Detail) -> int:
        """Return the longest side of what is prepared: that of ``detail``, or the output's, if that is less."""
        side_px = self.output.longest_side_px
        return detail.longest_side_px if side_px is None else min(detail.longest_side_px, side_px)


def check_raw_bytes(raw_bytes: int, limits: ImageLimits) -> None:
    """Reject an empty image, and one of more bytes than ``limits`` allow.

    Raises:
        ImageError: ``invalid_image`` or ``image_too_large``.

    """
    if raw_bytes == 0:
        raise ImageError("invalid_image", "The image is empty: 0 bytes. Send the whole file.")
    if raw_bytes > limits.raw_bytes:
        raise ImageError(
            "image_too_large",
            f"The image has {raw_bytes} bytes; the limit is {limits.raw_bytes}. "
            "Send it smaller or more strongly compressed.",
            limits.raw_bytes,
        )


def check_dimensions(info: ContainerInfo, limits: ImageLimits) -> None:
    """Reject by the size that the container declares, before anything is decoded.

    Raises:
        ImageError: ``invalid_image`` (a side of zero), ``image_too_many_pixels`` or ``unsupported_image_dimensions``.

    """
    width_px, height_px, image_format = info.width_px, info.height_px, info.source_format
    if width_px == 0 or height_px == 0:
        raise corrupt(image_format.name, "declares a side of 0 pixels")
    size = f"The image is {width_px} x {height_px} px"
    if width_px * height_px > limits.pixels:
        raise ImageError(
            "image_too_many_pixels",
            f"{size}; the limit is {limits.pixels} pixels in all. Scale it down before sending.",
            limits.pixels,
        )
    if image_format.max_pixels is not None and width_px * height_px > image_format.max_pixels:
        raise ImageError(
            "image_too_many_pixels",
            f"{size}; the limit for {image_format.name} is {image_format.max_pixels} pixels, lower than for other "
            "formats because decoding it takes several times the memory. Scale it down, or send it as JPEG or PNG.",
            image_format.max_pixels,
        )
    if max(width_px, height_px) > limits.aspect_ratio * min(width_px, height_px):
        raise ImageError(
            "unsupported_image_dimensions",
            f"{size}; the longer side may be {limits.aspect_ratio} times the shorter at most. "
            "Crop it or cut it into several images.",
            limits.aspect_ratio,
        )
