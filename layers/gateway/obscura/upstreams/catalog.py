"""The catalog without a file: one upstream, which lists its own models."""

from collections.abc import Sequence
from time import monotonic

from obscura.upstreams.base import CatalogModel, Upstream
from obscura.upstreams.image_limits import known_limits
from obscura.upstreams.token_limit import known_field, takes_custom_tools

LIST_TTL_S = 60.0


class SingleUpstreamCatalog:
    """Every model id goes to the one upstream, which reports itself if it has no such model."""

    def __init__(
        self,
        upstream: Upstream,
        dialects: frozenset[str],
        *,
        store_field: bool = True,
        url: str = "",
        images_out: bool = False,
    ) -> None:
        """``dialects`` are those that the upstream at ``url`` speaks natively; the others are as in CatalogModel.

        With ``images_out`` the upstream reports itself which of its models make images.
        """
        self._upstream = upstream
        self._dialects = dialects
        self._store_field = store_field
        self._url = url
        self._images_out = images_out
        self._listed: Sequence[CatalogModel] = ()
        self._listed_until_s = 0.0

    async def find(self, model_id: str) -> CatalogModel | None:
        """Return a model of any id."""
        return CatalogModel(
            model_id,
            self._upstream,
            self._dialects,
            store_field=self._store_field,
            token_limit=known_field(self._url, model_id),
            custom_tools=takes_custom_tools(self._url),
            image_limits=known_limits(self._url),
            images_out=self._images_out,
        )

    async def all(self) -> Sequence[CatalogModel]:
        """Return the upstream's own list, at most ``LIST_TTL_S`` old."""
        if monotonic() > self._listed_until_s:
            self._listed = [
                CatalogModel(
                    listed.id,
                    self._upstream,
                    self._dialects,
                    created_at=listed.created_at,
                    owned_by=listed.owned_by,
                    store_field=self._store_field,
                    image_limits=known_limits(self._url),
                    images_out=self._images_out,
                )
                for listed in await self._upstream.models()
            ]
            self._listed_until_s = monotonic() + LIST_TTL_S
        return self._listed
