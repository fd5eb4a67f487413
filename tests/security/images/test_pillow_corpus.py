"""Files that once crashed, hung or exhausted Pillow, from its own test suite (``pillow/``, with its licence)."""

from pathlib import Path

import pytest

from tests.security.images.test_bombs import within_bounds

CORPUS = Path(__file__).parent / "pillow"
OUTCOMES = {
    "broken.png": "invalid_image",
    "crash-4fb027452e6988530aa5dabee76eecacb3b79f8a.j2k": "unsupported_image_format",
    "crash-754d9c7ec485ffb76a90eeaab191ef69a2a3a3cd.sgi": "unsupported_image_format",
    "decompression_bomb.gif": "invalid_image",
    "decompression_bomb.ico": "unsupported_image_format",
    "decompression_bomb_extents.gif": None,
    "invalid-exif-without-x-resolution.jpg": None,
    "multiple_exif.jpg": None,
    "oom-225817ca0f8c663be7ab4b9e717b02c661e66834.tif": "invalid_image",
    "ossfuzz-4836216264589312.pcx": "unsupported_image_format",
    "split_fdat_zero_chunk.png": None,
    "syntax_num_frames_zero.png": "invalid_image",
    "timeout-60d8b7c8469d59fc9ffff6b3a3dc0faeae6ea8ee.blp": "unsupported_image_format",
    "timeout-9139147ce93e20eb14088fe238e541443ffd64b3.fli": "unsupported_image_format",
    "truncated_exif_dpi.jpg": None,
    "truncated_jpeg.jpg": None,  # only its last byte is missing, the second one of EOI
    "zero_width.gif": "invalid_image",
}


def test_every_file_of_the_corpus_has_an_outcome() -> None:
    assert {file.name for file in CORPUS.iterdir()} == {*OUTCOMES, "LICENSE"}


@pytest.mark.parametrize(("name", "code"), OUTCOMES.items(), ids=OUTCOMES)
def test_a_file_that_once_broke_pillow_stays_within_bounds(name: str, code: str | None) -> None:
    measured = within_bounds((CORPUS / name).read_bytes())

    assert measured.code == code
