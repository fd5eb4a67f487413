"""How many images a request may have, and what becomes of one with more: refused, or its oldest images left out."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from obscura.dialects.base import ContentLimits, ParsedRequest
from obscura.dialects.json.fields import require_image_count
from obscura.errors import InvalidRequest
from obscura.upstreams.image_limits import DEFAULT_MAX_IMAGES

if TYPE_CHECKING:
    from obscura.upstreams.base import CatalogModel

HISTORY_HEADER = "x-obscura-image-history"
LEFT_OUT_HEADER = "x-obscura-images-left-out"
KEEP, PRUNE = "keep", "prune"


def image_limit(content: ContentLimits, max_images: int | None) -> int:
    """Return how many images a request may have: the lesser of the operator's limit and the upstream's."""
    limits = [limit for limit in (content.images, max_images) if limit is not None]
    return min(limits, default=DEFAULT_MAX_IMAGES)


def limit_images(
    parsed: ParsedRequest, model: "CatalogModel", content: ContentLimits, headers: Mapping[str, str]
) -> int:
    """Return how many images were left out of a request: as many as it has over its limit, the oldest first.

    A document counts as one image until its pages are known. By default nothing is left out: raises TooManyImages. Also
    raises InvalidRequest for a header that says neither.
    """
    history = _history(headers) or model.image_history
    limit = image_limit(content, model.image_limits.max_images)
    excess = len(parsed.images) + len(parsed.documents) - limit
    left_out = 0
    if excess > 0 and history == PRUNE:
        left_out = parsed.leave_out_images(excess)
    require_image_count(parsed.images, limit, _WAY_OUT)
    return left_out


_WAY_OUT = "Split it, or have the oldest ones left out by the header 'X-Obscura-Image-History: prune'."


def _history(headers: Mapping[str, str]) -> str | None:
    sent = headers.get(HISTORY_HEADER)
    if sent is None:
        return None
    history = sent.strip().lower()
    if history not in {KEEP, PRUNE}:
        raise InvalidRequest("The header X-Obscura-Image-History must be 'keep' or 'prune'.")
    return history
