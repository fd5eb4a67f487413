"""Decode a JPEG with the proof that every block of it was in the file.

libjpeg only warns of missing data, and Pillow counts no warnings: it fills what is missing with grey. But libjpeg can
wait for more bytes, and Pillow's decoder says how many it has taken. So it gets the entropy-coded data up to the next
marker, followed by padding, and not yet that marker: a decoder that has every block now waits for the marker, and skips
whatever else it gets; one that has not waits for more bits of a block. ADR 60.
"""

from typing import Any

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from obscura.imaging.container import EntropyScan

_ONES, _ZEROS = b"\xff\0", b"\0"
"""Eight bits of padding, as they are written into entropy-coded data."""
_READ_AHEAD = 8
"""libjpeg-turbo fills a register of 64 bits, whether it needs them or not (jdhuff.c, ``jpeg_fill_bit_buffer``)."""
_PROBE_BYTES = 4
"""Fewer than complete that register when a code needs more bits, so that a waiting decoder takes none of them."""
_SURPLUS_BYTES, _SURPLUS_BETWEEN_SCANS_BYTES, _SURPLUS_PART = 1024, 64, 64
"""No photograph of the corpora has 8 bytes more than its blocks need. Damaged data uses up more or less than that."""
_CHECKED_ROWS = 64
_EOI = b"\xff\xd9"
_FINISHED = -1


class MissingPixelsError(Exception):
    """The file has not every block, or far more coded data than its blocks need: other data than was written."""


def load(image: JpegImageFile, content: bytes, scans: tuple[EntropyScan, ...]) -> None:
    """Decode an opened JPEG, at the size that was drafted.

    Args:
        image: opened from ``content``; nothing loaded yet.
        content: SOI, the segments that a decoder needs, the scans; and EOI, unless the file ends without one.
        scans: where they are in ``content``; none of them lacks data for certain (``header``).

    Raises:
        MissingPixelsError: entropy-coded data is missing, or over 1 KiB and a 64th of a scan are left over that are no
            mere padding. Not noticed are less than 64 bits at the end of a scan or restart interval, except of a file
            that has no EOI, and other data that happens to code nearly as many blocks as the original.
        OSError: libjpeg's own errors.

    """
    begun: Image.Image | None = None
    if not content.endswith(_EOI):
        # The last byte itself may be missing: the image must not depend on the bits that stand in for it.
        begun = _last_rows(_decoded(image, Image.new(image.mode, image.size, None), content, scans, _ZEROS))
    image.load_prepare()
    _decoded(image, image, content, scans, _ONES)
    if begun is not None and begun.tobytes() != _last_rows(image).tobytes():
        raise MissingPixelsError
    image.tile = []
    image.fp = None


def _last_rows(image: Image.Image) -> Image.Image:
    # Not of an ImageFile that does not know yet that it is loaded.
    pixels = Image.Image()._new(image.im)
    return pixels.crop((0, max(0, image.height - _CHECKED_ROWS), image.width, image.height))


def _decoded(
    image: JpegImageFile, target: Image.Image, content: bytes, scans: tuple[EntropyScan, ...], padding: bytes
) -> Image.Image:
    name, extents, _, arguments = image.tile[0]
    decoder = Image._getdecoder(image.mode, name, arguments, image.decoderconfig)
    decoder.setimage(target.im, extents)
    try:
        _Feed(decoder, content, padding).give_scans(scans)
    except _SurplusError as error:
        # Cameras that write into a buffer of fixed size fill the rest of it: whole if it is without that filling.
        filling = _filling_bytes(content[scans[-1].start : scans[-1].end])
        if len(scans) > 1 or scans[0].restarts or filling <= error.surplus_bytes:
            raise MissingPixelsError from None
        end = scans[0].end - filling
        shorter = content[:end] + content[scans[0].end :]
        return _decoded(image, target, shorter, (EntropyScan(scans[0].start, end),), padding)
    return target


def _filling_bytes(data: bytes) -> int:
    return len(data) - len(data.rstrip(data[-1:]))


class _SurplusError(Exception):
    def __init__(self, surplus_bytes: int) -> None:
        super().__init__()
        self.surplus_bytes = surplus_bytes


class _Feed:
    """Feeds a decoder its bytes; ``_fed`` of them have been taken."""

    def __init__(self, decoder: Any, content: bytes, padding: bytes) -> None:
        self._decoder, self._view, self._padding = decoder, memoryview(content), padding
        self._fed = 0

    def give_scans(self, scans: tuple[EntropyScan, ...]) -> None:
        """Decode every scan; returns when the last row is there."""
        for scan in scans:
            start = scan.start
            least = _SURPLUS_BYTES if scan is scans[-1] else _SURPLUS_BETWEEN_SCANS_BYTES
            for end in (*scan.restarts, scan.end):
                if self._finishes_with(end, max(least, (end - start) // _SURPLUS_PART)):
                    return
                start = end
        rest = bytes(self._view[self._fed :])
        if self._give(rest.removesuffix(_EOI) + _EOI) != _FINISHED:
            raise MissingPixelsError

    def _finishes_with(self, end: int, surplus_bytes: int) -> bool:
        """Feed what is left up to ``end``; return whether the image is finished."""
        if end - self._fed > surplus_bytes:
            self._check_surplus(end - surplus_bytes, surplus_bytes)
        rest = bytes(self._view[self._fed : end]) + self._padding * _READ_AHEAD
        taken = self._give(rest)
        if taken == _FINISHED:
            return True
        if taken != len(rest) or self._give(self._padding) != len(self._padding):
            raise MissingPixelsError
        self._fed = end
        return False

    def _check_surplus(self, end: int, surplus_bytes: int) -> None:
        """Feed what is left up to ``end``, which must not be enough."""
        for stop in (end, end + _PROBE_BYTES):
            taken = self._give(self._view[self._fed : stop])
            if taken == _FINISHED:
                raise _SurplusError(surplus_bytes)
            self._fed += taken
            if self._fed < stop:
                return
        raise _SurplusError(surplus_bytes)

    def _give(self, data: bytes | memoryview) -> int:
        """Return how many bytes the decoder took, or ``_FINISHED``; it gets the others again."""
        taken: int
        taken, error = self._decoder.decode(data)
        if error < 0:
            raise OSError("broken data stream")
        return taken
