"""What the pipeline needs of the outside, in its own words; the adapters provide it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal, Protocol, Self


class Scope(StrEnum):
    """What a key may be limited to: a family of endpoints each."""

    CHAT = "chat"
    MESSAGES = "messages"
    RESPONSES = "responses"
    FILES = "files"
    MODELS = "models"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as the store knows it: never the key itself, only what its SHA-256 unlocks.

    Without ``scopes`` it opens every family; without ``requests_per_minute`` the deployment's limit holds.
    """

    id: str
    project: str
    zero_retention: bool
    created_at: datetime
    revoked_at: datetime | None = None
    scopes: frozenset[str] = frozenset()
    requests_per_minute: int | None = None


class Keys(Protocol):
    """API keys, stored under the SHA-256 of the secret. Every call raises UpstreamUnavailable without its store."""

    async def find(self, secret_sha256: bytes) -> ApiKey | None:
        """Give the key with this 32-byte digest, or None when there is none or it is revoked."""
        ...

    async def add(self, key: ApiKey, secret_sha256: bytes) -> None:
        """Store a new key; its id and digest are unique."""
        ...

    async def all(self) -> Sequence[ApiKey]:
        """Every key ever created, revoked ones included, oldest first."""
        ...

    async def revoke(self, key_id: str, at: datetime) -> bool:
        """Revoke a key at once; False when there is no such live key."""
        ...


@dataclass(frozen=True, slots=True)
class TokenHolder:
    """Whom a valid token speaks for; ``subject`` is unique across issuers, and so is counted by."""

    subject: str
    project: str
    zero_retention: bool


class Tokens(Protocol):
    """JWTs of the operator's identity provider."""

    async def verify(self, token: str) -> TokenHolder:
        """Give the holder of a valid token.

        Raises InvalidToken, or UpstreamUnavailable while the provider's keys cannot be had.
        """
        ...


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time in which something is counted, in whole seconds since 1970."""

    begins_at_s: int
    length_s: int

    @classmethod
    def around(cls, instant: datetime, length_s: int) -> Self:
        """Give the window that ``instant`` falls into, where windows follow each other from 1970 on."""
        now_s = int(instant.timestamp())
        return cls(now_s - now_s % length_s, length_s)

    @property
    def ends_at_s(self) -> int:
        """The first second that is no longer in it."""
        return self.begins_at_s + self.length_s

    def seconds_left(self, instant: datetime) -> int:
        """Give how long it lasts from ``instant`` on, at least one second."""
        return max(1, self.ends_at_s - int(instant.timestamp()))


@dataclass(frozen=True, slots=True)
class Counter:
    """What is counted in a window for one subject, and how many there may be."""

    subject: str
    window: Window
    limit: int


class Rates(Protocol):
    """Counts of requests. Raises UpstreamUnavailable when the store cannot be reached, counted or not."""

    async def count(self, counter: Counter) -> int:
        """Count one request, and give how many there are with it; exact under any concurrency."""
        ...


class Quotas(Protocol):
    """Places of which each window has a few. Raises UpstreamUnavailable when the store cannot be reached."""

    async def take(self, counters: Sequence[Counter]) -> int | None:
        """Take a place in all of ``counters`` or in none, exactly as many as there are under any concurrency.

        Gives how many are left of the first counter, or the most that can be where the store does not tell; None when
        one of them is full.
        """
        ...

    async def give_back(self, counters: Sequence[Counter]) -> None:
        """Give one place back in all of them, at most once."""
        ...

    async def taken(self, counters: Sequence[Counter]) -> list[int]:
        """Give how many places of each are taken."""
        ...

    async def forget(self, counters: Sequence[Counter]) -> None:
        """Make all places of each free again."""
        ...


class AddressSecret(Protocol):
    """The secret under which client networks are stored, so that the store does not tell who they are."""

    async def read(self) -> bytes:
        """Give the one secret of this deployment; raises UpstreamUnavailable when it cannot be had."""
        ...


class ImageSource(Protocol):
    """Image bytes behind an HTTPS URL."""

    async def fetch(self, url: str) -> bytes:
        """Give the bytes behind ``url``, whose spelling, target, size and duration are all checked on the way.

        Raises InvalidImageUrl, UnsafeImageUrl, ImageFetchFailed or ImageTooLarge, none of them with a ``param``.
        Any number of calls may run at once.
        """
        ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """What moderation says of one picture or one text; ``category`` is the flagged one with the highest score."""

    flagged: bool
    category: str | None = None


class Moderator(Protocol):
    """Judges pictures and text. Raises ModerationUnavailable whenever there is no trustworthy verdict."""

    model: str
    """What judges: a verdict holds for this model only."""

    async def review_picture(self, data_url: bytes) -> Verdict:
        """Judge one prepared picture, an ASCII data URL: the very one that the model will see."""
        ...

    async def review_text(self, text: str) -> Verdict:
        """Judge all text of a request."""
        ...


@dataclass(frozen=True, slots=True)
class UpstreamCall:
    """One call to the upstream: ``path`` below its base URL (``/chat/completions``) and the JSON body."""

    path: str
    body: bytes
    streamed: bool


@dataclass(frozen=True, slots=True)
class UpstreamAnswer:
    """An upstream's answer whose head has arrived; ``chunks`` gives the body as it comes in.

    Iterating ``chunks`` raises UpstreamError or UpstreamTimeout when the upstream fails half-way.
    """

    status: int
    content_type: str
    chunks: AsyncIterator[bytes]
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model as an upstream lists it; ``created_at`` in seconds since 1970."""

    id: str
    created_at: int = 0
    owned_by: str = "upstream"


class Upstream(Protocol):
    """The model behind the gateway."""

    async def models(self) -> Sequence[ListedModel]:
        """Give the upstream's own list; raises UpstreamUnavailable, UpstreamTimeout or UpstreamError."""
        ...

    def answer(self, call: UpstreamCall) -> AbstractAsyncContextManager[UpstreamAnswer]:
        """Open a call; leaving the context (a cancelled task included) drops the connection to the upstream at once.

        Entering raises UpstreamUnavailable, UpstreamTimeout or UpstreamError; an answer of any status is an answer.
        """
        ...


@dataclass(frozen=True, slots=True)
class Model:
    """A model that may be asked for: where it runs, what it takes, and how its pictures are counted.

    ``dialects`` are those that its upstream speaks natively, chat always among them; ``token_profile`` is the name of
    an imaging token profile; ``context_length`` in tokens, None when nobody said.
    """

    id: str
    upstream: Upstream
    dialects: frozenset[str] = frozenset({"chat"})
    token_profile: str = "qwen"
    input_modalities: tuple[str, ...] = ("text", "image")
    context_length: int | None = None
    created_at: int = 0
    owned_by: str = "obscura"


class Catalogue(Protocol):
    """The models that may be asked for."""

    async def find(self, model_id: str) -> Model | None:
        """Give the model with exactly this id, or None."""
        ...

    async def all(self) -> Sequence[Model]:
        """Every model, in the catalogue's order; raises what ``Upstream.models`` raises."""
        ...


class Clock(Protocol):
    """The time of day, aware and in UTC."""

    def now(self) -> datetime:
        """Give the current instant."""
        ...


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What is known of a stored picture; ids rise with time, both instants are whole seconds in UTC."""

    id: str
    project: str
    filename: str
    purpose: str
    media_type: str
    size_bytes: int
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class FilePage:
    """Which files of a project are asked for: at most ``limit``, those behind the id ``after``, in order of age."""

    limit: int
    after: str | None = None
    newest_first: bool = True
    purpose: str | None = None


class Files(Protocol):
    """What is known of stored files. Every method raises UpstreamUnavailable when the store cannot be reached."""

    async def add(self, file: StoredFile) -> None:
        """Take up a file; its id is unique."""
        ...

    async def find(self, project: str, file_id: str) -> StoredFile | None:
        """Give a project's file, an expired one included, or None; what was added before is found."""
        ...

    async def page(self, project: str, page: FilePage, at: datetime) -> Sequence[StoredFile]:
        """Give a project's files that live on at ``at``."""
        ...

    async def expire(self, project: str, file_id: str, at: datetime) -> bool:
        """End a file's life; False when it has none at ``at``. Of any number of callers at once, one gets True."""
        ...

    async def remove(self, project: str, file_id: str) -> None:
        """Forget a file, if there is one."""
        ...

    async def expired(self, project: str, at: datetime) -> Sequence[StoredFile]:
        """Give some of the project's files that are expired; where it costs nothing, those of all projects."""
        ...

    async def everywhere(self) -> Sequence[StoredFile]:
        """Every file of every project, expired ones included, oldest first: for the operator's command line."""
        ...


type UploadStatus = Literal["pending", "completed", "cancelled"]

MOST_PARTS = 64
"""Of one upload."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file on its way in parts: ``parts`` has each part's bytes by its id, ``file_id`` the file that came of it.

    ``lifetime_s`` is how many seconds that file is to live; instants as in StoredFile.
    """

    id: str
    project: str
    filename: str
    purpose: str
    declared_bytes: int
    lifetime_s: int
    created_at: datetime
    expires_at: datetime
    status: UploadStatus = "pending"
    file_id: str | None = None
    parts: Mapping[str, int] = field(default_factory=dict)

    @property
    def most_bytes(self) -> int:
        """What its parts may have in all: twice the file, since a part whose answer was lost is sent again."""
        return 2 * self.declared_bytes


class Uploads(Protocol):
    """Uploads under way. Every method raises UpstreamUnavailable when the store cannot be reached."""

    async def add(self, upload: Upload) -> None:
        """Take up an upload without parts; its id is unique."""
        ...

    async def find(self, project: str, upload_id: str) -> Upload | None:
        """Give a project's upload, an expired one included, or None; what was added before is found."""
        ...

    async def add_part(self, upload: Upload, part_id: str, size_bytes: int, at: datetime) -> bool:
        """Add a part; False when the upload is not pending at ``at``, or would have too many parts or bytes.

        The bounds, ``MOST_PARTS`` and ``most_bytes``, hold under any concurrency.
        """
        ...

    async def finish(self, upload: Upload, status: UploadStatus, file_id: str | None, at: datetime) -> bool:
        """End a pending upload; False when it is not pending at ``at``. Of any number of callers, one gets True."""
        ...

    async def remove(self, project: str, upload_id: str) -> None:
        """Forget an upload, if there is one."""
        ...

    async def expired(self, project: str, at: datetime) -> Sequence[Upload]:
        """Give some of the project's uploads that are expired; where it costs nothing, those of all projects."""
        ...


class Contents(Protocol):
    """Bytes under names such as ``originals/file_01``. Raises UpstreamUnavailable when they cannot be had or kept."""

    async def put(self, name: str, content: bytes) -> None:
        """Keep bytes, in place of what was there; nobody ever sees half of them."""
        ...

    async def get(self, name: str) -> bytes | None:
        """Give the bytes, or None when there are none."""
        ...

    async def delete(self, names: Sequence[str]) -> None:
        """Delete what there is under these names, for real."""
        ...


class Verdicts(Protocol):
    """Pictures that moderation has found clean. Every method raises UpstreamUnavailable."""

    async def is_clean(self, digest: bytes, at: datetime) -> bool:
        """Whether a clean verdict is remembered under this 32-byte digest and holds at ``at``."""
        ...

    async def remember_clean(self, digest: bytes, at: datetime, until: datetime) -> None:
        """Remember, at ``at``, a clean verdict that holds until ``until``."""
        ...
