"""Images within what an upstream takes: bytes as base64, side, formats; by quality first, then by size."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from obscura.imaging import Detail, ImageError, ImageLimits, OutputLimits, PreparedImage, prepare
from obscura.imaging.fit import base64_length
from tests.unit.imaging.images import a_photograph, a_plain, opened, saved

NOISE = saved(Image.effect_noise((600, 400), 120).convert("RGB"), "PNG")
PHOTO = a_photograph(600, 400, "JPEG")


def fitted(data: bytes, detail: Detail = Detail.AUTO, **output: Any) -> PreparedImage:
    return prepare(data, detail, ImageLimits(output=OutputLimits(**output)))


@pytest.mark.parametrize("part", [0.9, 0.5, 0.1, 0.04])
def test_an_image_is_encoded_until_its_base64_fits(part: float) -> None:
    free = prepare(NOISE)
    limit = int(base64_length(len(free.data)) * part)

    image = fitted(NOISE, base64_bytes=limit)

    assert base64_length(len(image.data)) <= limit
    assert opened(image.data).size == (image.width_px, image.height_px)
    assert image.limited


def test_quality_is_given_up_before_size() -> None:
    limit = base64_length(len(prepare(NOISE).data))

    image = fitted(NOISE, base64_bytes=limit * 6 // 10)

    assert (image.width_px, image.height_px) == (600, 400)


def test_what_cannot_fit_names_the_limit() -> None:
    with pytest.raises(ImageError, match="takes 300 bytes of base64 an image") as refused:
        fitted(NOISE, base64_bytes=300)

    assert (refused.value.code, refused.value.limit) == ("image_too_large", 300)


def test_the_longest_side_is_the_lesser_of_the_two() -> None:
    wide = a_photograph(1600, 800, "JPEG")

    assert fitted(wide, longest_side_px=1000).width_px == 1000
    assert fitted(wide, longest_side_px=1500).width_px == 1280
    assert fitted(wide, Detail.HIGH, longest_side_px=1500).width_px == 1500


@pytest.mark.parametrize(
    ("data", "formats", "media_type"),
    [
        (a_plain(40, 30, "WEBP"), {"JPEG", "PNG"}, "image/png"),
        (a_plain(40, 30, "PNG"), {"JPEG"}, "image/jpeg"),
        (PHOTO, {"PNG"}, "image/png"),
        (a_plain(40, 30, "PNG"), {"PNG"}, "image/png"),
    ],
)
def test_only_formats_that_are_taken_are_made(data: bytes, formats: set[str], media_type: str) -> None:
    assert fitted(data, formats=frozenset(formats)).media_type == media_type


def test_an_image_within_its_limits_is_the_one_without_limits() -> None:
    for data in (NOISE, PHOTO, a_plain(40, 30, "PNG")):
        within = fitted(data, base64_bytes=10**7, longest_side_px=2000, formats=frozenset({"JPEG", "PNG"}))
        assert (within.data, within.limited) == (prepare(data).data, False)


HASHES = """
import hashlib, sys
from obscura.imaging import Detail, ImageLimits, OutputLimits, prepare
for path in sys.argv[1:]:
    data = open(path, "rb").read()
    for detail in Detail:
        for size in (None, 40_000):
            limits = ImageLimits(output=OutputLimits(base64_bytes=size))
            print(hashlib.sha256(prepare(data, detail, limits).data).hexdigest())
"""


def test_prepared_bytes_are_the_same_in_every_process(tmp_path: Path) -> None:
    files = {"noise.png": NOISE, "photo.jpg": PHOTO, "photo.webp": a_photograph(900, 700, "WEBP")}
    paths = [tmp_path / name for name in files]
    for path, data in zip(paths, files.values(), strict=True):
        path.write_bytes(data)

    outputs = {
        subprocess.run(
            [sys.executable, "-c", HASHES, *paths],
            check=True,
            capture_output=True,
            env=os.environ | {"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }

    assert len(outputs) == 1
    assert outputs.pop().count(b"\n") == 18
