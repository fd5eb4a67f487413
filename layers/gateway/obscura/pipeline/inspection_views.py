"""The response of an inspection, by its fields."""

from typing import Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

type Source = Literal["data_url", "url", "file_id", "document"]


class ModerationView(msgspec.Struct):
    """What moderation says: of one image, or of all texts, each category with its highest score."""

    flagged: bool = False
    category: str | None = None
    scores: dict[str, float] = {}


class OriginalView(msgspec.Struct):
    """An image as it was sent; ``tokens`` are what it would have counted at this size. Null is what is not known."""

    format: str
    bytes: int
    width_px: int
    height_px: int
    tokens: int
    animated: bool | None
    alpha: bool | None
    metadata: bool | None


class PreparedView(msgspec.Struct):
    """An image as the model would get it; ``data_url`` only if ``include`` has ``images``."""

    format: str
    bytes: int
    width_px: int
    height_px: int
    tokens: int
    data_url: str | UnsetType = UNSET


class HashesView(msgspec.Struct):
    """Hashes of an image, if ``include`` has ``hashes``; ``sha256`` of the bytes as sent, null if they are gone."""

    sha256: str | None
    prepared_sha256: str
    pdq: str
    pdq_quality: int


class ImageView(msgspec.Struct):
    """One image, or one page of a document."""

    path: str
    source: Source
    detail: str
    tokens: int
    original: OriginalView
    prepared: PreparedView
    moderation: ModerationView | None
    hashes: HashesView | UnsetType = UNSET


class TextView(msgspec.Struct):
    """All texts that the caller wrote and the model may read."""

    characters: int
    moderation: ModerationView | None


class RateLimitView(msgspec.Struct):
    """What the caller's rate limit leaves; the same as in the headers."""

    limit_requests: int
    remaining_requests: int
    reset_requests: str


class InspectionView(msgspec.Struct, kw_only=True):
    """The response. ``moderation`` is null where nothing is moderated, ``policy`` absent where no policy is asked."""

    object: Literal["inspection"] = "inspection"
    dialect: str
    model: str
    images: list[ImageView]
    image_tokens: int
    text: TextView
    moderation: ModerationView | None
    unmoderated: list[str]
    zero_retention: bool
    rate_limit: RateLimitView | None
    policy: Raw | UnsetType = UNSET
