"""Coded HEVC images one by one through libheif, put together here: what the scan of a HEIC found, as pixels.

Each coded image is a HEIF file of its own, which is written here from its parameter sets and slices (ISO/IEC 23008-12):
libheif sees one image, with no transformation and no other box.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageFile

_PLAN = struct.Struct(">4s2I4I?")
"""The mark of a decoding plan, the sides of the whole, the part of it that is shown, and whether colours are
premultiplied."""
_PLANE = struct.Struct(">3I?")
"""The sides of a cell, how many there are, and whether they are grey."""
_MARK = b"OBHP"
_STRIP_PIXELS = 1 << 20

Rectangle = tuple[int, int, int, int]
"""Left, top, right, bottom, in pixels; right and bottom are just outside."""


@dataclass(slots=True)
class Plane:
    """A coded image, or the cells of a grid, row by row; each cell is a file that ``one_image`` wrote.

    ``samples`` are those of all channels that the decoder computes.
    """

    width_px: int
    height_px: int
    cell_width_px: int
    cell_height_px: int
    cells: list[bytes]
    is_grey: bool
    samples: int = 0


def one_image(config: bytes, sets: list[bytes], slices: list[bytes], size: tuple[int, int], nclx: bytes) -> bytes:
    """Write the HEIF file of one coded image.

    Args:
        config: the first 22 bytes of its ``hvcC`` payload, which say that lengths have four bytes.
        sets: its parameter sets.
        slices: the slices of its image.
        size: the sides that its sequence parameter set states.
        nclx: the numbers of its ``nclx`` colour box, or nothing.

    """
    arrays = b"".join(struct.pack(">BHH", each[0] >> 1, 1, len(each)) + each for each in sets)
    properties = [
        _box(b"hvcC", config, bytes([len(sets)]), arrays),
        _full_box(b"ispe", struct.pack(">II", *size)),
        *([_box(b"colr", b"nclx", nclx)] if nclx else []),
    ]
    indices = bytes([0x81, *range(2, 1 + len(properties))])
    data = b"".join(struct.pack(">I", len(each)) + each for each in slices)

    def meta(start: int) -> bytes:
        return _full_box(
            b"meta",
            _full_box(b"hdlr", bytes(4), b"pict", bytes(13)),
            _full_box(b"pitm", b"\0\1"),
            _full_box(b"iinf", b"\0\1", _full_box(b"infe", b"\0\1\0\0hvc1\0", version=2)),
            _full_box(b"iloc", b"\x44\0\0\1", struct.pack(">HHHII", 1, 0, 1, start, len(data))),
            _box(
                b"iprp",
                _box(b"ipco", *properties),
                _full_box(b"ipma", struct.pack(">IHB", 1, 1, len(indices)), indices),
            ),
        )

    file_type = _box(b"ftyp", b"heic\0\0\0\0mif1heic")
    return file_type + meta(len(file_type) + len(meta(0)) + 8) + _box(b"mdat", data)


def _box(kind: bytes, *parts: bytes) -> bytes:
    return struct.pack(">I", 8 + sum(map(len, parts))) + kind + b"".join(parts)


def _full_box(kind: bytes, *parts: bytes, version: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", version << 24), *parts)


def write_plan(colours: Plane, alpha: Plane | None, crop: Rectangle, *, is_premultiplied: bool) -> bytes:
    """Write what ``HeicImageFile`` reads: the planes of an image, and the part of them that is shown."""
    parts = [_PLAN.pack(_MARK, colours.width_px, colours.height_px, *crop, is_premultiplied)]
    for plane in (colours, alpha) if alpha else (colours,):
        parts.append(_PLANE.pack(plane.cell_width_px, plane.cell_height_px, len(plane.cells), plane.is_grey))
        for cell in plane.cells:
            parts += [struct.pack(">I", len(cell)), cell]
    return b"".join(parts)


class HeicImageFile(ImageFile.ImageFile):
    """A decoding plan as an image of Pillow; the planes are decoded when it is loaded.

    The decoder of the ``pi-heif`` package is called for itself, not registered with Pillow: nothing else opens HEIC.
    """

    format = "HEIC"
    format_description = "HEIF with HEVC"

    def _open(self) -> None:
        plan = self.fp.read() if self.fp else b""
        mark, self._width_px, self._height_px, *crop, self._is_premultiplied = _PLAN.unpack_from(plan)
        if mark != _MARK:
            raise SyntaxError("not a decoding plan")
        left, top, right, bottom = crop
        self._shown: Rectangle = (left, top, right, bottom)
        self._planes = list(_read_planes(plan, self._width_px, self._height_px))
        self._size = (right - left, bottom - top)
        has_alpha, is_grey = len(self._planes) > 1, self._planes[0].is_grey
        self._mode = "RGBA" if has_alpha else "L" if is_grey else "RGB"
        self.tile = []

    def load(self) -> Any:
        """Decode the planes, at the first call."""
        if self._planes:
            colours, *alpha = self._planes
            self._planes = []
            image = _assembled(colours, "L" if self.mode == "L" else "RGB", self._shown)
            if alpha:
                image.putalpha(_assembled(alpha[0], "L", self._shown))
                if self._is_premultiplied:
                    _divide_by_alpha(image)
            self.im = image.im
        return super().load()


def _read_planes(plan: bytes, width_px: int, height_px: int) -> Iterator[Plane]:
    position = _PLAN.size
    while position < len(plan):
        cell_width_px, cell_height_px, count, is_grey = _PLANE.unpack_from(plan, position)
        position += _PLANE.size
        cells = []
        for _ in range(count):
            start = position + 4
            position = start + int.from_bytes(plan[position:start])
            cells.append(plan[start:position])
        yield Plane(width_px, height_px, cell_width_px, cell_height_px, cells, is_grey)


def _assembled(plane: Plane, mode: str, crop: Rectangle) -> Image.Image:
    """Decode a plane, cell by cell, each freed before the next one."""
    left, top, right, bottom = crop
    if crop == (0, 0, plane.cell_width_px, plane.cell_height_px):
        return _decoded(plane.cells[0], mode).crop(crop)
    whole = Image.new(mode, (right - left, bottom - top))
    columns = -(-plane.width_px // plane.cell_width_px)
    for index, cell in enumerate(plane.cells):
        row, column = divmod(index, columns)
        decoded = _decoded(cell, mode).crop((0, 0, plane.cell_width_px, plane.cell_height_px))
        whole.paste(decoded, (column * plane.cell_width_px - left, row * plane.cell_height_px - top))
    return whole


def _decoded(cell: bytes, mode: str) -> Image.Image:
    import pi_heif  # noqa: PLC0415 - its library is large, and HEIC is rare

    pi_heif.options.DECODE_THREADS = 1
    [image] = pi_heif.open_heif(cell, convert_hdr_to_8bit=True, remove_stride=False)
    # Grey samples of 10 and 12 bits come as 16: of these the high byte is taken.
    stored, raw = ("L", "L;16") if image.mode == "I;16" else (image.mode, image.mode)
    return Image.frombuffer(stored, image.size, image.data, "raw", raw, image.stride, 1).convert(mode)


def _divide_by_alpha(image: Image.Image) -> None:
    rows = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        image.paste(Image.frombytes("RGBa", strip.size, strip.tobytes()).convert("RGBA"), (0, top))
