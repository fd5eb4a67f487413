"""An image that is cut, damaged or contradicts itself is an ImageError, and no other exception is raised."""

import random

import pytest

from obscura.imaging import Detail, ImageError, PreparedImage, prepare
from obscura.imaging.formats import FORMATS
from tests.unit.imaging.images import a_photograph, one_of_each, photograph_pixels, saved

CORPUS = one_of_each()
MUTATIONS = 3000


@pytest.mark.parametrize("name", CORPUS)
def test_a_truncated_image_is_invalid_and_its_format_named(name: str) -> None:
    data = CORPUS[name]
    cuts = [len(data) * tenth // 10 for tenth in range(1, 10)] + [len(data) - each for each in _last_bytes(name)]

    for cut in cuts:
        with pytest.raises(ImageError) as error:
            prepare(data[:cut])

        assert error.value.code == "invalid_image"
        assert any(image_format in error.value.message for image_format in FORMATS)


def _last_bytes(name: str) -> tuple[int, ...]:
    # The last two bytes of a JPEG are its EOI, which may be missing; some bits of the byte before are padding.
    return (4, 6, 8) if "jpeg" in name else (1, 2, 3)


def test_a_large_jpeg_cut_at_any_tenth_is_invalid() -> None:
    data = a_photograph(2400, 1600, "JPEG")

    for tenth in range(1, 10):
        with pytest.raises(ImageError) as error:
            prepare(data[: len(data) * tenth // 10])
        assert error.value.code == "invalid_image"


@pytest.mark.parametrize("kind", [b"IHDR", b"IDAT", b"IEND"])
def test_a_png_with_a_wrong_checksum_is_invalid(kind: bytes) -> None:
    data = bytearray(a_photograph(60, 40, "PNG"))
    at = data.index(kind)
    data[at + 4] ^= 1

    with pytest.raises(ImageError, match="PNG") as error:
        prepare(bytes(data))

    assert error.value.code == "invalid_image"


def test_a_webp_whose_bitstream_contradicts_its_canvas_is_invalid() -> None:
    data = bytearray(saved(photograph_pixels(60, 40).convert("RGBA").resize((64, 48)), "WEBP", exif=b"Exif\0\0x"))
    at = data.index(b"VP8X")
    data[at + 12] ^= 0x10

    with pytest.raises(ImageError) as error:
        prepare(bytes(data))

    assert error.value.code == "invalid_image"


def test_a_jpeg_with_two_frame_headers_is_invalid() -> None:
    data = a_photograph(60, 40, "JPEG")
    at = data.index(b"\xff\xc0")
    frame = data[at : at + 2 + int.from_bytes(data[at + 2 : at + 4])]

    with pytest.raises(ImageError) as error:
        prepare(data[:at] + frame + data[at:])

    assert error.value.code == "invalid_image"


def test_random_damage_yields_an_image_or_an_image_error() -> None:
    """Seeded byte mutations: overwritten, removed, doubled and inserted bytes; lengths and sizes set to extremes."""
    chance = random.Random(20_260_101)  # noqa: S311 - fuzzing wants the same numbers on every run
    files = list(CORPUS.values())
    outcomes = {"prepared": 0, "error": 0}

    for _ in range(MUTATIONS):
        data = bytearray(chance.choice(files))
        for _ in range(chance.choice((1, 1, 2, 4, 16))):
            _damage(data, chance)
        try:
            result = prepare(data, Detail.LOW)
        except ImageError as error:
            outcomes["error"] += 1
            assert error.message.isprintable()
        else:
            outcomes["prepared"] += 1
            assert isinstance(result, PreparedImage)
            again = prepare(result.data, Detail.LOW)
            assert again.data == result.data or result.media_type == "image/jpeg"
            assert (again.width_px, again.height_px) == (result.width_px, result.height_px)

    assert outcomes["prepared"] > MUTATIONS // 20
    assert outcomes["error"] > MUTATIONS // 20


def _damage(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data)) if chance.random() < 0.5 else chance.randrange(min(len(data), 64))
    match chance.randrange(5):
        case 0:
            data[at] = chance.randrange(256)
        case 1:
            data[at : at + 4] = chance.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff"))
        case 2:
            del data[at : at + chance.randrange(1, 9)]
        case 3:
            data[at:at] = data[at : at + chance.randrange(1, 40)]
        case _:
            data[at] ^= 1 << chance.randrange(8)
    if not data:
        data.append(0)
