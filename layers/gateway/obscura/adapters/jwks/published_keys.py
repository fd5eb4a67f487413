"""The provider's keys as last fetched: fetched anew when they are old or one is missing, by one caller for all."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from math import ceil
from time import monotonic

from obscura.adapters.jwks.key_set import VerifyingKey
from obscura.errors import UpstreamUnavailable

FRESH_S = 600.0
BELIEVED_S = 3600.0
BETWEEN_FETCHES_S = 60.0


class PublishedKeys:
    """Keys are fetched again after ``FRESH_S``, and believed without a successful fetch for ``BELIEVED_S``.

    Between two fetches, failed ones included, are at least ``BETWEEN_FETCHES_S``, so a forged ``kid`` costs nothing.
    """

    def __init__(
        self, fetch: Callable[[], Awaitable[Sequence[VerifyingKey]]], now_s: Callable[[], float] = monotonic
    ) -> None:
        """``fetch`` gives the keys or raises UpstreamUnavailable; ``now_s`` is a clock that never goes back."""
        self._fetch = fetch
        self._now_s = now_s
        self._keys: Sequence[VerifyingKey] = ()
        self._fetched_at_s = float("-inf")
        self._tried_at_s = float("-inf")
        self._failure = ""
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, key_id: str | None) -> VerifyingKey | None:
        """Give the key with this ``kid``, or None; a token without one means the only key that there is.

        Raises UpstreamUnavailable while there are no keys to be believed.
        """
        found = self._known(key_id)
        if found is None or self._age_s() > FRESH_S:
            await self._refresh()
            found = self._known(key_id)
        if self._age_s() > BELIEVED_S:
            raise self._unavailable()
        return found

    def _known(self, key_id: str | None) -> VerifyingKey | None:
        if key_id is None:
            return self._keys[0] if len(self._keys) == 1 else None
        return next((key for key in self._keys if key.id == key_id), None)

    def _age_s(self) -> float:
        return self._now_s() - self._fetched_at_s

    def _unavailable(self) -> UpstreamUnavailable:
        next_try_s = self._tried_at_s + BETWEEN_FETCHES_S - self._now_s()
        return UpstreamUnavailable(self._failure, retry_after_s=max(1, ceil(next_try_s)))

    async def _refresh(self) -> None:
        if self._fetching is None:
            if self._now_s() - self._tried_at_s < BETWEEN_FETCHES_S:
                return
            self._tried_at_s = self._now_s()
            self._fetching = asyncio.create_task(self._fetch_once())
        # Shielded: a caller who leaves does not take the fetch from those who wait for it too.
        await asyncio.shield(self._fetching)

    async def _fetch_once(self) -> None:
        try:
            self._keys = await self._fetch()
            self._fetched_at_s = self._now_s()
        except UpstreamUnavailable as failure:
            self._failure = failure.message
        finally:
            self._fetching = None
