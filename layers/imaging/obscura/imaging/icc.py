"""A bounded reader of ICC profiles: the numbers of a matrix or grey profile, and nothing else of it (ICC.1:2022)."""

import struct
from dataclasses import dataclass
from functools import cached_property

_HEADER_BYTES = 128
_MAX_TAGS = 100
_MAX_CURVE_ENTRIES = 4096
_D50 = (0.9642, 1.0, 0.8249)
_WHITE_TOLERANCE = 0.1
_MIN_VOLUME = 0.01
_MAX_PARAMETER = 16.0
_PARAMETERS = (1, 3, 4, 5, 7)
"""How many numbers each type of parametric curve has (ICC.1:2022 §10.18, table 68)."""
_EQUAL, _STEPS = 0.004, 33

SRGB_COLORANTS = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))
P3_COLORANTS = ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841))
SRGB_PARAMETERS = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)

type Xyz = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Curve:
    """A tone curve from device values of 0 to 1 to linear light.

    Attributes:
        kind: the type of a parametric curve, 0 to 4; -1 for ``samples`` at equal steps, of 0 to 65535.
        numbers: the parameters, or the samples.

    """

    kind: int
    numbers: tuple[float, ...]

    def at(self, value: float) -> float:
        """Return the linear light of a device value (ICC.1:2022 §10.6 for samples, §10.18 for parameters)."""
        if self.kind < 0:
            place = value * (len(self.numbers) - 1)
            below = min(int(place), len(self.numbers) - 2)
            low, high = self.numbers[below], self.numbers[below + 1]
            return (low + (high - low) * (place - below)) / 65_535
        g, a, b, c, d, e, f = (*self.numbers, *(1.0, 0.0, 0.0, 0.0, 0.0, 0.0)[len(self.numbers) - 1 :])
        match self.kind:
            case 0:
                return _power(value, g)
            case 1:
                return _power(a * value + b, g) if a * value + b >= 0 else 0.0
            case 2:
                return (_power(a * value + b, g) if a * value + b >= 0 else 0.0) + c
            case _:
                return _power(a * value + b, g) + e if value >= d else c * value + f


@dataclass(frozen=True)
class MatrixProfile:
    """A profile that is a matrix and curves: colours are their linear light times the colorants (§8.3.3).

    Attributes:
        colorants: XYZ of red, green and blue, as seen under D50; none for grey.
        curves: those of red, green and blue, or that of grey.

    """

    colorants: tuple[Xyz, ...]
    curves: tuple[Curve, ...]

    @cached_property
    def is_srgb(self) -> bool:
        """Whether it says what is assumed without a profile: no 8-bit value would differ by more than about one."""
        srgb = Curve(3, SRGB_PARAMETERS)
        return all(
            abs(curve.at(step / (_STEPS - 1)) - srgb.at(step / (_STEPS - 1))) < _EQUAL
            for curve in self.curves
            for step in range(_STEPS)
        ) and all(
            abs(own - standard) < _EQUAL
            for colorant, expected in zip(self.colorants, SRGB_COLORANTS, strict=False)
            for own, standard in zip(colorant, expected, strict=True)
        )


def read_profile(data: bytes) -> MatrixProfile | None:
    """Return the numbers of a matrix-based RGB or a grey profile; None for any other one, and for a broken one.

    Tables (``A2B0`` and its like) are not read: where a profile has a matrix as well, the matrix counts.
    """
    try:
        return _read(data)
    except (struct.error, ValueError, ArithmeticError):
        return None


def _read(data: bytes) -> MatrixProfile | None:
    if data[36:40] != b"acsp" or data[12:16] not in {b"mntr", b"scnr", b"prtr", b"spac"}:
        return None
    tags = _tags(data)
    if data[16:20] == b"GRAY" and b"kTRC" in tags:
        return MatrixProfile((), (_curve(tags[b"kTRC"]),))
    needed = {b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC"}
    if data[16:20] != b"RGB " or data[20:24] != b"XYZ " or not needed <= tags.keys():
        return None
    red, green, blue = (_xyz(tags[kind]) for kind in (b"rXYZ", b"gXYZ", b"bXYZ"))
    white = [sum(parts) for parts in zip(red, green, blue, strict=True)]
    if any(abs(part - expected) > _WHITE_TOLERANCE for part, expected in zip(white, _D50, strict=True)):
        return None
    if abs(_determinant(red, green, blue)) < _MIN_VOLUME:
        return None
    curves = tuple(_curve(tags[kind]) for kind in (b"rTRC", b"gTRC", b"bTRC"))
    return MatrixProfile((red, green, blue), curves)


def _tags(data: bytes) -> dict[bytes, bytes]:
    """Return the tagged elements by signature (ICC.1:2022 §7.3); what reaches past the end is cut."""
    (count,) = struct.unpack_from(">I", data, _HEADER_BYTES)
    found: dict[bytes, bytes] = {}
    for index in range(min(count, _MAX_TAGS)):
        kind, offset, size = struct.unpack_from(">4sII", data, _HEADER_BYTES + 4 + 12 * index)
        found[kind] = data[offset : offset + min(size, 12 + 2 * _MAX_CURVE_ENTRIES)]
    return found


def _xyz(element: bytes) -> Xyz:
    """Read an XYZType (ICC.1:2022 §10.31) of one triple."""
    kind, x, y, z = struct.unpack_from(">4s4xiii", element)
    if kind != b"XYZ ":
        raise ValueError
    return x / 65_536, y / 65_536, z / 65_536


def _curve(element: bytes) -> Curve:
    """Read a curveType (ICC.1:2022 §10.6) or a parametricCurveType (§10.18)."""
    if element[:4] == b"curv":
        (count,) = struct.unpack_from(">I", element, 8)
        if count == 0:
            return Curve(0, (1.0,))
        if count > _MAX_CURVE_ENTRIES:
            raise ValueError
        samples = struct.unpack_from(f">{count}H", element, 12)
        return _parametric(0, (samples[0] / 256,)) if count == 1 else Curve(-1, tuple(map(float, samples)))
    kind, function = struct.unpack_from(">4s4xH", element)
    if kind != b"para" or function >= len(_PARAMETERS):
        raise ValueError
    numbers = struct.unpack_from(f">{_PARAMETERS[function]}i", element, 12)
    return _parametric(function, tuple(number / 65_536 for number in numbers))


def _parametric(function: int, numbers: tuple[float, ...]) -> Curve:
    if numbers[0] <= 0 or max(map(abs, numbers)) > _MAX_PARAMETER:
        raise ValueError
    return Curve(function, numbers)


def _power(base: float, exponent: float) -> float:
    return float(base**exponent) if base > 0 else 0.0


def _determinant(one: Xyz, two: Xyz, three: Xyz) -> float:
    return (
        one[0] * (two[1] * three[2] - two[2] * three[1])
        - one[1] * (two[0] * three[2] - two[2] * three[0])
        + one[2] * (two[0] * three[1] - two[1] * three[0])
    )


def profile_bytes(profile: MatrixProfile) -> bytes:
    """Write an RGB profile of version 2.4 or 4.3 with these numbers and nothing else (ICC.1:2022 §7, §8.3.3, §9.2)."""
    text = b"\0o\0b\0s\0c\0u\0r\0a"
    described = struct.pack(">4s4xIIHHII", b"mluc", 1, 12, ord("e") << 8 | ord("n"), 0, len(text), 28) + text
    white = struct.pack(">4s4xiii", b"XYZ ", *(round(part * 65_536) for part in _D50))
    elements = {b"desc": described, b"cprt": described, b"wtpt": white}
    for name, colorant, curve in zip(b"rgb", profile.colorants, profile.curves, strict=True):
        letter = bytes([name])
        elements[letter + b"XYZ"] = struct.pack(">4s4xiii", b"XYZ ", *(round(part * 65_536) for part in colorant))
        elements[letter + b"TRC"] = _curve_bytes(curve)
    table, body = b"", b""
    start = _HEADER_BYTES + 4 + 12 * len(elements)
    for kind, element in elements.items():
        table += struct.pack(">4sII", kind, start + len(body), len(element))
        body += element + bytes(-len(element) % 4)
    header = struct.pack(">I4xI4s4s4s", start + len(body), 0x04300000, b"mntr", b"RGB ", b"XYZ ")
    illuminant = struct.pack(">iii", *(round(part * 65_536) for part in _D50))
    header = header.ljust(36, b"\0") + b"acsp".ljust(32, b"\0") + illuminant
    return header.ljust(_HEADER_BYTES, b"\0") + struct.pack(">I", len(elements)) + table + body


def _curve_bytes(curve: Curve) -> bytes:
    if curve.kind < 0:
        return struct.pack(f">4s4xI{len(curve.numbers)}H", b"curv", len(curve.numbers), *map(int, curve.numbers))
    numbers = (round(number * 65_536) for number in curve.numbers)
    return struct.pack(f">4s4xHH{len(curve.numbers)}i", b"para", curve.kind, 0, *numbers)


DISPLAY_P3 = profile_bytes(MatrixProfile(P3_COLORANTS, (Curve(3, SRGB_PARAMETERS),) * 3))
