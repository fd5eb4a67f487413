"""HEIC: its boxes and HEVC headers are checked before any decode; only the primary image and its alpha are decoded."""

import numpy as np
import pytest
from PIL import Image

from obscura.imaging import ImageError, container, prepare
from obscura.imaging.container import ContainerInfo
from obscura.imaging.decode import decode
from obscura.imaging.formats.heic import HEIC, scan
from tests.unit.imaging.avif_files import IMIR, IROT, Item, box, exif_item, full_box, grid, ispe
from tests.unit.imaging.heic_files import (
    a_grid_of_quarters,
    a_heic,
    auxiliary,
    clap,
    coded,
    config_with,
    hevc_of,
    parameter_sets_of,
    sequence_set,
    stored,
    with_lengths,
)
from tests.unit.imaging.images import corners, exif, four_corners, opened, saved

UPRIGHT = ["red", "green", "blue", "white"]
STREAM, CONFIG, _ = hevc_of("quarters")


def error_of(data: bytes) -> ImageError:
    with pytest.raises(ImageError) as error:
        prepare(data)
    return error.value


def decoded(data: bytes) -> tuple[Image.Image, ContainerInfo]:
    info = scan(data)
    return decode(data, info), info


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirror", [None, 0, 1])
@pytest.mark.parametrize("build", ["one", "grid"])
def test_rotation_and_then_mirror_are_applied_once(turns: int, mirror: int | None, build: str) -> None:
    properties = [box(IROT, bytes([turns]))] + ([] if mirror is None else [box(IMIR, bytes([mirror]))])
    expected = four_corners(128, 128).rotate(90 * turns)
    if mirror is not None:
        expected = expected.transpose(Image.Transpose.FLIP_LEFT_RIGHT if mirror else Image.Transpose.FLIP_TOP_BOTTOM)
    data = a_heic(coded(1, "quarters", *properties)) if build == "one" else a_grid_of_quarters(*properties)

    assert corners(prepare(data).data) == corners(saved(expected, "PNG"))


@pytest.mark.parametrize("turns", range(4))
def test_mirror_and_then_rotation_are_applied_in_this_order(turns: int) -> None:
    expected = four_corners(128, 128).transpose(Image.Transpose.FLIP_LEFT_RIGHT).rotate(90 * turns)
    data = a_heic(coded(1, "quarters", box(IMIR, b"\1"), box(IROT, bytes([turns]))))

    assert corners(prepare(data).data) == corners(saved(expected, "PNG"))


def test_an_orientation_in_exif_is_ignored_and_never_handed_on() -> None:
    tiff = exif(6).tobytes().removeprefix(b"Exif\0\0")
    data = a_heic(coded(1, "quarters"), exif_item(2, 1, tiff))

    [handed_on] = scan(data).image_spans

    assert prepare(data).data == prepare(stored("quarters")).data
    assert isinstance(handed_on, bytes)
    assert tiff not in handed_on


@pytest.mark.parametrize("name", ["quarters", "quarters_444", "quarters_10_bit", "quarters_12_bit"])
def test_every_depth_and_chroma_becomes_8_bit_rgb(name: str) -> None:
    prepared = prepare(stored(name))

    assert (prepared.source_format, prepared.source_media_type) == ("HEIC", "image/heic")
    assert corners(prepared.data) == UPRIGHT
    assert np.abs(np.asarray(opened(prepared.data)).astype(int) - np.asarray(four_corners(128, 128))).mean() < 3


def test_grey_stays_grey_and_ten_bits_keep_their_white() -> None:
    image = opened(prepare(stored("grey_10_bit")).data)

    assert image.mode == "L"
    assert (image.getpixel((60, 10)), image.getpixel((60, 120))) == (255, 100)


def test_alpha_is_the_auxiliary_image_of_that_kind() -> None:
    image, _ = decoded(a_heic(coded(1, "quarters"), auxiliary(2, 1, "grey_100")))

    assert image.mode == "RGBA"
    assert image.getchannel("A").getextrema() == (100, 100)


def test_an_opaque_alpha_channel_is_dropped() -> None:
    assert opened(prepare(a_heic(coded(1, "quarters"), auxiliary(2, 1, "grey_255"))).data).mode == "RGB"


def test_premultiplied_colours_are_divided_by_their_alpha() -> None:
    base = coded(1, "quarters", references=[(b"prem", [2])])

    image, _ = decoded(a_heic(base, auxiliary(2, 1, "grey_100")))
    plain, _ = decoded(a_heic(coded(1, "grey_100", references=[(b"prem", [2])]), auxiliary(2, 1, "grey_100")))

    assert image.getpixel((5, 5))[0] == 255
    assert plain.getpixel((5, 5)) == (255, 255, 255, 100)


def test_a_grid_may_have_an_alpha_channel_that_is_a_grid() -> None:
    cells = [coded(2 + index, name) for index, name in enumerate(("red", "green", "blue", "white"))]
    alpha_cells = [coded(7 + index, "grey_cell") for index in range(4)]
    alpha = grid(6, 2, 2, (128, 128), [cell.id for cell in alpha_cells])
    alpha.properties.append(full_box(b"auxC", b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"))
    alpha.references.append((b"auxl", [1]))

    image, _ = decoded(a_heic(grid(1, 2, 2, (128, 128), [2, 3, 4, 5]), *cells, alpha, *alpha_cells))

    assert (image.mode, image.size) == ("RGBA", (128, 128))
    assert image.getchannel("A").getextrema() == (100, 100)


def test_depth_thumbnail_and_further_images_are_ignored() -> None:
    data = a_heic(
        coded(1, "quarters"),
        auxiliary(2, 1, "grey_100", b"urn:mpeg:hevc:2015:auxid:2"),
        coded(3, "red", references=[(b"thmb", [1])]),
        coded(4, "blue"),
    )

    assert prepare(data).data == prepare(stored("quarters")).data
    [handed_on] = scan(data).image_spans
    assert hevc_of("red")[0][4:] not in handed_on


@pytest.mark.parametrize("size", [(128, 128), (100, 90)])
def test_a_grid_is_one_image_cut_to_its_size(size: tuple[int, int]) -> None:
    prepared = prepare(a_grid_of_quarters(size=size))

    assert (prepared.width_px, prepared.height_px) == size
    assert corners(prepared.data) == UPRIGHT


def test_the_clean_aperture_is_cut_out_before_the_turn() -> None:
    prepared = prepare(a_heic(coded(1, "quarters", clap(96, 80, 32, 48), box(IROT, b"\1"))))

    assert (prepared.source_width_px, prepared.source_height_px) == (96, 80)
    assert (prepared.width_px, prepared.height_px) == (80, 96)
    expected = four_corners(128, 128).crop((32, 48, 128, 128)).rotate(90, expand=True)
    assert corners(prepared.data) == corners(saved(expected, "PNG"))


def test_a_coded_image_may_be_larger_than_it_is_shown() -> None:
    image, info = decoded(a_heic(coded(1, "quarters", size=(120, 65))))

    assert image.size == (info.width_px, info.height_px) == (120, 65)


def test_parameter_sets_may_stand_inside_the_item() -> None:
    sets = parameter_sets_of(CONFIG)
    data = a_heic(coded(1, "quarters", config=config_with(), stream=with_lengths(*sets) + STREAM))

    assert prepare(data).data == prepare(stored("quarters")).data


def test_units_that_are_no_slice_are_left_out() -> None:
    message, second_layer = b"\x4e\x01\x05\x80", b"\x42\x09" + bytes(20)
    data = a_heic(coded(1, "quarters", stream=with_lengths(message, second_layer) + STREAM))

    [handed_on] = scan(data).image_spans

    assert message not in handed_on
    assert prepare(data).data == prepare(stored("quarters")).data


def test_of_a_sequence_beside_a_still_image_the_still_image_counts() -> None:
    data = a_heic(coded(1, "quarters"), brands=b"msf1\0\0\0\0hevcmif1heic") + box(b"moov", bytes(100))

    assert corners(prepare(data).data) == UPRIGHT


def test_a_sequence_alone_is_unsupported_and_says_so() -> None:
    data = box(b"ftyp", b"hevc\0\0\0\0msf1hevc") + box(b"moov", bytes(100))

    error = error_of(data)

    assert error.code == "unsupported_image_format"
    assert "sequence" in error.message


@pytest.mark.parametrize("kind", [b"iovl", b"iden", b"av01", b"unci", b"jpeg"])
def test_a_primary_image_of_another_kind_is_unsupported_by_name(kind: bytes) -> None:
    error = error_of(a_heic(Item(1, kind, STREAM, [ispe(128, 128), box(b"hvcC", CONFIG)])))

    assert error.code == "unsupported_image_format"
    assert kind.decode() in error.message
    assert "Convert it" in error.message


def test_a_heic_has_a_pixel_cap_of_its_own() -> None:
    error = error_of(a_heic(coded(1, "quarters", size=(5001, 5000))))

    assert (error.code, error.limit) == ("image_too_many_pixels", HEIC.max_pixels)
    assert "5001 x 5000" in error.message


def big(width: int, height: int, chroma: int) -> bytes:
    """A file whose one coded image declares this size; its slices are those of a small one."""
    sets = [unit for unit in parameter_sets_of(CONFIG) if unit[0] >> 1 != 33] + [
        sequence_set(width, height, chroma=chroma)
    ]
    return a_heic(coded(1, "quarters", size=(width, height), config=config_with(*sets)))


def test_one_coded_image_may_have_fewer_pixels_than_a_grid() -> None:
    error = error_of(big(4352, 4160, 1))

    assert (error.code, error.limit) == ("image_too_many_pixels", 18_000_000)


def test_samples_count_rather_than_pixels() -> None:
    error = error_of(big(4096, 3328, 3))

    assert (error.code, error.limit) == ("image_too_many_pixels", 40_000_000)


def test_without_its_decoder_heic_is_unsupported_and_not_named_as_a_way_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(container, "find_spec", lambda _: None)

    error = error_of(stored("quarters"))

    assert error.code == "unsupported_image_format"
    assert "no HEIC decoder" in error.message
    assert "Convert" in error.message


def test_pillow_itself_never_learns_to_open_heic() -> None:
    prepare(stored("quarters"))

    assert not {"HEIF", "HEIC"} & set(Image.OPEN)


@pytest.mark.parametrize("kind", [b"prof", b"rICC"])
def test_the_icc_profile_is_found_on_the_image_and_on_cells(kind: bytes) -> None:
    profile = box(b"colr", kind, b"a profile")
    cells = a_heic(grid(1, 1, 1, (64, 64), [2]), coded(2, "red", profile))

    assert scan(a_heic(coded(1, "quarters", profile))).icc_profile == b"a profile"
    assert scan(cells).icc_profile == b"a profile"
    assert scan(stored("quarters")).icc_profile is None
    assert scan(a_heic(coded(1, "quarters", box(b"colr", kind, bytes(1 << 20))))).icc_profile is None
