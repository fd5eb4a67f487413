"""GIF: a walk over its blocks to the trailer (GIF89a specification), without decoding a frame."""

from PIL.GifImagePlugin import GifImageFile

from obscura.imaging.container import UPRIGHT, ContainerInfo, ImageFormat, Span, merge_adjacent
from obscura.imaging.errors import ImageError, corrupt

_MAX_SUB_BLOCKS = 262_144
"""Encoders fill a sub-block with 255 bytes: the largest file has 62,000, and ten thousand tiny frames have 30,000."""
_SCREEN_BYTES = 13
_EXTENSION, _IMAGE, _TRAILER, _GRAPHIC_CONTROL = 0x21, 0x2C, 0x3B, 0xF9


def scan(data: bytes) -> ContainerInfo:
    """Scan a GIF, following its blocks to the trailer. The image is the first frame on the logical screen.

    A first frame that reaches past the logical screen enlarges it, as in browsers and Pillow.

    Raises:
        ImageError: ``invalid_image``: cut, malformed, or without a frame.

    """
    try:
        return _scan_blocks(data)
    except IndexError:
        raise corrupt("GIF", "is cut short") from None


def _scan_blocks(data: bytes) -> ContainerInfo:
    width_px, height_px = _two_words(data, 6)
    position = _SCREEN_BYTES + _colour_table_bytes(data[10])
    head: Span = (0, position)
    control: Span | None = None
    frame: Span | None = None
    sub_blocks = 0
    while data[position] != _TRAILER:
        start = position
        if data[position] == _EXTENSION:
            position += 2
        elif data[position] == _IMAGE:
            position += 10 + _colour_table_bytes(data[position + 9]) + 1
        else:
            raise corrupt("GIF", "has a malformed block")
        position, sub_blocks = _after_sub_blocks(data, position, sub_blocks)
        if frame is None and data[start] == _IMAGE:
            frame = (start, position)
            (left, top), (width, height) = _two_words(data, start + 1), _two_words(data, start + 5)
            width_px, height_px = max(width_px, left + width), max(height_px, top + height)
        elif frame is None and data[start + 1] == _GRAPHIC_CONTROL:
            control = (start, position)
    if frame is None:
        raise corrupt("GIF", "has no frame")
    spans = [head, *([control] if control else []), frame, (position, position + 1)]
    return ContainerInfo(GIF, width_px, height_px, UPRIGHT, False, merge_adjacent(spans), pixel_bytes=1)


def _after_sub_blocks(data: bytes, position: int, sub_blocks: int) -> tuple[int, int]:
    """Skip a chain of sub-blocks and its terminator; return the position after it and the sub-blocks so far."""
    while length := data[position]:
        position += 1 + length
        sub_blocks += 1
        if sub_blocks > _MAX_SUB_BLOCKS:
            raise ImageError(
                "invalid_image",
                f"The GIF image has more than {_MAX_SUB_BLOCKS} blocks. Save it again, or send one frame of it.",
                _MAX_SUB_BLOCKS,
            )
    return position + 1, sub_blocks


def _colour_table_bytes(flags: int) -> int:
    return 3 << ((flags & 0x07) + 1) if flags & 0x80 else 0


def _two_words(data: bytes, position: int) -> tuple[int, int]:
    return data[position] | data[position + 1] << 8, data[position + 2] | data[position + 3] << 8


GIF = ImageFormat(
    name="GIF",
    media_type="image/gif",
    recognizes=lambda data: data.startswith((b"GIF87a", b"GIF89a")),
    scan=scan,
    reader=GifImageFile,
)
