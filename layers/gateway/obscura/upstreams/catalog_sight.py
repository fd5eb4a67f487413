"""Models of the catalog file that cannot see, and the model that describes images for each (ADR 185)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from obscura.upstreams.base import CatalogModel


class SightEntry(Protocol):
    """What of a model's entry decides how it sees."""

    @property
    def id(self) -> str:
        """The id that callers use."""
        ...

    @property
    def sees_through(self) -> str | None:
        """The id of the model that describes images for it."""
        ...

    @property
    def input(self) -> Sequence[str]:
        """The kinds of content that it takes."""
        ...


def require_sight(models: Sequence[SightEntry]) -> None:
    """Raise ValueError for a model that sees through one that is not there, or does not see itself."""
    by_id = {model.id: model for model in models}
    for model in models:
        if model.sees_through is None:
            continue
        named = f"model '{model.id}' sees through '{model.sees_through}', which"
        describing = by_id.get(model.sees_through)
        if describing is None:
            raise ValueError(f"{named} is not in the file")
        if describing.sees_through is not None:
            raise ValueError(f"{named} sees through another model itself")
        if "image" not in describing.input:
            raise ValueError(f"{named} cannot see: its input has no image")


def with_sight[E: SightEntry](models: Sequence[E], open_model: Callable[[E], CatalogModel]) -> dict[str, CatalogModel]:
    """Return the models of these entries by their ids, in order, each with the model that it sees through."""
    opened = {model.id: open_model(model) for model in models}
    return {model.id: _seeing(opened[model.id], model.sees_through, opened) for model in models}


def _seeing(model: CatalogModel, sees_through: str | None, opened: Mapping[str, CatalogModel]) -> CatalogModel:
    """Return a model whose images are prepared and counted for the model that describes them, if it has one.

    Each image is described by itself: how many a request may have is the model's own limit.
    """
    if sees_through is None:
        return model
    describing = opened[sees_through]

    def seeing(one: CatalogModel) -> CatalogModel:
        return replace(
            one,
            sees_through=describing,
            input_modalities=tuple(dict.fromkeys((*one.input_modalities, "image"))),
            token_profile=describing.token_profile,
            token_factor=describing.token_factor,
            image_limits=replace(describing.image_limits, max_images=one.image_limits.max_images),
        )

    return replace(seeing(model), members=tuple(map(seeing, model.members)))
