"""TIFF files written by hand, tag by tag."""

import struct
import zlib
from itertools import accumulate

SIZES = {1: "B", 2: "B", 3: "H", 4: "I", 5: "Q", 12: "d", 13: "I", 16: "Q"}
STRIP_OFFSETS, STRIP_SIZES = 273, 279

type Tags = dict[int, tuple[int, tuple[int, ...]]]


def directory(tags: Tags, order: str = "<", at: int = 8) -> bytes:
    """The header, the directory of these tags (number: type, values) at ``at``, and their longer values after it."""
    outside_at = at + 2 + 12 * len(tags) + 4
    entries, outside = b"", b""
    for tag, (kind, values) in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}{SIZES[kind]}", *values)
        if len(packed) > 4:
            offset = outside_at + len(outside)
            outside += packed
            packed = struct.pack(f"{order}I", offset)
        entries += struct.pack(f"{order}HHI", tag, kind, len(values)) + packed.ljust(4, b"\0")
    mark = b"II*\0" if order == "<" else b"MM\0*"
    head = (mark + struct.pack(f"{order}I", at)).ljust(at, b"\0")
    return head + struct.pack(f"{order}H", len(tags)) + entries + bytes(4) + outside


def tags_of(width: int, height: int, *, bits: int = 8, samples: int = 3, photometric: int = 2) -> Tags:
    return {
        256: (4, (width,)),
        257: (4, (height,)),
        258: (3, (bits,) * samples),
        259: (3, (1,)),
        262: (3, (photometric,)),
        277: (3, (samples,)),
    }


def a_tiff(
    tags: Tags, strips: list[bytes], order: str = "<", places: tuple[int, int] = (STRIP_OFFSETS, STRIP_SIZES)
) -> bytes:
    """A file of these strips or tiles, which stand after the directory."""

    def written(start: int) -> bytes:
        offsets = [*accumulate(map(len, strips), initial=start)][:-1]
        own: Tags = {places[0]: (4, tuple(offsets)), places[1]: (4, tuple(map(len, strips)))}
        return directory(own | tags, order)

    return written(len(written(0))) + b"".join(strips)


def deflated(*strips: bytes) -> list[bytes]:
    return [zlib.compress(strip) for strip in strips]
