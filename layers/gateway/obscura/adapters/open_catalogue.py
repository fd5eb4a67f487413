"""The catalogue without a file: one upstream, which knows its own models."""

from collections.abc import Sequence
from time import monotonic

from obscura.ports import Model, Upstream

REMEMBERED_S = 60.0


class OpenCatalogue:
    """Every model id goes to the one upstream, which decides whether it has such a model."""

    def __init__(self, upstream: Upstream, dialects: frozenset[str]) -> None:
        """``dialects`` are those that the upstream speaks."""
        self._upstream = upstream
        self._dialects = dialects
        self._listed: Sequence[Model] = ()
        self._listed_until_s = 0.0

    async def find(self, model_id: str) -> Model | None:
        """Give a model of any id."""
        return Model(model_id, self._upstream, self._dialects)

    async def all(self) -> Sequence[Model]:
        """Give the upstream's own list, at most ``REMEMBERED_S`` old."""
        if monotonic() > self._listed_until_s:
            self._listed = [
                Model(listed.id, self._upstream, self._dialects, created_at=listed.created_at, owned_by=listed.owned_by)
                for listed in await self._upstream.models()
            ]
            self._listed_until_s = monotonic() + REMEMBERED_S
        return self._listed
