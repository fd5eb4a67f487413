"""What can be said of a picture by measuring it: format, size, orientation, colours, brightness, sharpness."""

import colorsys
import io
import math
from collections import Counter
from dataclasses import dataclass

from PIL import Image, ImageFilter, ImageStat

SMALL_SIDE_PX = 128
PATCH_PX, LEAST_PATCHES = 28, 4
MAGENTA = (255, 0, 255)

_HUES = ((15, "red"), (45, "orange"), (70, "yellow"), (165, "green"), (200, "cyan"), (260, "blue"), (290, "violet"))


@dataclass(frozen=True, slots=True)
class Impression:
    """One picture, measured; ``brightness`` and ``sharpness`` are shares of 255."""

    format: str
    width_px: int
    height_px: int
    colours: tuple[str, ...]
    brightness: float
    sharpness: float

    @property
    def tokens(self) -> int:
        """How many tokens a model with patches of 28 px, at least four of them, would make of it."""
        across, down = self.width_px / PATCH_PX, self.height_px / PATCH_PX
        whole = max(1, round(across)) * max(1, round(down))
        if whole >= LEAST_PATCHES:
            return whole
        grown = math.sqrt(LEAST_PATCHES / (across * down))
        return math.ceil(across * grown) * math.ceil(down * grown)

    def sentence(self) -> str:
        """Say it in one sentence."""
        shape = "square" if self.width_px == self.height_px else "upright"
        shape = "landscape" if self.width_px > self.height_px else shape
        light = "dark" if self.brightness < 0.3 else "bright" if self.brightness > 0.7 else "evenly lit"
        edge = "soft" if self.sharpness < 0.02 else "crisp" if self.sharpness > 0.08 else "fairly sharp"
        return (
            f"a {shape} {self.format} of {self.width_px} x {self.height_px} pixels, {light} "
            f"(brightness {self.brightness:.0%}) and {edge} (sharpness {self.sharpness:.0%}), "
            f"mostly {' and '.join(self.colours)}"
        )


def look(data: bytes) -> Impression:
    """Measure a picture; raises OSError when it is none."""
    with Image.open(io.BytesIO(data)) as picture:
        kind, (width_px, height_px) = picture.format or "picture", picture.size
        small = _on_white(picture)
    grey = small.convert("L")
    edges = grey.filter(ImageFilter.FIND_EDGES)
    return Impression(
        format=kind,
        width_px=width_px,
        height_px=height_px,
        colours=_dominant(small),
        brightness=ImageStat.Stat(grey).mean[0] / 255,
        sharpness=ImageStat.Stat(edges).mean[0] / 255,
    )


def is_test_picture(data: bytes) -> bool:
    """Whether a picture is the moderation test picture: one plain field of magenta, #FF00FF."""
    with Image.open(io.BytesIO(data)) as picture:
        low_high = _on_white(picture).getextrema()
    return all(
        abs(bound - wanted) <= 8
        for band, wanted in zip(low_high, MAGENTA, strict=True)
        for bound in (band if isinstance(band, tuple) else (band,))
    )


def _on_white(picture: Image.Image) -> Image.Image:
    picture.draft("RGB", (SMALL_SIDE_PX, SMALL_SIDE_PX))
    small = picture.convert("RGBA")
    small.thumbnail((SMALL_SIDE_PX, SMALL_SIDE_PX))
    white = Image.new("RGBA", small.size, "white")
    white.alpha_composite(small)
    return white.convert("RGB")


def _dominant(small: Image.Image) -> tuple[str, ...]:
    counted: Counter[str] = Counter()
    for count, colour in small.getcolors(small.width * small.height) or []:
        if isinstance(colour, tuple):
            red, green, blue = colour[:3]
            counted[_name(red, green, blue)] += count
    return tuple(name for name, _ in counted.most_common(2))


def _name(red: int, green: int, blue: int) -> str:
    hue, lightness, saturation = colorsys.rgb_to_hls(red / 255, green / 255, blue / 255)
    if lightness < 0.12:
        return "black"
    if lightness > 0.92:
        return "white"
    if saturation < 0.15:
        return "grey"
    degrees = hue * 360
    return next((name for until, name in _HUES if degrees < until), "magenta" if degrees < 330 else "red")
