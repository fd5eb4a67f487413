"""Real photographs: those that scikit-image ships."""

from pathlib import Path

import skimage


def photograph(name: str) -> Path:
    return Path(skimage.__file__).parent / "data" / name
