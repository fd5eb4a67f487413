"""PDQ, the perceptual hash of photographs that hash lists of known images hold.

Facebook, "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm" (2019), and the reference code's
published vectors that are hashed without downsampling, as HMA and the exchanges hash. Pillow and the standard library
suffice: both box passes along an axis are one triangle, which is what Pillow's bilinear filter weighs by.
"""

import io
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PIL import Image

_SAMPLES = 64
_BITS = 16
_MIN_SIDE_PX = 5
_LUMA = (0.299, 0.587, 0.114)
_COSINES = [
    [math.sqrt(2 / _SAMPLES) * math.cos(math.pi / 2 / _SAMPLES * row * (2 * column + 1)) for column in range(_SAMPLES)]
    for row in range(1, _BITS + 1)
]

type Matrix = list[list[float]]


@dataclass(frozen=True, slots=True)
class PdqHash:
    """The hash of one image.

    bits      256 bits; its 64 hexadecimal digits are what lists hold
    quality   0 to 100, how much detail the image has
    forms     the hashes of the image turned and mirrored, itself among them: 8 where they were asked for, else 1
    """

    bits: int
    quality: int
    forms: tuple[int, ...]

    def __str__(self) -> str:
        """The hash as lists write it."""
        return f"{self.bits:064x}"


def pdq_hash(data: bytes, *, dihedral: bool = False) -> PdqHash:
    """Hash a prepared image: a static JPEG, PNG or WEBP of 8-bit L or RGB, which is decoded once more.

    Safe in any thread; 25 to 35 ms for 1280 px. ``dihedral`` also hashes its quarter turns and mirrored forms, which
    costs 1 ms more. A side below 5 px gives a hash of zeros and quality 0, as the reference does.
    """
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return pdq_hash_of_pixels(image, dihedral=dihedral)


def pdq_hash_of_pixels(image: Image.Image, *, dihedral: bool = False) -> PdqHash:
    """Hash the pixels of an L or RGB image, as ``pdq_hash`` does."""
    if min(image.size) < _MIN_SIDE_PX:
        return PdqHash(0, 0, (0,))
    luma = _luma(image)
    frequencies = _frequencies(luma)
    bits = _above_median(frequencies)
    forms = tuple(map(_above_median, _turned_and_mirrored(frequencies))) if dihedral else ()
    return PdqHash(bits, _quality(luma), (bits, *forms))


def _luma(image: Image.Image) -> Matrix:
    """Return 64 x 64 samples of the blurred luma, 0 to 255. Each channel is sampled by itself, without rounding."""
    channels = [_sampled(channel) for channel in image.split()]
    if len(channels) == 1:
        flat = channels[0]
    else:
        red, green, blue = _LUMA
        flat = [red * r + green * g + blue * b for r, g, b in zip(*channels, strict=True)]
    return [flat[start : start + _SAMPLES] for start in range(0, _SAMPLES * _SAMPLES, _SAMPLES)]


def _sampled(channel: Image.Image) -> list[float]:
    width, height = channel.size
    exact = channel.convert("F")
    rows = Image.new("F", (width, _SAMPLES))
    for number, (start, end) in enumerate(_windows(height)):
        row = exact.resize((width, 1), Image.Resampling.BILINEAR, box=(0, start, width, end))
        rows.paste(row, (0, number))
    samples = Image.new("F", (_SAMPLES, _SAMPLES))
    for number, (start, end) in enumerate(_windows(width)):
        column = rows.resize((1, _SAMPLES), Image.Resampling.BILINEAR, box=(start, 0, end, _SAMPLES))
        samples.paste(column, (number, 0))
    values: Any = samples.get_flattened_data()  # of one channel: numbers, which its type does not tell from tuples
    return list(values)


def _windows(side_px: int) -> list[tuple[float, float]]:
    """Return the box of each sample along a side. Its width is the filter's; an even one leans to the right by a half.

    Two passes of a box of w pixels weigh a pixel at distance d by w - d: Pillow's bilinear filter, at a scale of w.
    """
    window = (side_px + 2 * _SAMPLES - 1) // (2 * _SAMPLES)
    lean = 0.5 + (window + 1) % 2
    centres = [int((number + 0.5) * side_px / _SAMPLES) + lean for number in range(_SAMPLES)]
    return [(max(0, centre - window / 2), min(side_px, centre + window / 2)) for centre in centres]


def _frequencies(luma: Matrix) -> Matrix:
    """Return the 16 x 16 lowest frequencies of the discrete cosine transform, without the constant ones."""
    columns = list(zip(*luma, strict=True))
    transformed = [[math.sumprod(cosines, column) for column in columns] for cosines in _COSINES]
    return [[math.sumprod(row, cosines) for cosines in _COSINES] for row in transformed]


def _above_median(frequencies: Matrix) -> int:
    """Return a bit for each frequency that is above the lower median, the first one in the lowest bit."""
    values = [value for row in frequencies for value in row]
    median = sorted(values)[len(values) // 2 - 1]
    return sum(1 << position for position, value in enumerate(values) if value > median)


def _quality(luma: Matrix) -> int:
    """Return how much neighbouring samples differ, in percent of white, up to 100."""
    rows = itertools.pairwise(luma)
    down = sum(abs(int((a - b) * 100 / 255)) for above, below in rows for a, b in zip(above, below, strict=True))
    across = sum(abs(int((a - b) * 100 / 255)) for row in luma for a, b in itertools.pairwise(row))
    return min(100, int((down + across) / 90))


def _turned_and_mirrored(frequencies: Matrix) -> list[Matrix]:
    """Return the frequencies of the image turned by 90, 180 and 270 degrees, mirrored, and both.

    A mirrored axis negates its even frequencies (counted from 0, without the constant one); a transposed image has
    them transposed.
    """
    transposed = [list(column) for column in zip(*frequencies, strict=True)]
    return [
        form
        for matrix in (frequencies, transposed)
        for form in (
            matrix,
            _signed(matrix, lambda row, _: row % 2 == 0),
            _signed(matrix, lambda _, column: column % 2 == 0),
            _signed(matrix, lambda row, column: (row + column) % 2 == 1),
        )
    ][1:]


def _signed(matrix: Matrix, is_negated: Callable[[int, int], bool]) -> Matrix:
    return [
        [-value if is_negated(row, column) else value for column, value in enumerate(values)]
        for row, values in enumerate(matrix)
    ]
