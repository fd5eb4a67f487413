"""The Protocol of the records of stored responses, and the limits of their ids; it depends on no other module."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

MAX_ID_CHARS = 200
"""Of ids that an upstream gave; a response with a longer one is not stored."""

MAX_STORED_ITEMS = 1_000
"""Of one response: items that have an id by which a later request may name them."""


@dataclass(frozen=True, slots=True)
class ResponseRecord:
    """A stored response. ``expires_at`` is a whole second in UTC.

    item_ids      the ids of its output items, in order
    file_ids      the project's files that were stored with it: its own images, and its body if that is a file
    body          the JSON of ``StoredBody``, empty if it is in the file ``body_file_id``
    """

    project: str
    id: str
    item_ids: tuple[str, ...]
    file_ids: tuple[str, ...]
    expires_at: datetime
    body: bytes = b""
    body_file_id: str | None = None


class ResponseRepository(Protocol):
    """The records of stored responses. Every method raises StoreUnavailable."""

    async def add(self, record: ResponseRecord) -> None:
        """Store a record, in place of an earlier one with its id, and the ids of its items."""
        ...

    async def find(self, project: str, response_id: str) -> ResponseRecord | None:
        """Return a project's record, an expired one included, or None; reads see every earlier write."""
        ...

    async def responses_of(self, project: str, item_ids: Sequence[str]) -> Mapping[str, str]:
        """Return the ids of the responses that have these items, by item; without those that nothing is known of."""
        ...

    async def delete(self, record: ResponseRecord) -> None:
        """Delete a record and the ids of its items, if they are there."""
        ...
