"""How many tokens an image costs, by the counting rule of the model's family."""

import math
from enum import StrEnum
from fractions import Fraction

from obscura.imaging.limits import Detail

_QWEN_FACTOR_PX = 28
_QWEN_MIN_PIXELS = 4 * _QWEN_FACTOR_PX**2
_QWEN_MAX_PIXELS = 16_384 * _QWEN_FACTOR_PX**2
_QWEN_ASPECT_RATIO = 200
_ANTHROPIC_PATCH_PX = 28
_TILE_PX, _TILE_BASE, _TILE_EACH, _TILE_SQUARE_PX, _TILE_SHORT_PX = 512, 85, 170, 2048, 768
_PATCH_PX, _PATCHES = 32, 1536


class TokenProfile(StrEnum):
    """The counting rules, by family of models."""

    QWEN = "qwen"
    OPENAI_TILES = "openai_tiles"
    OPENAI_PATCHES = "openai_patches"
    ANTHROPIC = "anthropic"


RULE_CONSTANTS: dict[TokenProfile, dict[str, int]] = {
    TokenProfile.QWEN: {
        "factor_px": _QWEN_FACTOR_PX,
        "min_pixels": _QWEN_MIN_PIXELS,
        "max_pixels": _QWEN_MAX_PIXELS,
        "aspect_ratio": _QWEN_ASPECT_RATIO,
    },
    TokenProfile.OPENAI_TILES: {
        "tile_px": _TILE_PX,
        "base": _TILE_BASE,
        "each": _TILE_EACH,
        "square_px": _TILE_SQUARE_PX,
        "short_px": _TILE_SHORT_PX,
    },
    TokenProfile.OPENAI_PATCHES: {"patch_px": _PATCH_PX, "patches": _PATCHES},
    TokenProfile.ANTHROPIC: {"patch_px": _ANTHROPIC_PATCH_PX},
}
"""What the rules count by, for a calculator in another language."""


def image_tokens(
    width_px: int,
    height_px: int,
    profile: TokenProfile = TokenProfile.QWEN,
    detail: Detail = Detail.AUTO,
    factor: float = 1.0,
) -> int:
    """Count the tokens of an image as the model sees it, after :func:`prepare`.

    Args:
        width_px: its width.
        height_px: its height.
        profile: the rule.
        detail: for OpenAI's tiles only: low costs the base alone.
        factor: for OpenAI's patches only: the model's multiplier, rounded up.

    Raises:
        ValueError: a side below 1 px, or, for Qwen, an aspect ratio above 200:1.

    """
    if width_px < 1 or height_px < 1:
        raise ValueError(f"An image has at least 1 x 1 px, not {width_px} x {height_px}.")
    match profile:
        case TokenProfile.QWEN:
            return _qwen(width_px, height_px)
        case TokenProfile.OPENAI_TILES:
            return _TILE_BASE if detail is Detail.LOW else _openai_tiles(width_px, height_px)
        case TokenProfile.OPENAI_PATCHES:
            return math.ceil(_openai_patches(width_px, height_px) * factor)
        case TokenProfile.ANTHROPIC:
            return math.ceil(width_px / _ANTHROPIC_PATCH_PX) * math.ceil(height_px / _ANTHROPIC_PATCH_PX)


def _qwen(width_px: int, height_px: int) -> int:
    """Qwen2.5-VL: ``smart_resize`` of transformers, one token a 28-px square.

    Rounds half to even, and does not lift a side that rounds to zero before the minimum is applied, as there.
    """
    if max(width_px, height_px) / min(width_px, height_px) > _QWEN_ASPECT_RATIO:
        raise ValueError(f"Qwen takes aspect ratios up to {_QWEN_ASPECT_RATIO}:1, not {width_px}:{height_px}.")
    across, down = round(width_px / _QWEN_FACTOR_PX), round(height_px / _QWEN_FACTOR_PX)
    pixels = across * down * _QWEN_FACTOR_PX**2
    if pixels > _QWEN_MAX_PIXELS:
        shrink = math.sqrt(width_px * height_px / _QWEN_MAX_PIXELS)
        across = max(1, math.floor(width_px / shrink / _QWEN_FACTOR_PX))
        down = max(1, math.floor(height_px / shrink / _QWEN_FACTOR_PX))
    elif pixels < _QWEN_MIN_PIXELS:
        grow = math.sqrt(_QWEN_MIN_PIXELS / (width_px * height_px))
        across = math.ceil(width_px * grow / _QWEN_FACTOR_PX)
        down = math.ceil(height_px * grow / _QWEN_FACTOR_PX)
    return across * down


def _openai_tiles(width_px: int, height_px: int) -> int:
    """OpenAI, "Images and vision", GPT-4o and its like: fit 2048 px square, shorter side to 768, 512-px tiles."""
    fit = min(Fraction(1), Fraction(_TILE_SQUARE_PX, max(width_px, height_px)))
    fit = min(fit, Fraction(_TILE_SHORT_PX, min(width_px, height_px)))
    tiles = math.ceil(width_px * fit / _TILE_PX) * math.ceil(height_px * fit / _TILE_PX)
    return _TILE_BASE + _TILE_EACH * tiles


def _openai_patches(width_px: int, height_px: int) -> int:
    """OpenAI, "Images and vision", GPT-4.1 mini and its like: 32-px patches; above 1536 the image is shrunk to fit.

    The shrunk side that loses more to the grid becomes a whole number of patches: 1800 x 2400 px count 1452.
    """
    patches = math.ceil(width_px / _PATCH_PX) * math.ceil(height_px / _PATCH_PX)
    if patches <= _PATCHES:
        return patches
    shrink = math.sqrt(_PATCH_PX**2 * _PATCHES / (width_px * height_px))
    across, down = width_px * shrink / _PATCH_PX, height_px * shrink / _PATCH_PX
    whole = min(max(1, math.floor(across)) / across, max(1, math.floor(down)) / down)
    # The rounding takes back what floating point adds to a side that is whole by construction.
    return min(_PATCHES, math.ceil(round(across * whole, 6)) * math.ceil(round(down * whole, 6)))
