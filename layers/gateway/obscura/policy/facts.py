"""What a policy decides on: facts of a request, moderation results, and results of checks. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class HashMatch:
    """An entry of the operator's hash lists that an image matches."""

    list_name: str
    distance: int
    category: str | None = None
    """The moderation category of the list, such as ``sexual/minors``."""


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What is known of one image after preparation. What is None was not determined, and a rule on it does not pass.

    path            JSON path of the image in the request
    hosts           every host of its fetch, redirects included, in lower case; empty for what was not fetched
    raw_bytes       as it was sent; width_px and height_px too
    tokens          after preparation, by the model's profile
    sha256          of the source bytes; prepared_sha256 of the prepared ones; in hex, only where a rule asks for them
    pdq             in hex, with its quality from 0 to 100
    codes           the texts of QR codes and barcodes in it
    """

    path: str = ""
    source: Literal["data_url", "url", "file_id", "document"] = "data_url"
    hosts: tuple[str, ...] = ()
    format: str | None = None
    raw_bytes: int | None = None
    width_px: int | None = None
    height_px: int | None = None
    tokens: int | None = None
    animated: bool | None = None
    alpha: bool | None = None
    metadata: bool | None = None
    sha256: str | None = None
    prepared_sha256: str | None = None
    pdq: str | None = None
    pdq_quality: int = 100
    codes: tuple[str, ...] | None = None
    list_matches: tuple[HashMatch, ...] = ()


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What is known of a request before moderation; ``texts`` are all that the caller wrote and the model may read."""

    texts: tuple[str, ...] = ()
    images: tuple[ImageFacts, ...] = ()
    model: str = ""
    project: str = ""
    user: str | None = None
    target: str | None = None
    zero_retention: bool = False


@dataclass(frozen=True, slots=True)
class Scores:
    """The moderation of one image or one text; ``flagged`` are the categories that the moderation itself reports."""

    modality: Literal["text", "image"]
    direction: Literal["input", "output"] = "input"
    scores: Mapping[str, float] = field(default_factory=dict)
    flagged: tuple[str, ...] = ()
    path: str | None = None


@dataclass(frozen=True, slots=True)
class ModerationResult:
    """The moderation of a request or of its answer.

    items       one for each image and each piece of text that was reviewed
    blocked     the category for which the gateway's own moderation blocks, if it does
    skipped     why nothing was moderated, if nothing was
    """

    items: tuple[Scores, ...] = ()
    blocked: str | None = None
    skipped: str | None = None


@dataclass(frozen=True, slots=True)
class QuotaResult:
    """A quota that is used up, with the seconds until its window ends."""

    rule: Literal["user_quota", "project_quota"]
    limited: Literal["requests", "tokens"]
    limit: int
    window: str
    retry_after_s: int
    layer: Literal["policy", "floor"] = "policy"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The answer of an external check; ``failed`` says why there is none.

    texts, images   what the service wants in place of all those that it was sent, as many; None if it changes none
    """

    name: str
    blocked: bool = False
    changed: bool = False
    failed: str | None = None
    texts: tuple[str, ...] | None = None
    images: tuple[str, ...] | None = None
