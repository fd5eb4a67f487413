"""Facts about a file that a rule may ask for and that preparation takes away: animation, transparency, metadata.

What a format's own structure does not settle here is None: not known.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a file holds beside its pixels; None for what is not known."""

    animated: bool | None = None
    alpha: bool | None = None
    metadata: bool | None = None


def file_facts(data: bytes, source_format: str) -> FileFacts:
    """Return the facts of a file that passed the scan of its format, by the format's name."""
    facts = {"PNG": _png, "JPEG": _jpeg, "WEBP": _webp, "GIF": _gif}.get(source_format)
    try:
        return facts(data) if facts is not None else FileFacts()
    except (struct.error, IndexError):
        return FileFacts()


def _png(data: bytes) -> FileFacts:
    """PNG (third edition) §4.7, §11.2.1 (colour types 4 and 6 have alpha), §11.3; APNG's ``acTL`` is part of it."""
    kinds: set[bytes] = set()
    position = 8
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        kinds.add(kind)
        position += 12 + length
        if kind == b"IEND":
            break
    is_whole = b"IEND" in kinds and position >= len(data)
    metadata = bool(kinds & {b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"tIME"}) or not is_whole
    return FileFacts(b"acTL" in kinds, data[25] in {4, 6} or b"tRNS" in kinds, metadata)


def _jpeg(data: bytes) -> FileFacts:
    """ITU-T T.81 §B.1.1.3: segments up to the first scan. APP0 (JFIF), APP2 (ICC) and APP14 (Adobe) are of the pixels.

    Bytes after the end of the image count as metadata; a JPEG has neither frames nor alpha.
    """
    position, metadata = 2, not data.rstrip(b"\0").endswith(b"\xff\xd9")
    while data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xDA:
            return FileFacts(False, False, metadata)
        if marker == 0xFF:
            position += 1
            continue
        (length,) = struct.unpack_from(">H", data, position + 2)
        start = data[position + 4 : position + 4 + 12]
        is_of_pixels = marker in {0xE0, 0xEE} or (marker == 0xE2 and start == b"ICC_PROFILE\0")
        metadata |= marker == 0xFE or (0xE0 <= marker <= 0xEF and not is_of_pixels)
        position += 2 + length
    return FileFacts(False, False, None)


def _webp(data: bytes) -> FileFacts:
    """WebP container specification, "Extended File Format": flags of VP8X; VP8L has a bit of its own for alpha."""
    kind = data[12:16]
    if kind == b"VP8X":
        flags = data[20]
        return FileFacts(bool(flags & 0x02), bool(flags & 0x10), bool(flags & 0x0C))
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return FileFacts(False, bool(bits >> 28 & 1), False)
    return FileFacts(False, False, False)


def _gif(data: bytes) -> FileFacts:
    """GIF89a §17 to §26: blocks up to the trailer."""
    frames, alpha, metadata = 0, False, False
    for kind, content in _gif_blocks(data):
        if kind == 0x2C:
            frames += 1
        elif kind == 0xF9:
            alpha |= bool(content[0] & 1)
        elif kind == 0xFE or (kind == 0xFF and content[:11] not in {b"NETSCAPE2.0", b"ANIMEXTS1.0"}):
            metadata = True
    return FileFacts(frames > 1, alpha, metadata)


def _gif_blocks(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield 0x2C for each image, and each extension's label with its first sub-block."""
    position = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    while data[position] != 0x3B:
        if data[position] == 0x2C:
            flags = data[position + 9]
            position += 10 + (3 << (flags & 7) + 1 if flags & 0x80 else 0) + 1
            yield 0x2C, b""
        else:
            label, size = data[position + 1], data[position + 2]
            yield label, data[position + 3 : position + 3 + size]
            position += 2
        while data[position]:
            position += 1 + data[position]
        position += 1
