"""Sizes and slices of an HEVC still image, from its parameter sets and slice headers (ITU-T H.265 §7.3)."""

from dataclasses import dataclass

from obscura.imaging.errors import corrupt

_MAX_PARAMETER_SETS = 64
_MAX_PARAMETER_SET_BYTES = 4096
_MAX_UNITS = 4096
"""NAL units of one image: an encoder writes one, or one for each row of coding tree blocks."""
_MAX_BIT_DEPTH = 12
_VPS, _SPS, _PPS = 32, 33, 34
_PARAMETER_SETS = frozenset({_VPS, _SPS, _PPS})
_STILL_IMAGE = frozenset(range(16, 22))
"""Slices of an image that refers to no other: BLA, IDR and CRA (table 7-1)."""
_CHROMA_SHIFTS = {0: (0, 0), 1: (1, 1), 2: (1, 0), 3: (0, 0)}


@dataclass(frozen=True, slots=True)
class CodedSize:
    """What a sequence parameter set (§7.3.2.2) says of an image.

    ``coded_pixels`` are those that a decoder allocates; the sides are what is left after the conformance window.
    """

    width_px: int
    height_px: int
    coded_pixels: int
    chroma_format: int
    bit_depth: int


def malformed() -> Exception:
    """Return the error for a bitstream that no encoder of still images writes."""
    return corrupt("HEIC", "has a malformed HEVC bitstream")


def parameter_sets(config: bytes) -> tuple[list[bytes], int]:
    """Return the parameter sets of an ``hvcC`` payload, and the size of the lengths before each NAL unit.

    ISO/IEC 14496-15 §8.3.3.1; sets of further layers, which the decoder ignores, are left out.

    Raises:
        ImageError: ``invalid_image``: cut, or with more or larger sets than encoders write.

    """
    if len(config) < 23:
        raise malformed()
    sets: list[bytes] = []
    position = 23
    for _ in range(config[22]):
        kind, count = config[position : position + 1], int.from_bytes(config[position + 1 : position + 3])
        position += 3
        for _ in range(count):
            start = position + 2
            position = start + int.from_bytes(config[position:start])
            unit = config[start:position]
            if not kind or position > len(config) or len(sets) == _MAX_PARAMETER_SETS:
                raise malformed()
            if _kind_and_layer(unit) in {(_VPS, 0), (_SPS, 0), (_PPS, 0)}:
                sets.append(_small(unit))
    return sets, (config[21] & 3) + 1


def still_image(stream: bytes, length_bytes: int) -> tuple[list[bytes], list[bytes]]:
    """Return the parameter sets inside an item and the slices of its one image; all else is left out.

    Raises:
        ImageError: ``invalid_image``: cut, more than one image, or an image that refers to another.

    """
    sets: list[bytes] = []
    slices: list[bytes] = []
    position = images = 0
    for _ in range(_MAX_UNITS):
        if position == len(stream):
            break
        start = position + length_bytes
        position = start + int.from_bytes(stream[position:start])
        if position > len(stream):
            raise malformed()
        unit = stream[start:position]
        kind, layer = _kind_and_layer(unit)
        if layer > 0:
            continue
        if kind in _PARAMETER_SETS:
            sets.append(_small(unit))
        elif kind < _VPS:
            # first_slice_segment_in_pic_flag (§7.3.6.1) begins another image.
            images += unit[2] >> 7 if len(unit) > 2 else 0
            slices.append(unit)
            if kind not in _STILL_IMAGE:
                raise malformed()
    if position != len(stream) or images != 1 or len(sets) > _MAX_PARAMETER_SETS:
        raise malformed()
    return sets, slices


def coded_size(sets: list[bytes]) -> CodedSize:
    """Return the size that all sequence parameter sets agree on.

    Raises:
        ImageError: ``invalid_image``: there is none, two differ, or the samples are of a kind that is not decoded.

    """
    sizes = {_read_sps(unit) for unit in sets if _kind_and_layer(unit)[0] == _SPS}
    if len(sizes) != 1:
        raise malformed()
    return sizes.pop()


def _kind_and_layer(unit: bytes) -> tuple[int, int]:
    """Return ``nal_unit_type`` and ``nuh_layer_id`` (§7.3.1.2)."""
    if len(unit) < 2 or unit[0] & 0x80:
        raise malformed()
    return unit[0] >> 1, (unit[0] & 1) << 5 | unit[1] >> 3


def _small(unit: bytes) -> bytes:
    if len(unit) > _MAX_PARAMETER_SET_BYTES:
        raise malformed()
    return unit


class _Bits:
    def __init__(self, unit: bytes) -> None:
        # Emulation prevention (§7.3.1.1): a 3 after two zeros is no part of the payload.
        payload = unit[2:].replace(b"\0\0\3", b"\0\0")
        self._value, self._left = int.from_bytes(payload), 8 * len(payload)

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise malformed()
        return self._value >> self._left & ((1 << count) - 1)

    def exp_golomb(self) -> int:
        """Read an Exp-Golomb code (§9.2)."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 31:
                raise malformed()
        return (1 << zeros) - 1 + self.take(zeros)


def _read_sps(unit: bytes) -> CodedSize:
    bits = _Bits(unit)
    bits.take(4)
    sub_layers = bits.take(3)
    bits.take(1 + 96)  # nesting; profile, tier and level (§7.3.3)
    present = [(bits.take(1), bits.take(1)) for _ in range(sub_layers)]
    if sub_layers:
        bits.take(2 * (8 - sub_layers))
    for has_profile, has_level in present:
        bits.take(88 * has_profile + 8 * has_level)
    bits.exp_golomb()
    chroma_format = bits.exp_golomb()
    if chroma_format not in _CHROMA_SHIFTS or (chroma_format == 3 and bits.take(1)):
        raise malformed()
    width_px, height_px = bits.exp_golomb(), bits.exp_golomb()
    coded_pixels = width_px * height_px
    if bits.take(1):
        shift_x, shift_y = _CHROMA_SHIFTS[chroma_format]
        left, right, top, bottom = (bits.exp_golomb() for _ in range(4))
        width_px -= (left + right) << shift_x
        height_px -= (top + bottom) << shift_y
    luma_depth, chroma_depth = 8 + bits.exp_golomb(), 8 + bits.exp_golomb()
    if max(luma_depth, chroma_depth) > _MAX_BIT_DEPTH or (chroma_format and luma_depth != chroma_depth):
        raise malformed()
    return CodedSize(width_px, height_px, coded_pixels, chroma_format, luma_depth)
