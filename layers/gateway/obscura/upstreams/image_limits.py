"""What an upstream takes of images: how many, how large, of which types; known of some, or as the catalog has it.

The sources of the figures are in docs/catalogue.md.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from obscura.imaging import OutputLimits

DEFAULT_MAX_IMAGES = 100
"""Of a request, where the upstream's own limit is not known and the operator has set none."""


@dataclass(frozen=True, slots=True)
class UpstreamImageLimits:
    """What an upstream takes of images; None where it sets no limit, or none that is known.

    ``max_images`` in one request; ``max_image_bytes`` of one image as base64; ``max_image_side_px`` of its longest
    side; ``image_types`` such as ``{"jpeg", "png"}``; ``native_image_side_px`` is what the model sees of a side at
    most: it scales a larger image down itself.
    """

    max_images: int | None = None
    max_image_bytes: int | None = None
    max_image_side_px: int | None = None
    image_types: frozenset[str] | None = None
    native_image_side_px: int | None = None

    def output(self) -> "OutputLimits | None":
        """Return what a prepared image may be; None if anything."""
        return None if self is NO_LIMITS else _output(self)


@lru_cache(maxsize=256)  # of each request with its model's
def _output(limits: UpstreamImageLimits) -> "OutputLimits | None":
    side_px = _least(limits.max_image_side_px, limits.native_image_side_px)
    if side_px is None and limits.max_image_bytes is None and limits.image_types is None:
        return None
    from obscura.imaging import OutputLimits

    formats = None if limits.image_types is None else frozenset(name.upper() for name in limits.image_types)
    return OutputLimits(side_px, limits.max_image_bytes, formats)


NO_LIMITS = UpstreamImageLimits()
_COMMON = frozenset({"jpeg", "png", "webp"})

PRESETS = {
    "none": NO_LIMITS,
    "openai": UpstreamImageLimits(500, image_types=_COMMON),
    # 2,000 px and not 8,000: a request of over 20 images is held to it, and a prompt cache holds only as long as an
    # image keeps its bytes when the conversation has more of them.
    "anthropic": UpstreamImageLimits(100, 5_242_880, 2000, _COMMON, 2576),
    "bedrock": UpstreamImageLimits(20, 5_242_880, 8000, _COMMON),
    "gemini": UpstreamImageLimits(3600, image_types=_COMMON),
    "vllm": UpstreamImageLimits(999, image_types=_COMMON),
    "ollama": UpstreamImageLimits(image_types=frozenset({"jpeg", "png"})),
}
"""By the names that ``limits`` takes in the catalog."""

_BY_KIND = {"anthropic": "anthropic", "bedrock": "bedrock", "vllm": "vllm"}
_BY_HOST = (
    (re.compile(r"(?:[a-z]{2}\.)?api\.openai\.com"), "openai"),
    (re.compile(r"api\.anthropic\.com"), "anthropic"),
    (re.compile(r"bedrock-runtime(?:-fips)?\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?"), "bedrock"),
    (re.compile(r"generativelanguage\.googleapis\.com"), "gemini"),
)
_OLLAMA_PORT = 11434


@lru_cache(maxsize=64)  # of each request with the URL of the one upstream
def known_limits(url: str, kind: str = "openai") -> UpstreamImageLimits:
    """Return the limits of the server at a base URL as far as they are known: by its host, else by its kind."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        return NO_LIMITS
    for pattern, name in _BY_HOST:
        if pattern.fullmatch(host):
            return PRESETS[name]
    return PRESETS[_BY_KIND.get(kind, "ollama" if port == _OLLAMA_PORT else "none")]


def strictest(limits: Iterable[UpstreamImageLimits]) -> UpstreamImageLimits:
    """Return limits within which an image fits every one of ``limits``: for a model that has several upstreams.

    Raises ValueError if they have no type of images in common that is prepared here, JPEG or PNG.
    """
    found = NO_LIMITS
    for one in limits:
        found = UpstreamImageLimits(
            _least(found.max_images, one.max_images),
            _least(found.max_image_bytes, one.max_image_bytes),
            _least(found.max_image_side_px, one.max_image_side_px),
            _common(found.image_types, one.image_types),
            _least(found.native_image_side_px, one.native_image_side_px),
        )
    require_encodable(found.image_types)
    return found


ENCODED_TYPES = frozenset({"jpeg", "png"})


def require_encodable(types: frozenset[str] | None) -> None:
    """Raise ValueError for types of which none is encoded here."""
    if types is not None and not types & ENCODED_TYPES:
        raise ValueError("image_types must have jpeg or png: images are prepared as one of them")


def _common(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    return one if other is None else other if one is None else one & other


def _least(one: int | None, other: int | None) -> int | None:
    return one if other is None else other if one is None else min(one, other)
