"""The hash lists of a gateway: where they are, what an image is compared with, and how they are kept up to date."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import parse_qsl

from obscura.hashes.index import MAX_DISTANCE, PdqIndex
from obscura.hashes.list_file import HashListError, HashType, ListedHashes, read_hash_list

DEFAULT_CATEGORY = "illicit"
"""A category of the moderation's, so that a refusal does not tell a list from a verdict."""
MIN_QUALITY = 50
RELOAD_S = 30


@dataclass(frozen=True, slots=True)
class HashListSource:
    """Where a list is, and how images are compared with it.

    location      a file, or ``s3://BUCKET/KEY``
    category      the moderation category that a refusal names
    bare          what hashes without a type are
    distance      in how many of 256 bits a PDQ hash may differ
    min_quality   the quality from which on an image's PDQ hash is compared
    dihedral      whether turned and mirrored forms of an image are compared too
    """

    location: str
    category: str = DEFAULT_CATEGORY
    bare: HashType = HashType.PDQ
    distance: int = MAX_DISTANCE
    min_quality: int = MIN_QUALITY
    dihedral: bool = False

    @classmethod
    def parse(cls, text: str) -> "HashListSource":
        """Read ``LOCATION`` or ``LOCATION?category=sexual/minors&distance=31&quality=50&dihedral=yes&type=sha256``.

        Raises ValueError that names what is wrong.
        """
        location, _, query = text.partition("?")
        options = dict(parse_qsl(query, keep_blank_values=True))
        unknown = options.keys() - {"category", "type", "distance", "quality", "dihedral"}
        if not location or unknown:
            raise ValueError(f"'{text}' has no location, or an option that is not known: {', '.join(sorted(unknown))}")
        return cls(
            location,
            options.get("category") or DEFAULT_CATEGORY,
            _hash_type(options.get("type", "pdq")),
            _number("distance", options.get("distance", str(MAX_DISTANCE)), MAX_DISTANCE),
            _number("quality", options.get("quality", str(MIN_QUALITY)), 100),
            options.get("dihedral", "no") in {"yes", "true", "1"},
        )


def _hash_type(text: str) -> HashType:
    try:
        return HashType(text)
    except ValueError:
        raise ValueError(f"type is pdq or sha256, not '{text}'") from None


def _number(name: str, text: str, highest: int) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= highest):
        raise ValueError(f"{name} is a number from 0 to {highest}, not '{text}'")
    return int(text)


@dataclass(frozen=True, slots=True)
class ListContent:
    """The bytes of a list, and their version: an ETag, or a file's time and size."""

    content: bytes
    version: str


class HashListReader(Protocol):
    """Reads lists where they are stored. Blocks: it is called in a thread."""

    def read(self, location: str, known_version: str | None) -> ListContent | None:
        """Return a list, None if it still is ``known_version``; raises OSError if it cannot be read."""
        ...


@dataclass(frozen=True, slots=True)
class ImageHashes:
    """The hashes of one image: SHA-256 of its source and of what it was prepared to, and PDQ in one or eight forms."""

    sha256: Sequence[bytes]
    pdq: Sequence[int] = ()
    quality: int = 0


@dataclass(frozen=True, slots=True)
class HashMatch:
    """An image that is on a list; ``distance`` is 0 for a SHA-256."""

    location: str
    category: str
    hash_type: HashType
    distance: int


class HashList:
    """One list, loaded."""

    def __init__(self, source: HashListSource, hashes: ListedHashes, version: str) -> None:
        """Index ``hashes``, which are of ``version``."""
        self.source = source
        self.version = version
        self.other_entries = hashes.other
        self._sha256 = hashes.sha256
        self._pdq = PdqIndex(hashes.pdq) if hashes.pdq else None

    def __len__(self) -> int:
        """How many hashes are compared with."""
        return len(self._sha256) + (len(self._pdq) if self._pdq else 0)

    @property
    def has_pdq(self) -> bool:
        """Whether an image's PDQ hash is needed."""
        return self._pdq is not None

    def match(self, image: ImageHashes) -> HashMatch | None:
        """Return the match of an image, None if the list has none."""
        source = self.source
        if not self._sha256.isdisjoint(image.sha256):
            return HashMatch(source.location, source.category, HashType.SHA256, 0)
        if self._pdq is None or image.quality < source.min_quality:
            return None
        forms = image.pdq if source.dihedral else image.pdq[:1]
        found = [near for form in forms if (near := self._pdq.nearest(form, source.distance)) is not None]
        if not found:
            return None
        return HashMatch(source.location, source.category, HashType.PDQ, min(near.distance for near in found))


def read(
    source: HashListSource, reader: HashListReader, known_version: str | None = None
) -> tuple[ListedHashes, str] | None:
    """Read a list and its version, None if it still is ``known_version``; raises HashListError with its location."""
    try:
        found = reader.read(source.location, known_version)
        return None if found is None else (read_hash_list(found.content, source.bare), found.version)
    except (OSError, HashListError) as failure:
        reason = failure.strerror or "it cannot be read" if isinstance(failure, OSError) else str(failure)
        raise HashListError(f"{source.location}: {reason}") from None


def load(source: HashListSource, reader: HashListReader, known_version: str | None = None) -> HashList | None:
    """Read a list as ``read`` does, and index it."""
    found = read(source, reader, known_version)
    return None if found is None else HashList(source, *found)


class BlockedHashes:
    """All lists of a gateway. They are looked at again every ``RELOAD_S`` seconds while images are compared."""

    def __init__(
        self,
        lists: Sequence[HashList],
        reader: HashListReader,
        monotonic: Callable[[], float],
        report: Callable[[str], None],
    ) -> None:
        """``report`` gets the reason why a list could not be read again; the one that was read before stays in use."""
        self._lists = list(lists)
        self._reader = reader
        self._monotonic = monotonic
        self._report = report
        self._looked_at_s = monotonic()
        self.reloading: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls,
        sources: Sequence[HashListSource],
        reader: HashListReader,
        monotonic: Callable[[], float],
        report: Callable[[str], None],
    ) -> "BlockedHashes":
        """Load every list; raises HashListError for the first that cannot be read."""
        lists = [await asyncio.to_thread(load, source, reader) for source in sources]
        return cls([loaded for loaded in lists if loaded is not None], reader, monotonic, report)

    @property
    def needs_pdq(self) -> bool:
        """Whether any list has PDQ hashes."""
        return any(each.has_pdq for each in self._lists)

    @property
    def needs_dihedral(self) -> bool:
        """Whether any list is compared with turned and mirrored forms."""
        return any(each.has_pdq and each.source.dihedral for each in self._lists)

    def match(self, image: ImageHashes) -> HashMatch | None:
        """Return the first match of an image; runs in a thread, some milliseconds for lists of a million."""
        return next((found for each in self._lists if (found := each.match(image)) is not None), None)

    def look_for_changes(self) -> None:
        """Begin to read the lists again if that is due; what is under way goes on with those that are loaded."""
        now_s = self._monotonic()
        if now_s - self._looked_at_s < RELOAD_S or (self.reloading and not self.reloading.done()):
            return
        self._looked_at_s = now_s
        self.reloading = asyncio.create_task(self._reload())

    async def aclose(self) -> None:
        """End a reload that is under way."""
        if self.reloading is not None:
            self.reloading.cancel()
            await asyncio.gather(self.reloading, return_exceptions=True)

    async def _reload(self) -> None:
        for place, loaded in enumerate(self._lists):
            try:
                changed = await asyncio.to_thread(load, loaded.source, self._reader, loaded.version)
            except HashListError as failure:
                self._report(str(failure))
            else:
                self._lists[place] = changed or loaded
