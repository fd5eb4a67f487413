"""The orientation out of an EXIF block, and nothing else out of it."""

import struct

UPRIGHT = 1
_ORIENTATION_TAG = 0x0112
_SHORT = 3
_ENTRIES = 512
"""How many entries of the first directory are looked at: cameras write about 12."""


def exif_orientation(tiff: bytes) -> int:
    """Return the orientation 1 to 8 of an EXIF block that starts at its TIFF header; 1 when it tells none.

    TIFF 6.0 §2 (header, image file directory), EXIF 2.32 §4.6.4 (tag 0x0112, one SHORT). A damaged block is not a
    damaged picture: it counts as upright, as in every viewer.
    """
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return UPRIGHT
    try:
        (directory,) = struct.unpack_from(f"{order}4xI", tiff)
        (count,) = struct.unpack_from(f"{order}H", tiff, directory)
        for index in range(min(count, _ENTRIES)):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, directory + 2 + 12 * index)
            if tag == _ORIENTATION_TAG:
                return value if kind == _SHORT and UPRIGHT <= value <= 8 else UPRIGHT
    except struct.error:
        pass
    return UPRIGHT
