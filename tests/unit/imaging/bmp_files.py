"""BMP files written by hand, header by header."""

import struct


def a_bmp(
    width: int,
    height: int,
    bits: int,
    pixels: bytes,
    *,
    header: int = 40,
    compression: int = 0,
    palette: bytes = b"",
    colours: int = 0,
    masks: tuple[int, ...] = (),
    data_bytes: int = 0,
) -> bytes:
    """A BMP of these rows; ``masks`` stand in headers of more than 40 bytes, and after one of 40."""
    if header == 12:
        info = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        info = struct.pack("<IiiHHIIiiII", header, width, height, 1, bits, compression, data_bytes, 0, 0, colours, 0)
        packed = struct.pack(f"<{len(masks)}I", *masks)
        info = info + packed if header == 40 else (info + packed).ljust(header, b"\0")
    start = 14 + len(info) + len(palette)
    return struct.pack("<2sIHHI", b"BM", start + len(pixels), 0, 0, start) + info + palette + pixels


def rows_of(*rows: bytes) -> bytes:
    """Rows from the lowest to the highest, each padded to four bytes."""
    return b"".join(row.ljust(-(-len(row) // 4) * 4, b"\0") for row in reversed(rows))
