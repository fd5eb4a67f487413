"""Protocol of what fetches image URLs."""

from typing import Protocol


class ImageFetcher(Protocol):
    """Image bytes by HTTPS URL."""

    async def fetch(self, url: str) -> bytes:
        """Return the bytes at ``url``, after checks of its spelling, its target, the size and the duration.

        Raises InvalidImageUrl, UnsafeImageUrl, ImageFetchFailed, ImageTooLarge, Overloaded or RequestTooLarge, none of
        them with a ``param``.
        Any number of calls may run at once.
        """
        ...
