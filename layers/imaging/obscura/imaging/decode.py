"""From the bytes of an image to its pixels: the only module in which Pillow reads what a caller sent."""

import io

from PIL import ImageFile
from PIL.JpegImagePlugin import JpegImageFile

from obscura.imaging import jpeg_decode
from obscura.imaging.container import ContainerInfo
from obscura.imaging.errors import corrupt

# What a tRNS sample has to be multiplied by to meet Pillow's pixels, which are 8-bit but for grey of 16 bits.
_TO_EIGHT_BITS = {2: 85, 4: 17}


def decode(data: bytes, info: ContainerInfo, scale: int = 1) -> ImageFile.ImageFile:
    """Decode the whole image, which also proves that it is complete.

    The reader of the detected format is called by itself rather than through ``Image.open``: no other format can read
    the bytes, and Pillow's process-wide ``MAX_IMAGE_PIXELS`` decides nothing (``limits`` has, before).

    Args:
        data: the file.
        info: the result of its scan.
        scale: 1, 2, 4 or 8: decode at 1/scale of the size, if the format can (JPEG: libjpeg's scaled inverse
            transform).

    Raises:
        ImageError: ``invalid_image``, for every exception of Pillow.

    """
    name = info.source_format.name
    try:
        content = _image_bytes(data, info)
        image = info.source_format.reader(io.BytesIO(content))
        if image.size == (info.width_px, info.height_px):
            if scale > 1:
                image.draft(None, (info.width_px // scale, info.height_px // scale))
            if isinstance(image, JpegImageFile):
                jpeg_decode.load(image, content, info.entropy_scans)
            else:
                # One call of the decoder for the whole file: no copies, and one release of the interpreter's lock.
                image.decodermaxblock = max(len(data), ImageFile.MAXBLOCK)
                image.load()
            _match_transparency(image, info)
            return image
    except ImportError:
        # Pillow was built without this decoder: the fault of the installation, not of the image.
        raise
    except jpeg_decode.MissingPixelsError:
        raise corrupt(name, "is damaged: a part of its pixels is missing") from None
    except Exception as problem:
        # Pillow raises OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, struct.error, zlib.error,
        # OverflowError, MemoryError, RuntimeError and DecompressionBombError on hostile files, and promises no list.
        raise corrupt(name, "cannot be decoded: it is damaged or cut short") from problem
    raise corrupt(name, "contradicts itself about its size")


def _image_bytes(data: bytes, info: ContainerInfo) -> bytes:
    if info.image_spans == ((0, len(data)),):
        return data
    view = memoryview(data)
    return b"".join(span if isinstance(span, bytes) else view[span[0] : span[1]] for span in info.image_spans)


def _match_transparency(image: ImageFile.ImageFile, info: ContainerInfo) -> None:
    """Bring the transparent colour of a PNG's tRNS chunk to the depth of the pixels; Pillow leaves it at the file's.

    Of a 16-bit truecolour PNG Pillow has the upper eight bits alone, so that the colour is compared by them.
    """
    colour = image.info.get("transparency")
    if isinstance(colour, int) and image.mode != "P":
        image.info["transparency"] = colour * _TO_EIGHT_BITS.get(info.bit_depth, 1)
    elif isinstance(colour, tuple) and info.bit_depth == 16:
        image.info["transparency"] = tuple(sample >> 8 for sample in colour)
