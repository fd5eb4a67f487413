"""HEIC files built box by box, around the HEVC streams of the files in ``heic/``."""

import functools
import struct
from pathlib import Path
from typing import Any

from obscura.imaging.isobmff import BoxReader, read_items
from tests.unit.imaging.avif_files import Item, an_avif, box, full_box, grid, ispe

FOLDER = Path(__file__).parent / "heic"
BRANDS = b"heic\0\0\0\0mif1heic"
ALPHA = b"urn:mpeg:hevc:2015:auxid:1"


def stored(name: str) -> bytes:
    return (FOLDER / f"{name}.heic").read_bytes()


@functools.cache
def hevc_of(name: str) -> tuple[bytes, bytes, tuple[int, int]]:
    """The HEVC stream of a stored file, the payload of its ``hvcC``, and its sides."""
    data = stored(name)
    boxes = BoxReader(data)
    meta = next(each for each in boxes.children(0, len(data)) if each.kind == b"meta")
    items = read_items(boxes, meta)
    config, extent = (items.property_of(items.primary, kind) for kind in (b"hvcC", b"ispe"))
    assert config is not None
    assert extent is not None
    width, height = struct.unpack_from(">II", data, extent.start + 4)
    return bytes(items.payload(items.primary)), data[config.start : config.end], (width, height)


def coded(
    item: int,
    name: str,
    *properties: bytes,
    size: tuple[int, int] | None = None,
    stream: bytes | None = None,
    config: bytes | None = None,
    **kwargs: Any,
) -> Item:
    """An HEVC image item of a stored file; ``size``, ``stream`` and ``config`` replace what it has."""
    own_stream, own_config, own_size = hevc_of(name)
    described = [ispe(*(size or own_size)), box(b"hvcC", own_config if config is None else config), *properties]
    return Item(item, b"hvc1", own_stream if stream is None else stream, described, **kwargs)


def auxiliary(item: int, master: int, name: str, kind: bytes = ALPHA) -> Item:
    """An auxiliary image of ``master``: an alpha channel, or of another kind."""
    return coded(item, name, full_box(b"auxC", kind + b"\0"), references=[(b"auxl", [master])])


def a_heic(*items: Item, **kwargs: Any) -> bytes:
    return an_avif(*items, **{"brands": BRANDS, **kwargs})


def a_grid_of_quarters(*properties: bytes, size: tuple[int, int] = (128, 128)) -> bytes:
    """Four cells of one colour each, that look like ``quarters``."""
    cells = [coded(2 + index, name) for index, name in enumerate(("red", "green", "blue", "white"))]
    return a_heic(grid(1, 2, 2, size, [cell.id for cell in cells], *properties), *cells)


def clap(width: int, height: int, left: int, top: int) -> bytes:
    """The part of a 128 x 128 px image that is shown: its sides, and twice the offset of its centre over 2."""
    offsets = 2 * left + width - 128, 2 * top + height - 128
    return box(b"clap", struct.pack(">IIIIiIiI", width, 1, height, 1, offsets[0], 2, offsets[1], 2))


def nal_units(stream: bytes) -> list[bytes]:
    units, position = [], 0
    while position < len(stream):
        end = position + 4 + int.from_bytes(stream[position : position + 4])
        units.append(stream[position + 4 : end])
        position = end
    return units


def with_lengths(*units: bytes) -> bytes:
    return b"".join(struct.pack(">I", len(unit)) + unit for unit in units)


def sequence_set_of(name: str) -> bytes:
    """The sequence parameter set of a stored file."""
    return next(unit for unit in parameter_sets_of(hevc_of(name)[1]) if unit[0] >> 1 == 33)


def parameter_sets_of(config: bytes) -> list[bytes]:
    """The parameter sets of an ``hvcC`` payload."""
    sets, position = [], 23
    for _ in range(config[22]):
        count, position = int.from_bytes(config[position + 1 : position + 3]), position + 3
        for _ in range(count):
            end = position + 2 + int.from_bytes(config[position : position + 2])
            sets.append(config[position + 2 : end])
            position = end
    return sets


def config_with(*units: bytes) -> bytes:
    """An ``hvcC`` payload of these parameter sets."""
    arrays = b"".join(struct.pack(">BHH", unit[0] >> 1, 1, len(unit)) + unit for unit in units)
    return hevc_of("quarters")[1][:22] + bytes([len(units)]) + arrays


def sequence_set(width: int, height: int, *, chroma: int = 1, depth: int = 8) -> bytes:
    """A sequence parameter set as far as its bit depths, for images of this size."""
    bits = "0000" + "000" + "1" + "0" * 96 + _exp_golomb(0) + _exp_golomb(chroma) + ("0" if chroma == 3 else "")
    bits += _exp_golomb(width) + _exp_golomb(height) + "0" + 2 * _exp_golomb(depth - 8) + "1"
    bits = bits.ljust(-(-len(bits) // 8) * 8, "0")
    return b"\x42\x01" + _escaped(int(bits, 2).to_bytes(len(bits) // 8))


def _exp_golomb(value: int) -> str:
    digits = f"{value + 1:b}"
    return "0" * (len(digits) - 1) + digits


def _escaped(payload: bytes) -> bytes:
    """Put in the bytes that prevent start codes (H.265 §7.4.2)."""
    escaped = bytearray()
    for byte in payload:
        if byte <= 3 and escaped[-2:] == b"\0\0":
            escaped.append(3)
        escaped.append(byte)
    return bytes(escaped)
