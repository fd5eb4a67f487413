"""The gateway: the ports and limits that the road runs on, put together once at start."""

from dataclasses import dataclass, field

from obscura.auth.limits import AccessControl
from obscura.clock import Clock
from obscura.dialects.base import ContentLimits
from obscura.execution import ImageExecutor
from obscura.fetch.base import ImageFetcher
from obscura.files.base import FileStorage
from obscura.files.service import FileService
from obscura.imaging import ImageLimits
from obscura.moderation.base import Moderator, VerdictCache
from obscura.upstreams.base import Catalog

MAX_BODY_BYTES = 35 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """What one request may cost."""

    body_bytes: int = MAX_BODY_BYTES
    content: ContentLimits = field(default_factory=ContentLimits)
    image: ImageLimits = field(default_factory=ImageLimits)


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that a request meets on its way.

    Without a moderator nothing is moderated, and without verdicts none is remembered: the operator's choices.
    """

    door: AccessControl
    images: ImageFetcher
    videos: ImageFetcher
    moderator: Moderator | None
    catalog: Catalog
    limits: RequestLimits
    executor: ImageExecutor
    storage: FileStorage
    verdicts: VerdictCache | None

    @property
    def file_service(self) -> FileService:
        """What the file endpoints work with."""
        return FileService(self.storage, self.executor, self.limits.image, self.clock)

    @property
    def clock(self) -> Clock:
        """The time of day."""
        return self.door.clock
