"""What the pipeline works with: access control, stores, upstreams and limits, opened once at start."""

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from obscura.auth.limits import AccessControl
from obscura.clock import Clock
from obscura.dialects.base import MAX_TEXT_CHARS, ContentLimits
from obscura.documents.base import DocumentLimits
from obscura.documents.render import DocumentRenderer
from obscura.execution import ImageExecutor
from obscura.fetch.base import ImageFetcher
from obscura.files.base import FileStorage
from obscura.files.responses import ResponseStore
from obscura.files.service import FileService
from obscura.imaging import ImageLimits
from obscura.memory_budget import MAX_DEFAULT_BYTES, MemoryBudget
from obscura.moderation.base import Moderator, VerdictCache
from obscura.pipeline.descriptions import DescriptionCache
from obscura.pipeline.image_cache import ImageCache
from obscura.upstreams.base import Catalog
from obscura.usage.base import BudgetStore
from obscura.usage.ledger import UsageLedger

if TYPE_CHECKING:
    from obscura.hashes.blocked import BlockedHashes
    from obscura.policy.management import PolicyService

MAX_BODY_BYTES = 35 * 1024 * 1024
MAX_REQUEST_PIXELS = 128_000_000
MAX_FETCHED_BYTES = 64 * 1024 * 1024
MAX_FETCHED_URLS = 100
FLUSH_TIMEOUT_S = 0.5
"""Of usage, after the last byte of a response."""

MAX_REDIRECTS = 32


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """The limits of one request."""

    body_bytes: int = MAX_BODY_BYTES
    text_chars: int = MAX_TEXT_CHARS
    content: ContentLimits = field(default_factory=ContentLimits)
    image: ImageLimits = field(default_factory=ImageLimits)
    pixels: int = MAX_REQUEST_PIXELS
    """Of all images together, as they are decoded."""
    fetched_bytes: int = MAX_FETCHED_BYTES
    """Of all that a request names by URL together."""
    refuse_unmoderated: bool = False
    """Whether audio and video, which cannot be moderated, are refused to known callers too."""
    passed_headers: frozenset[str] = frozenset()
    """Which of the caller's headers go on, of those that the operator chooses (``upstreams.headers``)."""
    allow_upstream_state: bool = False
    """Whether callers may name what the upstream's account holds, whatever the model."""
    document: DocumentLimits = field(default_factory=DocumentLimits)
    shows_cost: bool = False
    """Whether every answer's usage has its estimated cost, and not only that of who asks for it."""


class PolicyOpener(Protocol):
    """Opens the one service of policies, with what it needs, imported and made at its first call."""

    async def __call__(self) -> "PolicyService":
        """Return the service."""
        ...

    async def flush(self) -> None:
        """Send the decision events that are buffered, for a bounded time."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that handling a request needs.

    Without a moderator nothing is moderated, without ``verdicts`` none is cached, without ``image_cache`` no
    prepared image is, without ``responses`` none is stored, and without ``blocked_hashes`` images are compared with no
    list: the operator's choices.
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
    open_policies: PolicyOpener
    usage: UsageLedger
    budgets: BudgetStore
    image_cache: ImageCache | None = None
    blocked_hashes: "BlockedHashes | None" = None
    responses: ResponseStore | None = None
    descriptions: DescriptionCache = field(default_factory=DescriptionCache)
    memory: MemoryBudget = field(default_factory=lambda: MemoryBudget(MAX_DEFAULT_BYTES))

    @property
    def storage(self) -> FileStorage:
        """The stores of files and uploads."""
        return self.file_service.storage

    async def flush(self) -> None:
        """Send decision events and write usage, for a bounded time: on Lambda a frozen environment does neither."""
        await asyncio.gather(self.open_policies.flush(), self.usage.flush_within(FLUSH_TIMEOUT_S))

    @property
    def clock(self) -> Clock:
        """The time of day."""
        return self.access_control.clock
