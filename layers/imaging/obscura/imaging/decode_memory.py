"""What a decode will take, from the header alone: its memory, and the bytes that it inflates (ADR 72)."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from obscura.imaging.container import ContainerInfo
from obscura.imaging.errors import ImageError

MAX_DECODE_BYTES = 432 * 1024 * 1024
"""A progressive JPEG of 64 megapixels in 4:4:4, a WEBP of 25 in a file of 15 MiB, and any PNG of 64 need less."""
MAX_RASTER_BYTES = 288_000_000
"""64 megapixels of 8 bits in four channels, 36 of 16: 2 s of CPU, of which inflating is nearly all."""
_FILE_COPIES = 3
"""The file, the image's bytes alone, and what the decoder reads of them."""
_STRIP_BYTES = 16 * 1024 * 1024
"""Pixels of another mode are converted in strips of a megapixel (``resize``)."""
_PIXEL_BYTES = 4
"""Pillow keeps all but one-channel pixels in four bytes."""
_REDUCING_GAP = 1.5


class DecodeMemory(Protocol):
    """Memory that decodes share. Any number of threads may ask at once."""

    def reserve(self, size_bytes: int) -> AbstractContextManager[None]:
        """Hold ``size_bytes`` while the context lasts; waits until they are free."""
        ...


class UnboundedMemory:
    """Memory without a limit: nothing waits."""

    @contextmanager
    def reserve(self, size_bytes: int) -> Iterator[None]:
        """Hold nothing."""
        yield


def decode_bytes(info: ContainerInfo, file_bytes: int, size: tuple[int, int], scale: int = 1) -> int:
    """Return how many bytes it takes to decode an image and to resize it to ``size`` (as stored, before it is turned).

    An upper bound: measured peaks are at most this and the interpreter's own 40 MB (``tests/security/images``).
    The decoder's own memory is free again once the resize begins.

    Args:
        info: what the scan found.
        file_bytes: of the whole file.
        size: the sides after the resize.
        scale: 1, 2, 4 or 8, at which a JPEG is decoded.

    """
    width_px, height_px = -(-info.width_px // scale), -(-info.height_px // scale)
    pixels = info.width_px * info.height_px
    decoder = info.decoder_bytes + pixels * info.source_format.decoder_bytes_per_pixel
    return width_px * height_px * info.pixel_bytes + _FILE_COPIES * file_bytes + _STRIP_BYTES + max(
        decoder, _resize_bytes(width_px, height_px, size)
    )  # fmt: skip


def _resize_bytes(width_px: int, height_px: int, size: tuple[int, int]) -> int:
    """Return what ``Image.resize`` takes: a reduced image, one pass over its width, the result, and its encoding."""
    factor = max(1, int(min(width_px / size[0], height_px / size[1]) / _REDUCING_GAP))
    reduced_px = (width_px // factor + 1) * (height_px // factor + 1) if factor > 1 else 0
    pass_px = size[0] * (height_px // factor + 1)
    return _PIXEL_BYTES * (reduced_px + pass_px + 2 * size[0] * size[1])


def check_decode(info: ContainerInfo, needed_bytes: int, max_bytes: int) -> None:
    """Reject what would take more memory than ``max_bytes``, or inflate to more than ``MAX_RASTER_BYTES``.

    Raises:
        ImageError: ``image_too_many_pixels``.

    """
    name = info.source_format.name
    kind = f"The {name} image is {info.width_px} x {info.height_px} px"
    if info.raster_bytes > MAX_RASTER_BYTES:
        raise ImageError(
            "image_too_many_pixels",
            f"{kind} of {info.bit_depth} bits a sample, {info.raster_bytes} bytes in all; the limit is "
            f"{MAX_RASTER_BYTES}. Save it with 8 bits a sample, or scale it down.",
            MAX_RASTER_BYTES,
        )
    if needed_bytes > max_bytes:
        how = ", and progressive or CMYK" if info.decoder_bytes and name == "JPEG" else ""
        way_out = "Save it as a baseline JPEG in RGB" if how else "Send it as a baseline JPEG"
        raise ImageError(
            "image_too_many_pixels",
            f"{kind}{how}: decoding it takes {needed_bytes} bytes of memory; the limit is {max_bytes}. "
            f"{way_out}, or scale it down.",
            max_bytes,
        )
