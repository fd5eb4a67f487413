"""From the bytes of an image to its pixels: the only place where Pillow reads what a stranger wrote."""

import io
from collections.abc import Callable
from typing import IO

from PIL import ImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from obscura.imaging.container import ContainerInfo, SourceFormat
from obscura.imaging.errors import corrupt

_READERS: dict[SourceFormat, Callable[[IO[bytes]], ImageFile.ImageFile]] = {
    SourceFormat.JPEG: JpegImageFile,
    SourceFormat.PNG: PngImageFile,
    SourceFormat.WEBP: WebPImageFile,
    SourceFormat.GIF: GifImageFile,
}
# What a tRNS sample has to be multiplied by to meet Pillow's pixels, which are 8-bit whatever the depth of the file.
_TO_EIGHT_BITS = {2: 85.0, 4: 17.0, 16: 1 / 257}


def decode(data: bytes, facts: ContainerInfo, scale: int = 1) -> ImageFile.ImageFile:
    """Decode the image whole; that is also the proof that it is whole.

    The reader of the sniffed format is called by itself rather than through ``Image.open``: no other format can take
    the bytes, and Pillow's process-wide ``MAX_IMAGE_PIXELS`` decides nothing (``limits`` has, before).

    Args:
        data: the file.
        facts: what its walk found.
        scale: for a JPEG, 1, 2, 4 or 8: decode at 1/scale of the size (libjpeg's scaled inverse transform).

    Raises:
        ImageRefused: ``invalid_image``, whatever it was that Pillow raised.

    """
    try:
        image = _READERS[facts.source_format](io.BytesIO(_release(data, facts)))
        if image.size == (facts.width_px, facts.height_px):
            if scale > 1:
                image.draft(None, (facts.width_px // scale, facts.height_px // scale))
            # One call of the decoder for the whole file: no copies of its parts, one release of the interpreter's lock.
            image.decodermaxblock = max(len(data), ImageFile.MAXBLOCK)
            image.load()
            _match_transparency(image, facts)
            return image
    except Exception as problem:
        # Pillow raises OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, struct.error, zlib.error,
        # OverflowError, MemoryError and DecompressionBombError on hostile files, and promises no list.
        raise corrupt(facts.source_format, "cannot be decoded: it is damaged or cut short") from problem
    raise corrupt(facts.source_format, "contradicts itself about its size")


def _release(data: bytes, facts: ContainerInfo) -> bytes:
    if facts.spans == ((0, len(data)),):
        return data
    view = memoryview(data)
    return b"".join(view[start:end] for start, end in facts.spans)


def _match_transparency(image: ImageFile.ImageFile, facts: ContainerInfo) -> None:
    """Bring the transparent colour of a PNG's tRNS chunk to the depth of the pixels; Pillow leaves it at the file's."""
    colour = image.info.get("transparency")
    factor = _TO_EIGHT_BITS.get(facts.bit_depth)
    if factor is None or image.mode == "P":
        return
    if isinstance(colour, int):
        image.info["transparency"] = int(colour * factor)
    elif isinstance(colour, tuple):
        image.info["transparency"] = tuple(int(sample * factor) for sample in colour)
