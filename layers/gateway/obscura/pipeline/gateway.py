"""The gateway: the ports and limits that the road runs on, put together once at start."""

from dataclasses import dataclass, field

from obscura.imaging import ImageLimits
from obscura.pipeline.door import Door
from obscura.pipeline.storeroom import Storeroom
from obscura.pipeline.workshop import Workshop
from obscura.ports import Catalogue, ImageSource, Moderator, Verdicts
from obscura.wire.dialect import ContentLimits

MAX_BODY_BYTES = 35 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may cost."""

    body_bytes: int = MAX_BODY_BYTES
    content: ContentLimits = field(default_factory=ContentLimits)
    image: ImageLimits = field(default_factory=ImageLimits)


@dataclass(frozen=True, slots=True)
class Gateway:
    """Everything that a request meets on its way.

    Without a moderator nothing is moderated, and without verdicts none is remembered: the operator's choices.
    """

    door: Door
    images: ImageSource
    videos: ImageSource
    moderator: Moderator | None
    catalogue: Catalogue
    limits: Limits
    workshop: Workshop
    storeroom: Storeroom
    verdicts: Verdicts | None
