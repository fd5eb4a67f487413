"""The two JPEGs of the requests: photographs enlarged to a camera's pixel counts, with a sensor's grain.

scikit-image's photographs are small. Enlarged alone they would be far too smooth for their pixel count, and too easy to
decode; grain brings them to the bits per pixel of a camera's own JPEG (2.4 to 3), so that 1 MB is about 3.5 Mpx and
10 MB about 27 Mpx.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage import data

_SCENES: tuple[Callable[[], NDArray[np.uint8]], ...] = (data.coffee, data.chelsea, data.astronaut, data.rocket)
_QUALITY = 90
_RECIPE = 1  # part of the file names: raise it when the images change


@dataclass(frozen=True, slots=True)
class Images:
    """The two files, the same for all subjects and all runs."""

    small: Path
    large: Path

    def described(self) -> str:
        """Return sizes and pixels, for the head of a report."""
        return "; ".join(_described(path) for path in (self.small, self.large))


def make_images(folder: Path) -> Images:
    """Return the two JPEGs, made in ``folder`` unless they are there already."""
    folder.mkdir(parents=True, exist_ok=True)
    small, large = folder / f"photo-1mb-{_RECIPE}.jpg", folder / f"photo-10mb-{_RECIPE}.jpg"
    for path, width_px, height_px, size_bytes in ((small, 2304, 1536, 1_000_000), (large, 6000, 4500, 10_000_000)):
        if not path.exists():
            path.write_bytes(photograph(width_px, height_px, size_bytes))
    return Images(small, large)


def photograph(width_px: int, height_px: int, size_bytes: int) -> bytes:
    """Return a JPEG of four photographs side by side, with as much grain as makes it ``size_bytes`` (within 3 %)."""
    scenes = [Image.fromarray(scene()).convert("RGB") for scene in _SCENES]
    half_px = (width_px // 2, height_px // 2)
    canvas = Image.new("RGB", (width_px, height_px))
    for number, scene in enumerate(scenes):
        corner = (number % 2 * half_px[0], number // 2 * half_px[1])
        canvas.paste(scene.resize(half_px, Image.Resampling.BICUBIC), corner)
    smooth = np.asarray(canvas, dtype=np.float32)
    grain = np.random.default_rng(24).standard_normal((height_px, width_px, 1), dtype=np.float32)
    low, high = 0.0, 24.0
    while True:
        sigma = (low + high) / 2
        grainy = np.clip(smooth + grain * np.float32(sigma), 0, 255).astype(np.uint8)
        out = io.BytesIO()
        Image.fromarray(grainy).save(out, "JPEG", quality=_QUALITY)
        if abs(out.tell() - size_bytes) < 0.03 * size_bytes or high - low < 0.01:
            return out.getvalue()
        low, high = (sigma, high) if out.tell() < size_bytes else (low, sigma)


def _described(path: Path) -> str:
    with Image.open(path) as image:
        width_px, height_px = image.size
    size_bytes = path.stat().st_size
    bits = size_bytes * 8 / (width_px * height_px)
    return f"{size_bytes / 1e6:.2f} MB is {width_px}x{height_px} ({bits:.1f} bits per pixel)"
