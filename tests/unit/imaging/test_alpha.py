"""Images whose alpha is kept: masks, cutouts, generated images."""

import io

import numpy as np
import pytest
from PIL import Image

from obscura.imaging import Detail, ImageError, ImageLimits, OutputLimits, inspect
from obscura.imaging.alpha import AlphaImage, may_have_alpha, prepare_edited, prepare_generated, prepare_mask
from tests.support.image_requests import a_cutout, opened
from tests.unit.imaging.images import a_photograph, a_plain, exif, photograph_pixels, saved

LIMITS = ImageLimits()


def edited(file: bytes, limits: ImageLimits = LIMITS) -> AlphaImage | None:
    return prepare_edited(file, inspect(file, Detail.HIGH, limits), limits)


def masked(file: bytes, size: tuple[int, int], limits: ImageLimits = LIMITS) -> AlphaImage:
    return prepare_mask(file, inspect(file, Detail.HIGH, limits), size, limits)


@pytest.mark.parametrize("image_format", ["PNG", "WEBP"])
def test_a_cutout_keeps_its_alpha_as_0_and_255(image_format: str) -> None:
    image = opened(a_cutout(300, 100, (0, 0, 100, 100)))
    image.paste((0, 255, 0, 1), (100, 0, 200, 100))

    made = edited(saved(image, image_format, **({"lossless": True, "exact": True} if image_format == "WEBP" else {})))

    alpha = opened(made.data).getchannel("A")
    assert [alpha.getpixel((x, 50)) for x in (50, 150, 250)] == [0, 255, 255]
    assert opened(made.data).getpixel((50, 50)) == (255, 255, 255, 0)
    assert opened(made.data).convert("RGB").tobytes() == opened(made.colours).tobytes()


def test_an_image_without_a_transparent_pixel_is_none() -> None:
    translucent = saved(Image.new("RGBA", (50, 50), (9, 9, 9, 128)), "PNG")

    assert edited(translucent) is None
    assert edited(a_plain(50, 50, "PNG")) is None


def test_jpegs_and_opaque_files_are_not_decoded_for_it() -> None:
    files = [a_photograph(50, 50, "JPEG"), a_plain(50, 50, "PNG"), a_cutout(50, 50, (0, 0, 9, 9))]

    assert [may_have_alpha(file, inspect(file, Detail.HIGH, LIMITS)) for file in files] == [False, False, True]


def test_colours_under_an_alpha_of_zero_are_white_at_edges_of_a_resize_too() -> None:
    made = edited(a_cutout(2500, 40, (0, 0, 1001, 33)))

    pixels = np.asarray(opened(made.data))
    under = pixels[pixels[..., 3] == 0]
    assert len(under) > 20_000
    assert under[:, :3].min() == 255


def test_a_cutout_is_turned_upright_without_metadata() -> None:
    image = opened(a_cutout(200, 100, (0, 0, 50, 100)))

    made = edited(saved(image, "PNG", exif=exif(6)))

    upright = opened(made.data)
    assert (upright.size, made.width_px, made.height_px) == ((100, 200), 100, 200)
    assert (upright.getpixel((50, 10))[3], upright.getpixel((50, 190))[3]) == (0, 255)
    assert not upright.getexif()


def test_a_cutout_is_made_smaller_until_it_fits() -> None:
    image = photograph_pixels(400, 400).convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 50, 50))
    limits = ImageLimits(output=OutputLimits(base64_bytes=200_000))

    made = edited(saved(image, "PNG"), limits)

    assert made.width_px < 400
    assert 4 * len(made.data) / 3 < 200_003


def test_a_cutout_that_cannot_fit_is_too_large() -> None:
    limits = ImageLimits(output=OutputLimits(base64_bytes=100))

    with pytest.raises(ImageError) as refusal:
        edited(a_cutout(400, 400, (0, 0, 9, 9)), limits)
    assert refusal.value.code == "image_too_large"
    with pytest.raises(ImageError):
        masked(a_cutout(400, 400, (0, 0, 9, 9)), (400, 400), limits)


@pytest.mark.parametrize("size", [(50, 25), (800, 400)])
def test_a_mask_gets_the_size_of_its_image(size: tuple[int, int]) -> None:
    made = masked(a_cutout(200, 100, (0, 0, 100, 100)), size)

    mask = opened(made.data)
    assert mask.size == opened(made.colours).size == size
    assert mask.getchannel("A").getcolors() == [(size[0] * size[1] // 2, 0), (size[0] * size[1] // 2, 255)]


def test_a_mask_without_alpha_stays_opaque() -> None:
    made = masked(a_plain(100, 100, "PNG", 0, "L"), (100, 100))

    assert opened(made.data).getextrema() == ((0, 0), (0, 0), (0, 0), (255, 255))


@pytest.mark.parametrize("image_format", ["PNG", "WEBP"])
def test_a_generated_image_of_nothing_but_pixels_keeps_its_bytes(image_format: str) -> None:
    file = a_photograph(300, 200, image_format)

    made = prepare_generated(file, LIMITS)

    assert (made.data, made.views) == (file, (file,))


def test_a_generated_image_keeps_its_size_and_its_translucence() -> None:
    image = Image.new("RGBA", (2600, 40), (200, 30, 30, 90))
    image.paste((1, 2, 3, 0), (0, 0, 10, 10))

    made = prepare_generated(saved(image, "PNG"), LIMITS)

    written = opened(made.data)
    assert written.size == (2600, 40)
    assert (written.getpixel((20, 20)), written.getpixel((5, 5))) == ((200, 30, 30, 90), (255, 255, 255, 0))
    colours, on_white, on_black = (opened(view).getpixel((20, 20)) for view in made.views)
    assert colours == (200, 30, 30)
    assert (on_white[1] > 150, on_black[1] < 50) == (True, True)


def test_a_palette_with_a_transparent_colour_is_seen() -> None:
    image = Image.new("P", (20, 20), 0)
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.paste(1, (0, 0, 10, 20))

    made = prepare_generated(saved(image, "PNG", transparency=1), LIMITS)

    assert opened(made.data).getpixel((5, 5)) == (255, 255, 255, 0)
    assert len(made.views) == 3


def test_a_generated_jpeg_is_encoded_again_and_hardly_differs() -> None:
    file = a_photograph(320, 240, "JPEG", quality=90, exif=exif(1))

    made = prepare_generated(file, LIMITS)

    before, after = opened(file), opened(made.data)
    assert (made.media_type, after.size, made.views) == ("image/jpeg", before.size, (made.data,))
    differences = [abs(a - b) for a, b in zip(before.tobytes(), after.tobytes(), strict=True)]
    assert sum(differences) / len(differences) < 2
    assert b"Exif" not in made.data


@pytest.mark.parametrize("file", [b"", b"text", a_plain(900, 2, "PNG"), a_photograph(64, 64, "JPEG")[:-60]])
def test_a_generated_file_that_is_no_whole_image_is_refused(file: bytes) -> None:
    with pytest.raises(ImageError):
        prepare_generated(file, LIMITS)


def test_a_generated_bomb_is_refused_by_its_header() -> None:
    bomb = io.BytesIO()
    Image.new("1", (9_000, 9_000)).save(bomb, "PNG")

    with pytest.raises(ImageError) as refusal:
        prepare_generated(bomb.getvalue(), LIMITS)
    assert refusal.value.code == "image_too_many_pixels"
