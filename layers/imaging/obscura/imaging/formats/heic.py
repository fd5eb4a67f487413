"""HEIC: a walk over its boxes (HEIF, ISO/IEC 23008-12) and HEVC headers; the decoder gets coded images alone.

Of a file the primary image and its alpha channel are taken, as the parameter sets and slices of their HEVC streams,
each put into a file of its own that is written here. So the decoder sees no box of the caller's, no metadata, no
thumbnail and no further image, and a grid is never in its memory as a whole.
"""

import struct

from obscura.imaging.container import MAX_PROFILE_BYTES, ContainerInfo, ImageFormat
from obscura.imaging.errors import ImageError, corrupt
from obscura.imaging.heic_decoder import HeicImageFile, Plane, Rectangle, one_image, write_plan
from obscura.imaging.hevc import CodedSize, coded_size, parameter_sets, still_image
from obscura.imaging.isobmff import (
    Box,
    BoxReader,
    Cursor,
    MalformedBoxError,
    TruncatedFileError,
    read_items,
    read_references,
)

_MAX_PIXELS = 25_000_000
"""A phone's photograph of 24 megapixels, in cells of 512 px, takes 6 bytes a pixel: 180 MB with the interpreter."""
_MAX_SAMPLES = 40_000_000
"""Luma, chroma and alpha: 20 to 50 ns each; 4:2:0 has 1.5 a pixel, 4:4:4 with alpha 4."""
_MAX_DECODED_BYTES = 270_000_000
_CODED_BYTES, _WHOLE_BYTES = 15, 5
"""Most bytes for each pixel of one coded image while it is decoded, and of the whole that cells are put together in."""
_MAX_CELLS = 600
_MAX_ITEMS = 1200
"""A photograph of 200 megapixels has 768 cells: its error has to say that it is too large, not that it is broken."""
_SAMPLES_PER_PIXEL = {0: 1.0, 1: 1.5, 2: 2.0, 3: 3.0}
_CODED_UNIT_PX = 64
"""Coded sides may be larger than those that are shown, up to the next coding tree block."""

_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"mif2", b"msf1"})
_ALPHA_KINDS = frozenset({b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1"})
_ORIENTATIONS = {
    (False, 0): 1, (False, 1): 8, (False, 2): 3, (False, 3): 6,
    (True, 0): 2, (True, 1): 5, (True, 2): 4, (True, 3): 7,
}  # fmt: skip
"""EXIF's number for a mirror (left and right swapped) and then anticlockwise quarter turns.

An orientation in EXIF does not count (MIAF, ISO/IEC 23000-22 §7.3.6.9)."""


def scan(data: bytes) -> ContainerInfo:
    """Scan a HEIC: the primary item, with its alpha channel if it has one.

    Raises:
        ImageError: ``invalid_image``: cut, malformed, or with more coded pixels than it shows;
            ``unsupported_image_format``: its primary image is not HEVC.

    """
    try:
        return _Scan(BoxReader(data)).info()
    except TruncatedFileError:
        raise corrupt("HEIC", "is cut short") from None
    except MalformedBoxError:
        raise corrupt("HEIC", "has a malformed box") from None


class _Scan:
    def __init__(self, boxes: BoxReader) -> None:
        self._boxes, self._data = boxes, boxes.data
        meta = self._find_meta()
        self._items = read_items(boxes, meta, _MAX_ITEMS)
        self._references = read_references(boxes, meta)
        self._cells = self._stream_bytes = 0

    def info(self) -> ContainerInfo:
        items, primary = self._items, self._items.primary
        if primary not in items.properties or primary not in items.kinds:
            raise corrupt("HEIC", "has no primary image")
        width_px, height_px = self._size(primary)
        orientation, crop = self._transformations(items.properties[primary], width_px, height_px)
        decoded: tuple[bytes, ...] = ()
        decoder_bytes = 0
        if 0 < width_px * height_px <= _MAX_PIXELS:
            colours = self._plane(primary)
            alpha_item = self._alpha_item()
            alpha = None if alpha_item is None else self._plane(alpha_item)
            if alpha and (alpha.width_px, alpha.height_px) != (width_px, height_px):
                raise corrupt("HEIC", "has an alpha channel of another size")
            decoder_bytes = _check_cost(colours, alpha)
            is_premultiplied = (b"prem", primary, [alpha_item]) in self._references
            decoded = (write_plan(colours, alpha, crop, is_premultiplied=is_premultiplied),)
        left, top, right, bottom = crop
        profile = self._icc_profile(primary)
        return ContainerInfo(
            HEIC,
            right - left,
            bottom - top,
            orientation,
            False,
            decoded,
            icc_profile=profile,
            decoder_bytes=decoder_bytes,
        )

    def _find_meta(self) -> Box:
        position = 0
        while position < len(self._data):
            box = self._boxes.box_at(position, len(self._data))
            if box.end > len(self._data):
                raise TruncatedFileError
            if box.kind == b"meta":
                return box
            if box.kind == b"moov":
                raise _unsupported("an image sequence without a still image")
            position = box.end
        raise TruncatedFileError

    def _size(self, item: int) -> tuple[int, int]:
        extent = self._items.property_of(item, b"ispe")
        if extent is None:
            raise MalformedBoxError
        cursor, _, _ = self._boxes.open_full(extent)
        return cursor.uint(4), cursor.uint(4)

    def _plane(self, item: int) -> Plane:
        kind = self._items.kinds.get(item, b"")
        width_px, height_px = self._size(item)
        nclx = self._nclx(item)
        if kind == b"hvc1":
            file, coded = self._cell(item, nclx)
            return _plane((width_px, height_px), (width_px, height_px), [(file, coded)])
        if kind != b"grid":
            raise _unsupported(f"an image of the kind {kind.decode('ascii', 'replace')!a}")
        rows, columns = self._grid(item, width_px, height_px)
        cells = [cell for kind, start, to in self._references if (kind, start) == (b"dimg", item) for cell in to]
        if len(cells) != rows * columns:
            raise corrupt("HEIC", "is a grid that lacks cells")
        cell_width_px, cell_height_px = self._size(cells[0])
        if not (
            columns * cell_width_px >= width_px > (columns - 1) * cell_width_px
            and rows * cell_height_px >= height_px > (rows - 1) * cell_height_px
        ):
            raise corrupt("HEIC", "contradicts itself about its size")
        read = [self._cell(cell, nclx, (cell_width_px, cell_height_px)) for cell in cells]
        return _plane((width_px, height_px), (cell_width_px, cell_height_px), read)

    def _grid(self, item: int, width_px: int, height_px: int) -> tuple[int, int]:
        """Read the rows and columns of a grid (ISO/IEC 23008-12 §6.6.2.3)."""
        grid = bytes(self._items.payload(item))
        cursor = Cursor(grid, 1, len(grid))
        side_bytes = 4 if cursor.uint(1) & 1 else 2
        rows, columns = cursor.uint(1) + 1, cursor.uint(1) + 1
        if (cursor.uint(side_bytes), cursor.uint(side_bytes)) != (width_px, height_px):
            raise corrupt("HEIC", "contradicts itself about its size")
        return rows, columns

    def _cell(self, item: int, nclx: bytes, size: tuple[int, int] | None = None) -> tuple[bytes, CodedSize]:
        """Write the file of one coded image.

        ``nclx`` are the colours of a grid, for a cell that states none.
        """
        items = self._items
        config = items.property_of(item, b"hvcC")
        width_px, height_px = self._size(item)
        if items.kinds.get(item) != b"hvc1" or config is None or (size and size != (width_px, height_px)):
            raise corrupt("HEIC", "has cells that do not fit together")
        if size and any(each.kind in {b"irot", b"imir", b"clap"} for each in items.properties[item]):
            raise corrupt("HEIC", "turns or crops the cells of its grid")
        stream = bytes(items.payload(item))
        self._cells += 1
        self._stream_bytes += len(stream)
        # Cells that are all the same item would multiply the time that its bytes take.
        if self._cells > _MAX_CELLS or self._stream_bytes > len(self._data):
            raise corrupt("HEIC", "has more coded images than its size allows")
        sets, length_bytes = parameter_sets(self._data[config.start : config.end])
        inner_sets, slices = still_image(stream, length_bytes)
        coded = coded_size(sets + inner_sets)
        largest = -(-width_px // _CODED_UNIT_PX) * -(-height_px // _CODED_UNIT_PX) * _CODED_UNIT_PX**2
        if coded.width_px < width_px or coded.height_px < height_px or coded.coded_pixels > largest:
            raise corrupt("HEIC", "codes more or fewer pixels than it shows")
        header = bytearray(self._data[config.start : config.start + 22])
        header[16], header[21] = 0xFC | coded.chroma_format, header[21] | 3
        header[17] = header[18] = 0xF8 | coded.bit_depth - 8
        size_coded = coded.width_px, coded.height_px
        file = one_image(bytes(header), sets + inner_sets, slices, size_coded, self._nclx(item) or nclx)
        return file, coded

    def _nclx(self, item: int) -> bytes:
        """Return the numbers of an ``nclx`` colour box (ISO/IEC 14496-12 §12.1.5), or nothing."""
        for each in self._items.properties.get(item, ()):
            if each.kind == b"colr" and self._data[each.start : each.start + 4] == b"nclx":
                return self._data[each.start + 4 : min(each.end, each.start + 11)].ljust(7, b"\0")
        return b""

    def _icc_profile(self, item: int) -> bytes | None:
        """Return the ICC profile of an image (ISO/IEC 14496-12 §12.1.5), or that of a grid's first cell."""
        cells = [to[0] for kind, start, to in self._references if (kind, start) == (b"dimg", item) and to]
        for each in (box for source in [item, *cells] for box in self._items.properties.get(source, ())):
            kind = self._data[each.start : each.start + 4]
            if each.kind == b"colr" and kind in {b"prof", b"rICC"} and each.end - each.start <= MAX_PROFILE_BYTES:
                return self._data[each.start + 4 : each.end]
        return None

    def _alpha_item(self) -> int | None:
        for kind, item, masters in self._references:
            auxiliary = self._items.property_of(item, b"auxC")
            if kind == b"auxl" and self._items.primary in masters and auxiliary is not None:
                name = self._data[auxiliary.start + 4 : auxiliary.end].split(b"\0")[0]
                if name in _ALPHA_KINDS:
                    return item
        return None

    def _transformations(self, properties: list[Box], width_px: int, height_px: int) -> tuple[int, Rectangle]:
        """Return the orientation and the part that is shown, in pixels before they are turned."""
        is_mirrored, turns = False, 0
        crop = (0, 0, width_px, height_px)
        for each in properties:
            value = self._data[each.start] if each.start < each.end else 0
            if each.kind == b"irot":
                turns += value & 3
            elif each.kind == b"imir":
                # Swapping left and right reverses the turns before it; top and bottom is that and half a turn.
                is_mirrored, turns = not is_mirrored, (0 if value & 1 else 2) - turns
            elif each.kind == b"clap":
                if is_mirrored or turns % 4 or crop != (0, 0, width_px, height_px):
                    raise corrupt("HEIC", "crops after it turns, which MIAF forbids")
                crop = self._clean_aperture(each, width_px, height_px)
        return _ORIENTATIONS[is_mirrored, turns % 4], crop

    def _clean_aperture(self, box: Box, width_px: int, height_px: int) -> Rectangle:
        """Read a ``clap`` box (ISO/IEC 14496-12 §12.1.4): sides and the offset of their centre, as fractions."""
        if box.end - box.start < 32:
            raise MalformedBoxError
        numbers = struct.unpack_from(">IIIIiIiI", self._data, box.start)
        edges: list[int] = []
        for side_px, (shown, divisor, offset, offset_divisor) in (
            (width_px, (numbers[0], numbers[1], numbers[4], numbers[5])),
            (height_px, (numbers[2], numbers[3], numbers[6], numbers[7])),
        ):
            if divisor == 0 or offset_divisor == 0:
                raise MalformedBoxError
            shown_px = shown // divisor
            start = (2 * offset + (side_px - shown_px) * offset_divisor) // (2 * offset_divisor)
            if start < 0 or shown_px < 1 or start + shown_px > side_px:
                raise MalformedBoxError
            edges += [start, start + shown_px]
        return edges[0], edges[2], edges[1], edges[3]


def _plane(size: tuple[int, int], cell_size: tuple[int, int], cells: list[tuple[bytes, CodedSize]]) -> Plane:
    is_grey = all(coded.chroma_format == 0 for _, coded in cells)
    samples = sum(coded.coded_pixels * _SAMPLES_PER_PIXEL[coded.chroma_format] for _, coded in cells)
    return Plane(*size, *cell_size, [file for file, _ in cells], is_grey, int(samples))


def _check_cost(colours: Plane, alpha: Plane | None) -> int:
    """Return the bytes that decoding takes; reject what takes more of them, or more time, than any photograph does.

    Raises:
        ImageError: ``image_too_many_pixels``.

    """
    planes = [colours, alpha] if alpha else [colours]
    samples = sum(plane.samples for plane in planes)
    cell_pixels = max(plane.cell_width_px * plane.cell_height_px for plane in planes)
    is_whole = all(len(plane.cells) == 1 for plane in planes)
    whole_bytes = 0 if is_whole else _WHOLE_BYTES * colours.width_px * colours.height_px
    decoded_bytes = _CODED_BYTES * cell_pixels + whole_bytes
    if samples <= _MAX_SAMPLES and decoded_bytes <= _MAX_DECODED_BYTES:
        return decoded_bytes
    raise ImageError(
        "image_too_many_pixels",
        f"The HEIC image is {colours.width_px} x {colours.height_px} px in {len(colours.cells)} coded images of "
        f"{samples} samples in all; the limit is {_MAX_SAMPLES} samples, and {_MAX_DECODED_BYTES // _CODED_BYTES} "
        "pixels in one coded image. Scale it down, or send it as JPEG or PNG.",
        _MAX_SAMPLES if samples > _MAX_SAMPLES else _MAX_DECODED_BYTES // _CODED_BYTES,
    )


def _unsupported(what: str) -> ImageError:
    return ImageError(
        "unsupported_image_format",
        f"The HEIF file holds {what}; only HEVC images (HEIC) are decoded. Convert it to JPEG or PNG.",
    )


def _recognizes(data: bytes) -> bool:
    if data[4:8] != b"ftyp":
        return False
    end = min(int.from_bytes(data[:4]), 8 + 4 * 64)
    return not _BRANDS.isdisjoint({data[8:12], *(data[at : at + 4] for at in range(16, end, 4))})


HEIC = ImageFormat(
    name="HEIC",
    media_type="image/heic",
    recognizes=_recognizes,
    scan=scan,
    reader=HeicImageFile,
    max_pixels=_MAX_PIXELS,
    is_common=False,
    package="pi_heif",
)
