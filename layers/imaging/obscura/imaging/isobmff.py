"""Boxes and items of ISO base media files (ISO/IEC 14496-12), read within bounds: for AVIF and HEIC."""

from dataclasses import dataclass, field
from typing import NamedTuple

from obscura.imaging.container import Span

_MAX_BOXES = 4096
"""A grid of 256 cells with alpha has some 1,100 boxes."""
_MAX_TABLE_BYTES = 65_536
"""The largest box of entries: decoders search some of them once for each entry of another."""
_MAX_ITEMS, _MAX_EXTENTS = 600, 4096
_MAX_ASSOCIATED_BYTES = 1 << 20
"""All properties of all items: a decoder copies a property to each item that has it."""

_SIZE_BYTES, _KIND_BYTES, _LARGE_SIZE_BYTES = 4, 4, 8
_TABLES = frozenset(
    {b"iinf", b"iloc", b"iref", b"grpl", b"ipma", b"stsd", b"stts", b"stsc", b"stsz", b"stco", b"co64", b"stss"}
)
_SINGLE = (_TABLES - {b"ipma"}) | {b"pitm", b"iprp", b"ipco", b"idat", b"meta", b"tkhd", b"mdia", b"minf", b"stbl"}


class MalformedBoxError(Exception):
    """A box that contradicts its size, or more boxes or larger tables than any encoder writes."""


class TruncatedFileError(MalformedBoxError):
    """A box or an item that reaches past the end of the file."""


class Box(NamedTuple):
    """A box: its four-character code, and where its payload starts and ends in the file."""

    kind: bytes
    start: int
    end: int


class Cursor:
    """Reads big-endian integers one after the other."""

    def __init__(self, data: bytes, start: int, end: int) -> None:
        self._data, self.position, self._end = data, start, end

    def uint(self, size_bytes: int) -> int:
        """Read an unsigned integer of ``size_bytes``, which may be 0."""
        start = self.position
        self.skip(size_bytes)
        return int.from_bytes(self._data[start : self.position])

    def skip(self, size_bytes: int) -> None:
        """Step over ``size_bytes``."""
        self.position += size_bytes
        if self.position > self._end:
            raise MalformedBoxError


@dataclass(slots=True)
class BoxReader:
    """Reads the boxes of one file and counts them."""

    data: bytes
    _boxes: int = 0

    def box_at(self, position: int, end: int) -> Box:
        """Read the header of the box at ``position``; the payload may reach past ``end``, which the caller checks."""
        self._boxes += 1
        start = position + _SIZE_BYTES + _KIND_BYTES
        if self._boxes > _MAX_BOXES or start > end:
            raise MalformedBoxError
        size = int.from_bytes(self.data[position : position + _SIZE_BYTES])
        kind = self.data[position + _SIZE_BYTES : start]
        if size == 1:
            size = int.from_bytes(self.data[start : start + _LARGE_SIZE_BYTES])
            start += _LARGE_SIZE_BYTES
        if size == 0 and end == len(self.data):
            size = end - position
        if position + size < start:
            raise MalformedBoxError
        return Box(kind, start, position + size)

    def children(self, start: int, end: int) -> list[Box]:
        """Read all boxes between two positions, in order.

        Raises:
            MalformedBoxError: one of them does not fit, or there are too many.

        """
        boxes: list[Box] = []
        while start < end:
            box = self.box_at(start, end)
            if box.end > end or (box.kind in _TABLES and box.end - box.start > _MAX_TABLE_BYTES):
                raise MalformedBoxError
            boxes.append(box)
            start = box.end
        return boxes

    def parts(self, box: Box, skip_bytes: int = 0) -> dict[bytes, Box]:
        """Return the children of ``box`` after its first ``skip_bytes``, by kind; of each kind the first.

        Raises:
            MalformedBoxError: a kind that matters occurs twice, so that a decoder could read the other one.

        """
        parts: dict[bytes, Box] = {}
        for child in self.children(box.start + skip_bytes, box.end):
            if child.kind in _SINGLE and child.kind in parts:
                raise MalformedBoxError
            parts.setdefault(child.kind, child)
        return parts

    def open_full(self, box: Box) -> tuple[Cursor, int, int]:
        """Start to read a box that begins with its version and flags; return them too."""
        cursor = Cursor(self.data, box.start, box.end)
        return cursor, cursor.uint(1), cursor.uint(3)


@dataclass(slots=True)
class Items:
    """The items of a ``meta`` box: what they are, where their bytes are, and their properties."""

    data: bytes
    primary: int = 0
    kinds: dict[int, bytes] = field(default_factory=dict)
    kinds_at: dict[int, int] = field(default_factory=dict)
    """Where in the file the kind of an item is written."""
    extents: dict[int, list[Span]] = field(default_factory=dict)
    properties: dict[int, list[Box]] = field(default_factory=dict)

    def property_of(self, item: int, kind: bytes) -> Box | None:
        """Return the first property of this kind, which is the one that decoders take."""
        return next((each for each in self.properties.get(item, ()) if each.kind == kind), None)

    def payload(self, item: int) -> memoryview:
        """Return the bytes of an item, empty if it has none."""
        view, spans = memoryview(self.data), self.extents.get(item, [])
        if len(spans) == 1:
            return view[spans[0][0] : spans[0][1]]
        return memoryview(b"".join(view[start:end] for start, end in spans))


def read_items(boxes: BoxReader, meta: Box, max_items: int = _MAX_ITEMS) -> Items:
    """Read a ``meta`` box (§8.11).

    Raises:
        MalformedBoxError: it is malformed, or larger than any encoder makes it.
        TruncatedFileError: an item is not whole.

    """
    parts = boxes.parts(meta, 4)
    items = Items(boxes.data)
    if b"pitm" in parts:
        cursor, version, _ = boxes.open_full(parts[b"pitm"])
        items.primary = cursor.uint(2 if version == 0 else 4)
    if b"iinf" in parts:
        _read_kinds(boxes, parts[b"iinf"], items, max_items)
    if b"iloc" in parts:
        _read_locations(boxes, parts[b"iloc"], parts.get(b"idat"), items)
    if b"iprp" in parts:
        _read_properties(boxes, parts[b"iprp"], items)
    return items


def read_references(boxes: BoxReader, meta: Box) -> list[tuple[bytes, int, list[int]]]:
    """Read the references between items (§8.11.12): their kind, the item that they start at, and those they name.

    Raises:
        MalformedBoxError: cut, or longer than any encoder makes them.

    """
    iref = boxes.parts(meta, 4).get(b"iref")
    if iref is None:
        return []
    _, version, _ = boxes.open_full(iref)
    id_bytes = 2 if version == 0 else 4
    references: list[tuple[bytes, int, list[int]]] = []
    for box in boxes.children(iref.start + 4, iref.end):
        cursor = Cursor(boxes.data, box.start, box.end)
        item = cursor.uint(id_bytes)
        references.append((box.kind, item, [cursor.uint(id_bytes) for _ in range(cursor.uint(2))]))
    return references


def _read_kinds(boxes: BoxReader, iinf: Box, items: Items, max_items: int) -> None:
    _, version, _ = boxes.open_full(iinf)
    for entry in boxes.children(iinf.start + (6 if version == 0 else 8), iinf.end):
        cursor, version, _ = boxes.open_full(entry)
        item = cursor.uint(2 if version < 3 else 4)
        cursor.skip(2)
        at = cursor.position
        cursor.skip(4)
        if item in items.kinds or len(items.kinds) == max_items:
            raise MalformedBoxError
        items.kinds_at[item], items.kinds[item] = at, items.data[at : at + 4]


def _read_locations(boxes: BoxReader, iloc: Box, idat: Box | None, items: Items) -> None:
    cursor, version, _ = boxes.open_full(iloc)
    sizes = cursor.uint(2)
    offset_bytes, length_bytes, base_bytes = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_bytes = sizes & 15 if version else 0
    extents = total_bytes = 0
    for _ in range(cursor.uint(2 if version < 2 else 4)):
        item = cursor.uint(2 if version < 2 else 4)
        in_idat = version > 0 and cursor.uint(2) & 15 == 1
        cursor.skip(2)
        base = cursor.uint(base_bytes)
        count = cursor.uint(2)
        extents += count
        if item in items.extents or extents > _MAX_EXTENTS or (in_idat and idat is None):
            raise MalformedBoxError
        first, last = (idat.start, idat.end) if in_idat and idat else (0, len(items.data))
        spans = items.extents.setdefault(item, [])
        for _ in range(count):
            cursor.skip(index_bytes)
            start = first + base + cursor.uint(offset_bytes)
            end = start + cursor.uint(length_bytes)
            if end > last:
                raise TruncatedFileError
            spans.append((start, end))
            total_bytes += end - start
    # A decoder joins the extents of an item in memory, so that overlapping ones would multiply the file.
    if total_bytes > len(items.data):
        raise MalformedBoxError


def _read_properties(boxes: BoxReader, iprp: Box, items: Items) -> None:
    children = boxes.children(iprp.start, iprp.end)
    kinds = [box.kind for box in children]
    if kinds[:1] != [b"ipco"] or set(kinds[1:]) - {b"ipma"}:
        raise MalformedBoxError
    container, *associations = children
    properties = boxes.children(container.start, container.end)
    associated_bytes = 0
    for box in associations:
        cursor, version, flags = boxes.open_full(box)
        index_bytes, index_mask = (2, 0x7FFF) if flags & 1 else (1, 0x7F)
        for _ in range(cursor.uint(4)):
            item = cursor.uint(2 if version < 1 else 4)
            if item in items.properties:
                raise MalformedBoxError
            indices = [cursor.uint(index_bytes) & index_mask for _ in range(cursor.uint(1))]
            if max(indices, default=0) > len(properties):
                raise MalformedBoxError
            own = items.properties[item] = [properties[index - 1] for index in indices if index]
            associated_bytes += sum(each.end - each.start for each in own if each.kind != b"colr")
            if associated_bytes > _MAX_ASSOCIATED_BYTES:
                raise MalformedBoxError
