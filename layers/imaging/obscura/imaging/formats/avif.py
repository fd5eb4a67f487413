"""AVIF: a walk over its boxes (AVIF 1.1; HEIF, ISO/IEC 23008-12) and AV1 headers, without decoding a block."""

from dataclasses import dataclass
from typing import IO

from PIL import ImageFile

from obscura.imaging.av1 import coded_pixels
from obscura.imaging.container import MAX_PROFILE_BYTES, ContainerInfo, ImageFormat, Span
from obscura.imaging.errors import corrupt
from obscura.imaging.icc import DISPLAY_P3
from obscura.imaging.isobmff import (
    Box,
    BoxReader,
    Cursor,
    Items,
    MalformedBoxError,
    TruncatedFileError,
    read_items,
)

_MAX_PIXELS = 14_000_000
"""Pillow's decoder takes 9 bytes a pixel for a usual image, 18 with 10 bits, full chroma and alpha, and 26 if synthetic
film grain comes on top: 150, 290 and 410 MB at this cap, with the interpreter."""
_DECODER_BYTES_PER_PIXEL = 22
_MAX_CODED_PIXELS = 2 * _MAX_PIXELS
"""All coded images and layers of a file: the colours, and the alpha channel, which is an image of its own."""
_MAX_SAMPLES = 65_536

_VISUAL_SAMPLE_ENTRY_BYTES = 78
_TKHD_BYTES_BEFORE_SIZE = {0: 20 + 52, 1: 32 + 52}
_MASK = b"skip"

_ORIENTATIONS = {
    (0, None): 1, (1, None): 8, (2, None): 3, (3, None): 6,
    (0, 0): 4, (1, 0): 5, (2, 0): 2, (3, 0): 7,
    (0, 1): 2, (1, 1): 7, (2, 1): 4, (3, 1): 5,
}  # fmt: skip
"""EXIF's number for ``irot`` (anticlockwise quarter turns) and ``imir`` (0 swaps top and bottom, 1 left and right).

They are applied in this order (MIAF, ISO/IEC 23000-22 §7.3.6.7); an orientation in EXIF does not count (§7.3.6.9)."""


@dataclass(slots=True)
class _Track:
    is_auxiliary: bool
    width_px: int
    height_px: int
    properties: list[Box]


def scan(data: bytes) -> ContainerInfo:
    """Scan an AVIF: the primary item, or the first frame of an image sequence.

    Raises:
        ImageError: ``invalid_image``: cut, malformed, or with far more coded pixels than it shows.

    """
    try:
        return _Scan(BoxReader(data)).info()
    except TruncatedFileError:
        raise corrupt("AVIF", "is cut short") from None
    except MalformedBoxError:
        raise corrupt("AVIF", "has a malformed box") from None


class _Scan:
    def __init__(self, boxes: BoxReader) -> None:
        self._boxes, self._data = boxes, boxes.data
        self._coded_pixels = 0
        self._exif_kinds_at: list[int] = []

    def info(self) -> ContainerInfo:
        major, parts = self._top_level()
        items = self._read_items(parts[b"meta"]) if b"meta" in parts else Items(self._data)
        tracks = self._read_tracks(parts[b"moov"]) if b"moov" in parts else []
        # The same choice as libavif's (avifDecoderReset).
        if major == b"avis" or (major != b"avif" and tracks):
            track = next((track for track in tracks if not track.is_auxiliary), None)
            if track is None:
                raise corrupt("AVIF", "has no image track")
            width_px, height_px, properties = track.width_px, track.height_px, track.properties
        else:
            width_px, height_px = self._primary_size(items)
            properties = items.properties[items.primary]
        if self._coded_pixels > _MAX_CODED_PIXELS and width_px * height_px <= _MAX_PIXELS:
            raise corrupt("AVIF", "codes far more pixels than it shows")
        orientation = self._orientation(properties)
        spans, profile = self._spans_without_exif(), self._profile(properties)
        return ContainerInfo(AVIF, width_px, height_px, orientation, False, spans, icc_profile=profile)

    def _top_level(self) -> tuple[bytes, dict[bytes, Box]]:
        """Read the file's boxes as far as a decoder does: what follows the last one that it needs is ignored."""
        brands = _brands(self._data)
        needed = {kind for brand, kind in ((b"avif", b"meta"), (b"avis", b"moov")) if brand in brands}
        parts: dict[bytes, Box] = {}
        position = 0
        while not needed <= parts.keys():
            if position == len(self._data):
                raise TruncatedFileError
            box = self._boxes.box_at(position, len(self._data))
            if box.end > len(self._data):
                raise TruncatedFileError
            if box.kind in parts:
                raise MalformedBoxError
            if box.kind in {b"ftyp", b"meta", b"moov"}:
                parts[box.kind] = box
            position = box.end
        return self._data[8:12], parts

    def _read_items(self, meta: Box) -> Items:
        items = read_items(self._boxes, meta)
        for item, kind in items.kinds.items():
            if kind == b"Exif":
                self._exif_kinds_at.append(items.kinds_at[item])
            elif kind == b"av01":
                # A decoder scales what is smaller than its declared size.
                width_px, height_px = self._declared_size(items, item)
                self._coded_pixels += max(coded_pixels(items.payload(item)), width_px * height_px)
        return items

    def _primary_size(self, items: Items) -> tuple[int, int]:
        kind, size = items.kinds.get(items.primary), self._declared_size(items, items.primary)
        if kind not in {b"av01", b"grid"} or items.primary not in items.properties:
            raise corrupt("AVIF", "has no AV1 image")
        if kind == b"grid" and self._grid_size(items) != size:
            raise corrupt("AVIF", "contradicts itself about its size")
        return size

    def _declared_size(self, items: Items, item: int) -> tuple[int, int]:
        extent = items.property_of(item, b"ispe")
        if extent is None:
            return 0, 0
        cursor, _, _ = self._boxes.open_full(extent)
        return cursor.uint(4), cursor.uint(4)

    def _grid_size(self, items: Items) -> tuple[int, int]:
        """Read the output size of a grid (ISO/IEC 23008-12 §6.6.2.3)."""
        grid = bytes(items.payload(items.primary))
        cursor = Cursor(grid, 1, len(grid))
        side_bytes = 4 if cursor.uint(1) & 1 else 2
        cursor.skip(2)
        return cursor.uint(side_bytes), cursor.uint(side_bytes)

    def _read_tracks(self, moov: Box) -> list[_Track]:
        tracks: list[_Track] = []
        for trak in self._boxes.children(moov.start, moov.end):
            if trak.kind != b"trak":
                continue
            parts = self._boxes.parts(trak)
            if b"meta" in parts:
                self._read_items(parts[b"meta"])
            stbl: Box | None = parts.get(b"mdia")
            for kind in (b"minf", b"stbl"):
                stbl = self._boxes.parts(stbl).get(kind) if stbl else None
            properties = self._read_samples(stbl) if stbl else None
            if properties is None or b"tkhd" not in parts:
                continue
            cursor, version, _ = self._boxes.open_full(parts[b"tkhd"])
            cursor.skip(_TKHD_BYTES_BEFORE_SIZE.get(version, 0))
            width_px, height_px = cursor.uint(4) >> 16, cursor.uint(4) >> 16
            is_auxiliary = b"tref" in parts and b"auxl" in self._boxes.parts(parts[b"tref"])
            tracks.append(_Track(is_auxiliary, width_px, height_px, properties))
            self._coded_pixels += width_px * height_px
        return tracks

    def _read_samples(self, stbl: Box) -> list[Box] | None:
        """Count the coded pixels of an AV1 track's first sample, and return the properties of the track."""
        parts = self._boxes.parts(stbl)
        chunks = parts.get(b"stco", parts.get(b"co64"))
        if chunks is None or not {b"stsd", b"stsz", b"stsc"} <= parts.keys():
            return None
        stsd = parts[b"stsd"]
        entries = [entry for entry in self._boxes.children(stsd.start + 8, stsd.end) if entry.kind == b"av01"]
        cursor, _, _ = self._boxes.open_full(chunks)
        chunk_count = cursor.uint(4)
        if not entries or chunk_count == 0:
            return None
        start = cursor.uint(4 if chunks.kind == b"stco" else 8)
        cursor, _, _ = self._boxes.open_full(parts[b"stsz"])
        size_bytes, sample_count = cursor.uint(4), cursor.uint(4)
        end = start + (size_bytes or (cursor.uint(4) if sample_count else 0))
        cursor, _, _ = self._boxes.open_full(parts[b"stsc"])
        samples_per_chunk = 0
        for _ in range(cursor.uint(4)):
            cursor.skip(4)
            samples_per_chunk = max(samples_per_chunk, cursor.uint(4))
            cursor.skip(4)
        if chunk_count * samples_per_chunk > _MAX_SAMPLES:
            raise MalformedBoxError
        if end > len(self._data):
            raise TruncatedFileError
        self._coded_pixels += coded_pixels(memoryview(self._data)[start:end])
        return self._boxes.children(entries[0].start + _VISUAL_SAMPLE_ENTRY_BYTES, entries[0].end)

    def _orientation(self, properties: list[Box]) -> int:
        turn = next((self._data[each.start] & 3 for each in properties if each.kind == b"irot"), 0)
        mirror = next((self._data[each.start] & 1 for each in properties if each.kind == b"imir"), None)
        return _ORIENTATIONS[turn, mirror]

    def _profile(self, properties: list[Box]) -> bytes | None:
        """Return the ICC profile of a ``colr`` box (ISO/IEC 14496-12 §12.1.5), or that of Display P3 if it names this.

        Of the code points of ITU-T H.273, those of Display P3 are read: primaries 12 with the curve of sRGB, 13.
        """
        boxes = [self._data[each.start : each.end] for each in properties if each.kind == b"colr"]
        for box in boxes:
            if box[:4] in {b"prof", b"rICC"} and len(box) <= MAX_PROFILE_BYTES:
                return box[4:]
        return next((DISPLAY_P3 for box in boxes if box[:8] == b"nclx\0\x0c\0\x0d"), None)

    def _spans_without_exif(self) -> tuple[Span | bytes, ...]:
        """Rename EXIF items, so that Pillow, which copies the value of every entry, does not find them."""
        spans: list[Span | bytes] = []
        position = 0
        for kind_at in sorted(self._exif_kinds_at):
            spans += [(position, kind_at), _MASK]
            position = kind_at + len(_MASK)
        return (*spans, (position, len(self._data)))


def _brands(data: bytes) -> set[bytes]:
    """Return the major and the compatible brands of a file that starts with an ``ftyp`` box."""
    end = min(int.from_bytes(data[:4]), 8 + 4 * 64)
    return {data[8:12], *(data[at : at + 4] for at in range(16, end, 4))}


def _recognizes(data: bytes) -> bool:
    return data[4:8] == b"ftyp" and not _brands(data).isdisjoint({b"avif", b"avis"})


def _open(file: IO[bytes]) -> ImageFile.ImageFile:
    """Open an AVIF with Pillow, whose decoder is loaded for the first one.

    One thread decodes: more of them help little, and a hostile grid would cost memory for each thread and cell.
    """
    from PIL import AvifImagePlugin  # noqa: PLC0415 - its library is large, and AVIF is rare

    if not AvifImagePlugin.SUPPORTED:
        raise ImportError("Pillow was built without AVIF.")
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    return AvifImagePlugin.AvifImageFile(file)


AVIF = ImageFormat(
    name="AVIF",
    media_type="image/avif",
    recognizes=_recognizes,
    scan=scan,
    reader=_open,
    max_pixels=_MAX_PIXELS,
    decoder_bytes_per_pixel=_DECODER_BYTES_PER_PIXEL,
    is_common=False,
)
