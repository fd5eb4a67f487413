"""AVIF files built box by box, around AV1 bitstreams of Pillow's encoder or of bits written by hand."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from tests.unit.imaging.images import saved

IROT, IMIR = b"irot", b"imir"
ESSENTIAL = {IROT, IMIR, b"a1op", b"lsel", b"clap"}


def box(kind: bytes, *parts: bytes) -> bytes:
    payload = b"".join(parts)
    return struct.pack(">I", 8 + len(payload)) + kind + payload


def full_box(kind: bytes, *parts: bytes, version: int = 0, flags: int = 0) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def ispe(width: int, height: int) -> bytes:
    return full_box(b"ispe", struct.pack(">II", width, height))


@dataclass
class Item:
    """An item; ``data`` is split into ``extents`` runs, ``references`` are (kind, to) pairs."""

    id: int
    kind: bytes
    data: bytes
    properties: list[bytes] = field(default_factory=list)
    references: list[tuple[bytes, list[int]]] = field(default_factory=list)
    extents: int = 1


def coded(
    item: int, image: Image.Image, *properties: bytes, size: tuple[int, int] | None = None, **kwargs: Any
) -> Item:
    """An AV1 image item of Pillow's encoder."""
    stream, config = av1_of(image)
    return Item(item, b"av01", stream, [ispe(*(size or image.size)), config, *properties], **kwargs)


def av1_of(image: Image.Image) -> tuple[bytes, bytes]:
    """The AV1 bitstream of an image without alpha, and its ``av1C`` box."""
    file = saved(image, "AVIF", quality=90)
    at = file.index(b"mdat") + 4
    config = file.index(b"av1C") - 4
    return file[at:], file[config : config + int.from_bytes(file[config : config + 4])]


def alpha_of(item: int, master: int, image: Image.Image) -> Item:
    """An alpha channel for the item ``master``."""
    urn = full_box(b"auxC", b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0")
    return coded(item, image, urn, references=[(b"auxl", [master])])


def grid(item: int, rows: int, columns: int, size: tuple[int, int], cells: list[int], *properties: bytes) -> Item:
    data = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, *size)
    return Item(item, b"grid", data, [ispe(*size), *properties], [(b"dimg", cells)])


def exif_item(item: int, described: int, tiff: bytes) -> Item:
    return Item(item, b"Exif", bytes(4) + tiff, references=[(b"cdsc", [described])])


def meta_of(items: Iterable[Item], offsets: dict[int, list[tuple[int, int]]], primary: int, *more: bytes) -> bytes:
    """The ``meta`` box of items whose bytes are at ``offsets``."""
    items = list(items)
    properties = [each for item in items for each in item.properties]
    infos = [full_box(b"infe", struct.pack(">HH", item.id, 0), item.kind, b"\0", version=2) for item in items]
    places = [
        struct.pack(">HHH", item.id, 0, len(offsets[item.id]))
        + b"".join(struct.pack(">II", *extent) for extent in offsets[item.id])
        for item in items
    ]
    references = [
        box(kind, struct.pack(">HH", item.id, len(to)), *(struct.pack(">H", each) for each in to))
        for item in items
        for kind, to in item.references
    ]
    associations, index = b"", 1
    for item in items:
        associations += struct.pack(">HB", item.id, len(item.properties))
        for each in item.properties:
            essential = 0x8000 if each[4:8] in ESSENTIAL else 0
            associations += struct.pack(">H", index | essential)
            index += 1
    return full_box(
        b"meta",
        full_box(b"hdlr", bytes(4), b"pict", bytes(13)),
        full_box(b"pitm", struct.pack(">H", primary)),
        full_box(b"iinf", struct.pack(">H", len(items)), *infos),
        full_box(b"iloc", b"\x44\0", struct.pack(">H", len(items)), *places),
        *([full_box(b"iref", *references)] if references else []),
        box(
            b"iprp",
            box(b"ipco", *properties),
            full_box(b"ipma", struct.pack(">I", len(items)), associations, flags=1),
        ),
        *more,
    )


def an_avif(*items: Item, primary: int = 1, brands: bytes = b"avif\0\0\0\0avifmif1miaf", more: bytes = b"") -> bytes:
    """A file of these items; ``more`` are further boxes at the end of ``meta``."""
    ftyp = box(b"ftyp", brands)
    sizes = {item.id: _runs(len(item.data), item.extents) for item in items}
    start = len(ftyp) + len(meta_of(items, _placed(sizes, 0), primary, more)) + 8
    meta = meta_of(items, _placed(sizes, start), primary, more)
    return ftyp + meta + box(b"mdat", *(item.data for item in items))


def _runs(size: int, count: int) -> list[int]:
    run = size // count
    return [run] * (count - 1) + [size - run * (count - 1)]


def _placed(sizes: dict[int, list[int]], start: int) -> dict[int, list[tuple[int, int]]]:
    placed: dict[int, list[tuple[int, int]]] = {}
    for item, runs in sizes.items():
        placed[item] = []
        for run in runs:
            placed[item].append((start, run))
            start += run
    return placed


class Bits:
    """Bits of an AV1 header, written by hand."""

    def __init__(self) -> None:
        self.text = ""

    def put(self, value: int, count: int) -> "Bits":
        self.text += f"{value:0{count}b}" if count else ""
        return self

    def unit(self, kind: int) -> bytes:
        """The open bitstream unit of this payload."""
        text = self.text + "1"
        payload = int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8))
        return bytes([kind << 3 | 2, len(payload)]) + payload


def sequence_header(width: int, height: int, bits: int = 16, *, reduced: bool = True) -> bytes:
    """A sequence header that declares this size."""
    header = Bits().put(0, 3).put(1, 1).put(int(reduced), 1)
    if reduced:
        header.put(0, 5)
    else:
        header.put(0, 1).put(0, 1).put(0, 5).put(0, 12).put(0, 5)
    header.put(bits - 1, 4).put(bits - 1, 4).put(width - 1, bits).put(height - 1, bits)
    if not reduced:
        header.put(0, 1).put(0, 3).put(0, 4).put(0, 1).put(1, 1).put(1, 1)
    return header.put(0, 32).unit(1)


def frame_header(*, own_size: bool = False) -> bytes:
    """A key frame's header for a sequence header that is not reduced."""
    return Bits().put(0, 1).put(0, 2).put(1, 1).put(0, 1).put(0, 1).put(int(own_size), 1).put(0, 32).unit(3)
