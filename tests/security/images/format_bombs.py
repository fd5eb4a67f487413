"""Builders of HEIC, TIFF and BMP files that are small to send and would cost a decoder much memory or time."""

import struct
import zlib

from tests.security.images.bombs import RAW_LIMIT
from tests.unit.imaging.avif_files import box, full_box, grid
from tests.unit.imaging.bmp_files import a_bmp
from tests.unit.imaging.heic_files import a_heic, auxiliary, coded, stored
from tests.unit.imaging.tiff_files import Tags, a_tiff, tags_of

PALETTE = bytes(range(256)) * 4


def a_heic_of_cells(rows: int, columns: int) -> bytes:
    """A grid whose cells are items of their own."""
    cells = [coded(2 + each, "red") for each in range(rows * columns)]
    return a_heic(grid(1, rows, columns, (64 * columns, 64 * rows), [cell.id for cell in cells]), *cells)


def heics_at_the_limits() -> dict[str, bytes]:
    """The most that one coded image, a grid, and full chroma with alpha may have."""
    cells = [coded(2 + each, "cell_512") for each in range(100)]
    return {
        "grid": a_heic(grid(1, 10, 10, (5000, 5000), [cell.id for cell in cells]), *cells),
        "one coded image": stored("large"),
        "full chroma and alpha": a_heic(coded(1, "large_444_10_bit"), auxiliary(2, 1, "large_grey")),
    }


def a_heic_of_one_cell_often() -> bytes:
    """A grid of 600 cells that are all one item of 25 kB."""
    cell = coded(2, "red")
    cell.data += bytes.fromhex("00006000") + b"\x4e\x01" + bytes(0x6000 - 2)
    return a_heic(grid(1, 20, 30, (1920, 1280), [2] * 600), cell)


def a_heic_of_references() -> bytes:
    """Eight megabytes of references."""
    one = box(b"dimg", struct.pack(">HH", 1, 60_000), bytes(120_000))
    return a_heic(coded(1, "quarters"), more=full_box(b"iref", one * 66))


def a_heic_of_boxes() -> bytes:
    return a_heic(coded(1, "quarters"), more=box(b"free") * 1_000_000)


def a_heic_of_units() -> bytes:
    """Three million empty NAL units before the image."""
    cell = coded(1, "quarters")
    cell.data = bytes(4) * 3_000_000 + cell.data
    return a_heic(cell)


def a_tiff_of_zeros(side: int, *, bits: int = 8, samples: int = 3, rows: int, photometric: int = 2) -> bytes:
    """A valid image of one colour, deflated a thousandfold."""
    strips = [_zeros(side * samples * bits // 8 * min(rows, side - top)) for top in range(0, side, rows)]
    more: Tags = {259: (3, (8,)), 278: (4, (rows,))}
    if samples == 4 and photometric == 2:
        more[338] = (3, (2,))
    return a_tiff(tags_of(side, side, bits=bits, samples=samples, photometric=photometric) | more, strips)


def _zeros(size_bytes: int) -> bytes:
    deflater, block = zlib.compressobj(1), bytes(1 << 20)
    parts = [deflater.compress(block[: min(1 << 20, size_bytes - at)]) for at in range(0, size_bytes, 1 << 20)]
    return b"".join(parts) + deflater.flush()


def a_tiff_of_one_strip_often() -> bytes:
    """Six thousand strips that are all the same 15 megabytes."""
    more: Tags = {259: (3, (8,)), 278: (4, (1,)), 273: (4, (8,) * 6000), 279: (4, (14_000_000,) * 6000)}
    tiff = a_tiff(tags_of(6000, 6000, samples=1, photometric=1) | more, [b""])
    return tiff.ljust(RAW_LIMIT, b"\0")


def a_tiff_of_tiny_strips() -> bytes:
    """As many strips as are allowed."""
    row = zlib.compress(bytes(1000))
    more: Tags = {259: (3, (8,)), 278: (4, (1,))}
    return a_tiff(tags_of(1000, 32_768, samples=1, photometric=1) | more, [row] * 32_768)


def a_bmp_of_runs(command: bytes, side: int = 2000) -> bytes:
    """Run lengths of two bytes each, as many as are allowed."""
    pixels = command * (1_000_000 // len(command))
    return a_bmp(side, side, 8, pixels, compression=1, palette=PALETTE, data_bytes=len(pixels))


def a_bmp_of_63_megapixels() -> bytes:
    return a_bmp(7936, 7936, 1, bytes(7936 // 8 * 7936), palette=PALETTE[:8], colours=2)
