"""TIFF: a walk over the tags of the first page (TIFF 6.0); the decoder gets a file of known numbers, written here."""

import struct
from dataclasses import dataclass
from typing import IO, NamedTuple

from PIL import ImageFile

from obscura.imaging.container import MAX_PROFILE_BYTES, UPRIGHT, ContainerInfo, ImageFormat, Span
from obscura.imaging.errors import ImageError, corrupt

_MAX_PIXELS = 36_000_000
_MAX_CHUNK_BYTES = 72_000_000
_MAX_PIXEL_BYTES = 8
"""The largest strip or tile after decompression: libtiff holds one of them, beside the image of 4 bytes a pixel."""
_MAX_CHUNKS = 32_768
_MAX_TILE_OVERHANG_PIXELS = 4_000_000
_MAX_ENTRIES = 512
_ENTRY_BYTES = 12

_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 254, 256, 257, 258, 259, 262, 266
_STRIP_OFFSETS, _ORIENTATION, _SAMPLES, _ROWS_PER_STRIP, _STRIP_SIZES, _PLANAR = 273, 274, 277, 278, 279, 284
_PREDICTOR, _COLOUR_MAP, _TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_SIZES = 317, 320, 322, 323, 324, 325
_EXTRA_SAMPLES, _SAMPLE_FORMAT, _ICC_PROFILE, _DNG_VERSION = 338, 339, 34675, 50706
_READ = frozenset(
    {_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER, _STRIP_OFFSETS, _ORIENTATION, _SAMPLES,
     _ROWS_PER_STRIP, _STRIP_SIZES, _PLANAR, _PREDICTOR, _COLOUR_MAP, _TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS,
     _TILE_SIZES, _EXTRA_SAMPLES, _SAMPLE_FORMAT, _ICC_PROFILE, _DNG_VERSION}
)  # fmt: skip
_BYTE, _SHORT, _LONG = 1, 3, 4
_KINDS = {_BYTE: ("B", 1), _SHORT: ("H", 2), _LONG: ("I", 4)}

_NONE, _LZW, _DEFLATE, _OLD_DEFLATE, _PACKBITS = 1, 5, 8, 32946, 32773
_COMPRESSIONS = {_NONE: _NONE, _LZW: _LZW, _DEFLATE: _DEFLATE, _OLD_DEFLATE: _DEFLATE, _PACKBITS: _PACKBITS}
_OTHER_COMPRESSIONS = {2: "CCITT", 3: "CCITT", 4: "CCITT", 6: "JPEG", 7: "JPEG", 34925: "LZMA", 50000: "Zstandard"}
_GREY, _INVERTED_GREY, _RGB, _PALETTE, _CMYK = 1, 0, 2, 3, 5
_PHOTOMETRICS = {4: "a mask", 6: "YCbCr colours", 8: "Lab colours", 9: "Lab colours", 32803: "camera raw samples"}
_UNASSOCIATED = 2
_LAYOUTS = frozenset(
    {(grey, bits, 1, ()) for grey in (_GREY, _INVERTED_GREY, _PALETTE) for bits in (1, 2, 4, 8)}
    | {(_GREY, 16, 1, ()), (_GREY, 8, 2, (0,)), (_GREY, 8, 2, (_UNASSOCIATED,))}
    | {(_PALETTE, 8, 2, (_UNASSOCIATED,)), (_CMYK, 8, 5, (0,))}
    | {(_RGB, bits, 3, ()) for bits in (8, 16)}
    | {(_RGB, bits, 4, (extra,)) for bits in (8, 16) for extra in (0, 1, _UNASSOCIATED)}
    | {(_CMYK, bits, 4, ()) for bits in (8, 16)}
)
"""What is decoded: photometric interpretation, bits a sample, samples a pixel, extra samples (TIFF 6.0 §18)."""


class _MalformedTagError(Exception):
    """A tag that contradicts its type or count, or whose values are not in the file."""


@dataclass(slots=True)
class _Layout:
    """How the pixels are stored; a row of a plane has ``bits`` times ``samples_in_row`` bits a pixel."""

    photometric: int
    bits: int
    samples: int
    extra_samples: tuple[int, ...]
    compression: int
    predictor: int
    is_planar: bool

    def row_bytes(self, width_px: int) -> int:
        return (width_px * self.bits * (1 if self.is_planar else self.samples) + 7) // 8


class _Chunks(NamedTuple):
    """Strips or tiles: their sides, the tags that describe them, and where they are."""

    width_px: int
    height_px: int
    is_tiled: bool
    spans: list[Span]


def scan(data: bytes) -> ContainerInfo:
    """Scan a TIFF: its first page, of the tags that its pixels need.

    Raises:
        ImageError: ``invalid_image``: cut or malformed; ``unsupported_image_format``: pixels that are not decoded;
            ``image_too_many_pixels``: strips that are too large to decode.

    """
    try:
        return _Page(data).info()
    except _MalformedTagError:
        raise corrupt("TIFF", "is cut short, or has a malformed tag") from None


class _Page:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._order = "<" if data.startswith(b"II") else ">"
        self._entries: dict[int, tuple[int, int, int]] = {}
        start = self._uint(4, 4)
        count = self._uint(start, 2)
        if count > _MAX_ENTRIES:
            raise _MalformedTagError
        for at in range(start + 2, start + 2 + count * _ENTRY_BYTES, _ENTRY_BYTES):
            tag, kind = self._uint(at, 2), self._uint(at + 2, 2)
            if tag in _READ and tag not in self._entries:
                self._entries[tag] = kind, self._uint(at + 4, 4), at + 8

    def info(self) -> ContainerInfo:
        if _DNG_VERSION in self._entries or self._one(_SUBFILE, 0) & 1:
            raise _unsupported("holds a preview before its image, as camera raw files do")
        width_px, height_px = self._one(_WIDTH), self._one(_HEIGHT)
        orientation = self._one(_ORIENTATION, UPRIGHT)
        orientation = orientation if UPRIGHT <= orientation <= 8 else UPRIGHT
        layout = self._layout()
        spans: tuple[Span | bytes, ...] = ()
        if 0 < width_px * height_px <= _MAX_PIXELS:
            chunks = self._chunks(layout, width_px, height_px)
            spans = (self._rewritten(layout, chunks, width_px, height_px), *chunks.spans)
        return ContainerInfo(
            TIFF,
            width_px,
            height_px,
            orientation,
            False,
            spans,
            icc_profile=self._icc_profile(),
            decoder_bytes=min(_MAX_CHUNK_BYTES, _MAX_PIXEL_BYTES * width_px * height_px),
        )

    def _icc_profile(self) -> bytes | None:
        """Return the ICC profile (ICC.1 annex B.4); a damaged one counts as none."""
        _, count, at = self._entries.get(_ICC_PROFILE, (0, 0, 0))
        if not 4 < count <= MAX_PROFILE_BYTES:
            return None
        start = self._uint(at, 4)
        profile = self._data[start : start + count]
        return profile if len(profile) == count else None

    def _uint(self, position: int, size_bytes: int) -> int:
        value = self._data[position : position + size_bytes]
        if len(value) < size_bytes:
            raise _MalformedTagError
        return int.from_bytes(value, "little" if self._order == "<" else "big")

    def _values(self, tag: int, max_count: int) -> tuple[int, ...]:
        """Return the values of a tag, none if it is not there."""
        if tag not in self._entries:
            return ()
        kind, count, at = self._entries[tag]
        if kind not in _KINDS or not 0 < count <= max_count:
            raise _MalformedTagError
        letter, size_bytes = _KINDS[kind]
        if count * size_bytes > 4:
            at = self._uint(at, 4)
        if at + count * size_bytes > len(self._data):
            raise _MalformedTagError
        return struct.unpack_from(f"{self._order}{count}{letter}", self._data, at)

    def _one(self, tag: int, default: int | None = None) -> int:
        values = self._values(tag, 1)
        if not values and default is None:
            raise _MalformedTagError
        return values[0] if values else default or 0

    def _layout(self) -> _Layout:
        compression = self._one(_COMPRESSION, _NONE)
        if compression not in _COMPRESSIONS:
            raise _unsupported(f"is compressed with {_OTHER_COMPRESSIONS.get(compression, f'method {compression}')}")
        photometric, samples = self._one(_PHOTOMETRIC), self._one(_SAMPLES, 1)
        bits = set(self._values(_BITS, 16) or (1,))
        formats = set(self._values(_SAMPLE_FORMAT, 16) or (1,))
        extra_samples = self._values(_EXTRA_SAMPLES, 16)
        if photometric == _RGB and samples == 4 and not extra_samples:
            extra_samples = (0,)
        if photometric in _PHOTOMETRICS:
            raise _unsupported(f"has {_PHOTOMETRICS[photometric]}")
        if formats != {1}:
            raise _unsupported("has signed or floating-point samples")
        if len(bits) != 1 or (photometric, max(bits), samples, extra_samples) not in _LAYOUTS:
            raise _unsupported(f"has {samples} samples a pixel of {max(bits)} bits in a layout other than grey, RGB, "
                               "palette or CMYK of 8 or 16 bits")  # fmt: skip
        if self._one(_FILL_ORDER, 1) != 1:
            raise _unsupported("stores the bits of a byte in reverse")
        predictor = self._one(_PREDICTOR, 1) if compression not in {_NONE, _PACKBITS} else 1
        if predictor != 1 and (predictor != 2 or max(bits) < 8):
            raise _unsupported(f"uses predictor {predictor} on samples of {max(bits)} bits")
        is_planar = self._one(_PLANAR, 1) == 2 and samples > 1
        if is_planar and extra_samples:
            raise _unsupported("stores colours and alpha in separate planes")
        return _Layout(photometric, max(bits), samples, extra_samples, _COMPRESSIONS[compression], predictor, is_planar)

    def _chunks(self, layout: _Layout, width_px: int, height_px: int) -> _Chunks:
        is_tiled = _TILE_OFFSETS in self._entries
        if is_tiled:
            chunk_width_px, chunk_height_px = self._one(_TILE_WIDTH), self._one(_TILE_HEIGHT)
            if chunk_width_px % 16 or chunk_height_px % 16 or not chunk_width_px * chunk_height_px:
                raise _MalformedTagError
            columns, rows = -(-width_px // chunk_width_px), -(-height_px // chunk_height_px)
            if columns * rows * chunk_width_px * chunk_height_px > 2 * width_px * height_px + _MAX_TILE_OVERHANG_PIXELS:
                raise corrupt("TIFF", "has tiles far larger than its image")
        else:
            chunk_width_px, chunk_height_px = width_px, min(self._one(_ROWS_PER_STRIP, height_px), height_px)
            if chunk_height_px == 0:
                raise _MalformedTagError
            columns, rows = 1, -(-height_px // chunk_height_px)
        chunk_bytes = layout.row_bytes(chunk_width_px) * chunk_height_px
        if layout.compression != _NONE and chunk_bytes > _MAX_CHUNK_BYTES:
            raise ImageError(
                "image_too_many_pixels",
                f"The TIFF image has a strip of {chunk_bytes} bytes; the limit is {_MAX_CHUNK_BYTES}. "
                "Save it with smaller strips, or send it as JPEG or PNG.",
                _MAX_CHUNK_BYTES,
            )
        offsets, sizes = self._places(is_tiled)
        count = columns * rows * (layout.samples if layout.is_planar else 1)
        if not len(offsets) == len(sizes) == count:
            raise _MalformedTagError
        spans: list[Span] = []
        for index, (offset, size) in enumerate(zip(offsets, sizes, strict=True)):
            needed = size
            if layout.compression == _NONE:
                is_last = not is_tiled and index % rows == rows - 1
                last_rows = height_px - (rows - 1) * chunk_height_px
                needed = layout.row_bytes(chunk_width_px) * (last_rows if is_last else chunk_height_px)
            if needed > size or offset + size > len(self._data):
                raise _MalformedTagError
            spans.append((offset, offset + needed))
        # Strips that are all the same bytes would multiply the file.
        if sum(end - start for start, end in spans) > len(self._data):
            raise _MalformedTagError
        return _Chunks(chunk_width_px, chunk_height_px, is_tiled, spans)

    def _places(self, is_tiled: bool) -> tuple[tuple[int, ...], tuple[int, ...]]:
        tags = (_TILE_OFFSETS, _TILE_SIZES) if is_tiled else (_STRIP_OFFSETS, _STRIP_SIZES)
        offsets, sizes = (self._values(tag, _MAX_CHUNKS) for tag in tags)
        return offsets, sizes

    def _rewritten(self, layout: _Layout, chunks: _Chunks, width_px: int, height_px: int) -> bytes:
        """Write the header and the directory of a file whose strips or tiles follow, one after the other."""
        sizes = [end - start for start, end in chunks.spans]
        tags: dict[int, tuple[int, tuple[int, ...]]] = {
            _WIDTH: (_LONG, (width_px,)),
            _HEIGHT: (_LONG, (height_px,)),
            _BITS: (_SHORT, (layout.bits,) * layout.samples),
            _COMPRESSION: (_SHORT, (layout.compression,)),
            _PHOTOMETRIC: (_SHORT, (layout.photometric,)),
            _SAMPLES: (_SHORT, (layout.samples,)),
            _PLANAR: (_SHORT, (2 if layout.is_planar else 1,)),
            (_TILE_SIZES if chunks.is_tiled else _STRIP_SIZES): (_LONG, tuple(sizes)),
        }
        if chunks.is_tiled:
            tags[_TILE_WIDTH], tags[_TILE_HEIGHT] = (_LONG, (chunks.width_px,)), (_LONG, (chunks.height_px,))
        else:
            tags[_ROWS_PER_STRIP] = _LONG, (chunks.height_px,)
        if layout.predictor != 1:
            tags[_PREDICTOR] = _SHORT, (layout.predictor,)
        if layout.extra_samples:
            tags[_EXTRA_SAMPLES] = _SHORT, layout.extra_samples
        if layout.photometric == _PALETTE:
            colours = self._values(_COLOUR_MAP, 3 << 8)
            if len(colours) != 3 << layout.bits:
                raise _MalformedTagError
            tags[_COLOUR_MAP] = _SHORT, colours
        place = _TILE_OFFSETS if chunks.is_tiled else _STRIP_OFFSETS

        def directory(start: int) -> bytes:
            offsets = [start]
            for size in sizes[:-1]:
                offsets.append(offsets[-1] + size)
            return _directory(self._order, tags | {place: (_LONG, tuple(offsets))})

        return directory(len(directory(0)))


def _directory(order: str, tags: dict[int, tuple[int, tuple[int, ...]]]) -> bytes:
    """Write a TIFF header and one directory with these tags, and their longer values after it."""
    outside_at = 8 + 2 + _ENTRY_BYTES * len(tags) + 4
    entries, outside = b"", b""
    for tag, (kind, values) in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}{_KINDS[kind][0]}", *values)
        if len(packed) > 4:
            at = struct.pack(f"{order}I", outside_at + len(outside))
            outside += packed + b"\0" * (len(packed) % 2)
            packed = at
        entries += struct.pack(f"{order}HHI", tag, kind, len(values)) + packed.ljust(4, b"\0")
    magic = b"II*\0" if order == "<" else b"MM\0*"
    return magic + struct.pack(f"{order}IH", 8, len(tags)) + entries + bytes(4) + outside


def _unsupported(what: str) -> ImageError:
    return ImageError(
        "unsupported_image_format",
        f"The TIFF image {what}, which is not supported. Save it as RGB of 8 bits with LZW or deflate compression, or "
        "convert it to JPEG or PNG.",
    )


def _open(file: IO[bytes]) -> ImageFile.ImageFile:
    from obscura.imaging.tiff_decoder import TiffPage  # noqa: PLC0415 - a large module, and TIFF is rare

    return TiffPage(file)


TIFF = ImageFormat(
    name="TIFF",
    media_type="image/tiff",
    recognizes=lambda data: data.startswith((b"II*\0", b"MM\0*")),
    scan=scan,
    reader=_open,
    max_pixels=_MAX_PIXELS,
    is_common=False,
)
