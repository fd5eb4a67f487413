"""The fields of a catalog file that say what an upstream or a model takes of images."""

from collections.abc import Collection
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from obscura.upstreams.image_limits import PRESETS, UpstreamImageLimits, require_encodable

type ImageHistory = Literal["keep", "prune"]
type ImageType = Literal["jpeg", "png", "webp"]


def _known_preset(name: str) -> str:
    if name not in PRESETS:
        raise ValueError(f"must be one of {', '.join(PRESETS)}")
    return name


def _encodable[C: Collection[str]](types: C) -> C:
    require_encodable(frozenset(types))
    return types


FILES_DIALECTS = {"openai": "responses", "anthropic": "messages"}
"""The kinds whose upstreams have a Files API, and the dialect whose requests may name its files as images."""


def require_files_api(kind: str, dialects: Collection[str]) -> None:
    """Raise ValueError if an upstream cannot get images by the ids of its files."""
    dialect = FILES_DIALECTS.get(kind)
    if dialect is None:
        raise ValueError(f"image_files is for upstreams of kind {' and '.join(FILES_DIALECTS)}")
    if dialect not in dialects:
        raise ValueError(f"image_files of kind {kind} is for {dialect}, which its dialects do not have")


class Strict(BaseModel):
    """A part of the file: every field of it is known, and none changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ImageLimitFields(Strict):
    """What an entry says of images; ``limits`` names a preset, which the other fields change."""

    limits: Annotated[str, AfterValidator(_known_preset)] | None = None
    max_images: Annotated[int, Field(gt=0)] | None = None
    max_image_bytes: Annotated[int, Field(gt=0)] | None = None
    max_image_side_px: Annotated[int, Field(ge=16)] | None = None
    image_types: Annotated[frozenset[ImageType], AfterValidator(_encodable)] | None = None
    native_image_side_px: Annotated[int, Field(ge=16)] | None = None

    def limits_over(self, default: UpstreamImageLimits) -> UpstreamImageLimits:
        """Return what the entry sets over its preset, and that over ``default``."""
        base = default if self.limits is None else PRESETS[self.limits]
        if self.max_images is not None:
            base = replace(base, max_images=self.max_images)
        if self.max_image_bytes is not None:
            base = replace(base, max_image_bytes=self.max_image_bytes)
        if self.max_image_side_px is not None:
            base = replace(base, max_image_side_px=self.max_image_side_px)
        if self.image_types is not None:
            base = replace(base, image_types=frozenset[str](self.image_types))
        if self.native_image_side_px is not None:
            base = replace(base, native_image_side_px=self.native_image_side_px)
        return base
