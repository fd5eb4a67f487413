"""What the pipeline works with: access control, stores, upstreams and limits, opened once at start."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from obscura.auth.limits import AccessControl
from obscura.clock import Clock
from obscura.dialects.base import ContentLimits
from obscura.documents.base import DocumentLimits
from obscura.documents.render import DocumentRenderer
from obscura.execution import ImageExecutor
from obscura.fetch.base import ImageFetcher
from obscura.files.base import FileStorage
from obscura.files.service import FileService
from obscura.imaging import ImageLimits
from obscura.moderation.base import Moderator, VerdictCache
from obscura.pipeline.image_cache import ImageCache
from obscura.upstreams.base import Catalog

if TYPE_CHECKING:
    from obscura.policy.management import PolicyService

MAX_BODY_BYTES = 35 * 1024 * 1024
MAX_TEXT_CHARS = 4_000_000


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """The limits of one request."""

    body_bytes: int = MAX_BODY_BYTES
    text_chars: int = MAX_TEXT_CHARS
    content: ContentLimits = field(default_factory=ContentLimits)
    image: ImageLimits = field(default_factory=ImageLimits)
    refuse_unmoderated: bool = False
    """Whether audio and video, which cannot be moderated, are refused to known callers too."""
    document: DocumentLimits = field(default_factory=DocumentLimits)


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that handling a request needs.

    Without a moderator nothing is moderated, without ``verdicts`` none is cached, and without ``image_cache`` no
    prepared image is: the operator's choices. ``open_policies`` returns the one service of policies, imported and made
    at its first call.
    """

    access_control: AccessControl
    images: ImageFetcher
    videos: ImageFetcher
    document_files: ImageFetcher
    documents: DocumentRenderer
    moderator: Moderator | None
    catalog: Catalog
    limits: RequestLimits
    executor: ImageExecutor
    file_service: FileService
    verdicts: VerdictCache | None
    open_policies: "Callable[[], PolicyService]"
    image_cache: ImageCache | None = None

    @property
    def storage(self) -> FileStorage:
        """The stores of files and uploads."""
        return self.file_service.storage

    @property
    def clock(self) -> Clock:
        """The time of day."""
        return self.access_control.clock
