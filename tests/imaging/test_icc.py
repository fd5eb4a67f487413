"""Images with an ICC profile come out in sRGB; a profile's bytes never reach LittleCMS."""

import io
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skimage
from PIL import Image, ImageCms
from skimage.color import deltaE_ciede2000, rgb2lab

from obscura.imaging import prepare
from obscura.imaging.colour import to_srgb
from obscura.imaging.icc import (
    P3_COLORANTS,
    SRGB_COLORANTS,
    SRGB_PARAMETERS,
    Curve,
    MatrixProfile,
    profile_bytes,
    read_profile,
)
from tests.unit.imaging.images import opened, photograph_pixels, png_chunk, saved

ADOBE_COLORANTS = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
PROPHOTO_COLORANTS = ((0.79767, 0.28804, 0.0), (0.13519, 0.71188, 0.0), (0.03134, 0.00009, 0.82491))
SRGB_CURVE = Curve(3, SRGB_PARAMETERS)


def sampled(curve: Curve, count: int) -> Curve:
    return Curve(-1, tuple(round(65_535 * curve.at(index / (count - 1))) for index in range(count)))


def profile(colorants: tuple[tuple[float, float, float], ...], curve: Curve) -> bytes:
    return profile_bytes(MatrixProfile(colorants, (curve,) * 3))


PROFILES = {
    "Display P3": profile(P3_COLORANTS, SRGB_CURVE),
    "Display P3 with a sampled curve": profile(P3_COLORANTS, sampled(SRGB_CURVE, 1024)),
    "Adobe RGB": profile(ADOBE_COLORANTS, Curve(0, (2.19921875,))),
    "ProPhoto RGB": profile(PROPHOTO_COLORANTS, Curve(0, (1.8,))),
}
SRGB = {
    "sRGB": profile(SRGB_COLORANTS, SRGB_CURVE),
    "sampled sRGB": profile(SRGB_COLORANTS, sampled(SRGB_CURVE, 1024)),
    "LittleCMS's sRGB": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
}
PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png")


def photograph(name: str) -> Image.Image:
    return Image.open(Path(skimage.__file__).parent / "data" / name).convert("RGB")


def by_littlecms(image: Image.Image, icc_profile: bytes) -> Image.Image:
    source = ImageCms.ImageCmsProfile(io.BytesIO(icc_profile))
    converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode=image.mode)
    assert converted is not None
    return converted


def as_jpeg(image: Image.Image) -> Image.Image:
    """What is left of an image in the quality in which photographs go on: that loss is no loss of colour management."""
    return opened(saved(image, "JPEG", quality=90, subsampling=0))


def mean_delta_e(one: Image.Image, other: Image.Image) -> float:
    difference = deltaE_ciede2000(rgb2lab(np.asarray(one)), rgb2lab(np.asarray(other)))  # type: ignore[no-untyped-call]
    return float(difference.mean())


@pytest.mark.parametrize("name", PHOTOGRAPHS)
@pytest.mark.parametrize("kind", PROFILES)
def test_colours_are_those_that_littlecms_finds(kind: str, name: str) -> None:
    image = photograph(name)
    reference = by_littlecms(image, PROFILES[kind])

    prepared = opened(prepare(saved(image, "PNG", icc_profile=PROFILES[kind], compress_level=1)).data)

    assert mean_delta_e(image, reference) > 1
    assert mean_delta_e(prepared, as_jpeg(reference)) < 0.1
    assert np.array_equal(np.asarray(to_srgb(image.copy(), PROFILES[kind])), np.asarray(reference))


@pytest.mark.parametrize(
    "save",
    [
        lambda image, icc: saved(image, "JPEG", quality=98, subsampling=0, icc_profile=icc),
        lambda image, icc: saved(image, "PNG", icc_profile=icc),
        lambda image, icc: saved(image, "WEBP", lossless=True, icc_profile=icc),
        lambda image, icc: saved(image, "AVIF", quality=95, subsampling="4:4:4", icc_profile=icc),
    ],
    ids=["jpeg", "png", "webp", "avif"],
)
@pytest.mark.parametrize("size", [(400, 300), (2600, 1950)])
def test_the_profile_of_every_format_counts(save: Callable[[Image.Image, bytes], bytes], size: tuple[int, int]) -> None:
    data = save(photograph("coffee.png").resize(size), PROFILES["Adobe RGB"])
    reference = by_littlecms(opened(data), PROFILES["Adobe RGB"])

    prepared = opened(prepare(data).data)

    assert mean_delta_e(prepared, as_jpeg(reference.resize(prepared.size, Image.Resampling.LANCZOS))) < 1
    assert prepared.info.get("icc_profile") is None


def test_a_profile_in_several_segments_of_a_jpeg_is_joined() -> None:
    icc = PROFILES["ProPhoto RGB"] + bytes(150_000)
    data = saved(photograph("coffee.png"), "JPEG", quality=98, subsampling=0, icc_profile=icc)

    prepared = opened(prepare(data).data)

    assert data.count(b"ICC_PROFILE\0") == 3
    assert mean_delta_e(prepared, as_jpeg(by_littlecms(opened(data), PROFILES["ProPhoto RGB"]))) < 1


def test_an_avif_that_names_display_p3_is_converted() -> None:
    image = photograph("coffee.png").resize((300, 200))
    data = saved(image, "AVIF", quality=95, subsampling="4:4:4")
    at = data.index(b"colrnclx") + 8
    named = data[:at] + b"\0\x0c\0\x0d" + data[at + 4 :]

    prepared = opened(prepare(named).data)

    assert mean_delta_e(prepared, as_jpeg(by_littlecms(opened(data), PROFILES["Display P3"]))) < 1
    assert mean_delta_e(opened(prepare(data).data), as_jpeg(opened(data))) < 1


@pytest.mark.parametrize("kind", SRGB)
def test_srgb_is_recognized_by_its_numbers(kind: str) -> None:
    image = photograph_pixels(60, 40)

    assert to_srgb(image, SRGB[kind]).tobytes() == photograph_pixels(60, 40).tobytes()
    assert read_profile(SRGB[kind]).is_srgb


@pytest.mark.parametrize("gamma", [1.0, 1.8, 2.2])
def test_a_grey_profile_is_a_curve(gamma: float) -> None:
    curve = struct.pack(">4s4xIH", b"curv", 1, round(256 * gamma))
    header = bytes(12) + b"mntrGRAYXYZ " + bytes(12) + b"acsp" + bytes(88)
    grey = header + struct.pack(">I4sII", 1, b"kTRC", 144, len(curve)) + curve
    ramp = Image.linear_gradient("L")

    result = np.asarray(opened(prepare(saved(ramp, "PNG", icc_profile=grey)).data)).astype(float)

    light = np.linspace(0, 1, 256) ** gamma
    expected = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    assert np.abs(result[:, 0] - expected).max() < 2.5


def test_an_rgb_profile_on_a_grey_image_is_its_curve() -> None:
    ramp = Image.linear_gradient("L")

    assert to_srgb(ramp, PROFILES["Display P3"]).tobytes() == ramp.tobytes()
    assert np.asarray(to_srgb(ramp, PROFILES["ProPhoto RGB"]))[128, 0] > 140


BROKEN: dict[str, bytes] = {
    "empty": b"",
    "text": b"not a profile at all" * 20,
    "header alone": PROFILES["Display P3"][:128],
    "cut": PROFILES["Display P3"][:-40],
    "no white": profile(tuple((0.1, 0.1, 0.1) for _ in range(3)), SRGB_CURVE),
    "one colour": profile(((0.32, 0.33, 0.27), (0.32, 0.33, 0.27), (0.32, 0.34, 0.28)), SRGB_CURVE),
    "negative gamma": profile(P3_COLORANTS, Curve(0, (-2.2,))),
    "table": PROFILES["Display P3"].replace(b"rXYZ", b"A2B0"),
    "millions of tags": PROFILES["Display P3"][:128] + b"\xff" * 400,
    "a curve of millions": PROFILES["Adobe RGB"].replace(b"para\0\0\0\0\0\0\0\0", b"curv\0\0\0\0\x7f\xff\xff\xff"),
    "CMYK": PROFILES["Display P3"].replace(b"RGB ", b"CMYK"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_or_table_based_profile_is_ignored(kind: str) -> None:
    image = photograph_pixels(60, 40)

    assert read_profile(BROKEN[kind]) is None
    assert to_srgb(image.copy(), BROKEN[kind]).tobytes() == image.tobytes()


def test_no_mutation_of_a_profile_fails() -> None:
    chance = random.Random(4)  # noqa: S311 - the same on every run
    image = photograph_pixels(16, 16)
    read = 0
    for _ in range(1500):
        data = bytearray(chance.choice([*PROFILES.values(), *SRGB.values()])[:2000])
        for _ in range(chance.choice((1, 2, 8))):
            data[chance.randrange(len(data))] = chance.choice((0, 255, chance.randrange(256)))
        result = to_srgb(image.copy(), bytes(data))
        assert (result.size, result.mode) == (image.size, "RGB")
        read += read_profile(bytes(data)) is not None
    assert 100 < read < 1400


@pytest.mark.parametrize("payload", [b"", b"name", b"\0\0x", b"name\0\1" + zlib.compress(PROFILES["Adobe RGB"])])
def test_a_malformed_profile_chunk_of_a_png_is_ignored(payload: bytes) -> None:
    image = photograph_pixels(60, 40).quantize(16).convert("RGB")
    png = saved(image, "PNG")

    assert opened(prepare(png[:33] + png_chunk(b"iCCP", payload) + png[33:]).data).tobytes() == image.tobytes()
