import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obscura.imaging import Detail, TokenProfile, image_tokens

QWEN = {
    (768, 768): 729,
    (1280, 1280): 2116,
    (1920, 1080): 2691,
    (4032, 3024): 15552,
    (1, 1): 4,
    (2000, 10): 29,
    (13, 2000): 25,
    (20_000, 100): 2856,
}


@pytest.mark.parametrize("size", QWEN)
def test_qwen_counts_as_transformers_does(size: tuple[int, int]) -> None:
    assert image_tokens(*size) == QWEN[size]


@pytest.mark.parametrize("size", [(201, 1), (1, 201), (20_001, 100)])
def test_qwen_rejects_more_than_two_hundred_to_one(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="200"):
        image_tokens(*size)


def test_exactly_two_hundred_to_one_is_counted() -> None:
    assert image_tokens(200, 1) > 0
    assert image_tokens(1, 200) > 0


@given(width=st.integers(1, 20_000), height=st.integers(1, 20_000))
def test_qwen_never_counts_more_than_its_maximum(width: int, height: int) -> None:
    if max(width, height) > 200 * min(width, height):
        return

    assert 4 <= image_tokens(width, height) <= 16_384


@pytest.mark.parametrize(
    ("size", "tokens"),
    [((1024, 1024), 765), ((2048, 4096), 1105), ((512, 512), 255), ((513, 512), 425), ((1280, 1280), 765)],
)
def test_openai_tiles_count_as_openai_documents(size: tuple[int, int], tokens: int) -> None:
    assert image_tokens(*size, TokenProfile.OPENAI_TILES, Detail.HIGH) == tokens
    assert image_tokens(*size, TokenProfile.OPENAI_TILES, Detail.AUTO) == tokens


def test_low_detail_costs_openais_base_alone() -> None:
    assert image_tokens(4000, 3000, TokenProfile.OPENAI_TILES, Detail.LOW) == 85


@pytest.mark.parametrize(("size", "tokens"), [((1024, 1024), 1024), ((1800, 2400), 1452), ((32, 32), 1), ((33, 32), 2)])
def test_openai_patches_count_as_openai_documents(size: tuple[int, int], tokens: int) -> None:
    assert image_tokens(*size, TokenProfile.OPENAI_PATCHES) == tokens


def test_openai_patches_are_multiplied_by_the_models_factor() -> None:
    assert image_tokens(1024, 1024, TokenProfile.OPENAI_PATCHES, factor=1.62) == math.ceil(1024 * 1.62)


@given(width=st.integers(1, 20_000), height=st.integers(1, 20_000))
def test_openai_patches_are_never_more_than_1536(width: int, height: int) -> None:
    assert 1 <= image_tokens(width, height, TokenProfile.OPENAI_PATCHES) <= 1536


@pytest.mark.parametrize(("size", "tokens"), [((28, 28), 1), ((29, 28), 2), ((1000, 1000), 1296), ((1280, 1280), 2116)])
def test_anthropic_counts_squares_of_28(size: tuple[int, int], tokens: int) -> None:
    assert image_tokens(*size, TokenProfile.ANTHROPIC) == tokens


@pytest.mark.parametrize("size", [(0, 1), (1, 0), (-5, 5)])
@pytest.mark.parametrize("profile", TokenProfile)
def test_an_image_has_at_least_one_pixel(size: tuple[int, int], profile: TokenProfile) -> None:
    with pytest.raises(ValueError, match="at least"):
        image_tokens(*size, profile)
