"""Models of the catalog file with several upstreams: their entries, and the group that callers use as one model."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from obscura.upstreams.base import CatalogModel
from obscura.upstreams.image_limits import strictest

type Mode = Literal["fallback", "weighted"]
type TokenLimitField = Literal["max_tokens", "max_completion_tokens"]
type HostedTools = Literal["refuse", "drop"]

_OWN_FIELDS = ("pass_types", "account_state", "prefill", "token_limit", "hosted_tools")
"""What a member may have of its own; unset, it is the model's."""


class MemberEntry(BaseModel):
    """One of a model's upstreams: a name, or a table with the name and what holds for this upstream alone.

    ``model`` is the model's id there, by default the one that callers use.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    model: str | None = Field(default=None, min_length=1)
    weight: Annotated[float, Field(gt=0, le=1_000_000)] = 1.0
    pass_types: frozenset[str] | None = None
    account_state: bool | None = None
    prefill: bool | None = None
    token_limit: TokenLimitField | None = None
    hosted_tools: HostedTools | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_a_name(cls, value: object) -> object:
        return {"name": value} if isinstance(value, str) else value

    def own_fields(self, model_id: str) -> dict[str, object]:
        """Return the fields in which this member differs from its model's entry."""
        own: dict[str, object] = {"upstream": self.name, "upstreams": (), "id": self.model or model_id}
        if self.model is not None:
            own["upstream_id"] = None  # Bedrock's name of it is this one then
        return own | {name: value for name in _OWN_FIELDS if (value := getattr(self, name)) is not None}


def member_models[E: BaseModel](
    model_id: str, model: E, members: Sequence[MemberEntry], single: Callable[[E], CatalogModel]
) -> list[CatalogModel]:
    """Return the model at each of its upstreams; ``single`` makes one of an entry with one upstream."""
    return [
        replace(single(model.model_copy(update=member.own_fields(model_id))), weight=member.weight)
        for member in members
    ]


def grouped(model_id: str, members: Sequence[CatalogModel], mode: Mode) -> CatalogModel:
    """Return the group of a model's members, under the id that callers use.

    Images are held to the strictest limits of all; raises ValueError if no type of images suits every member.
    """
    alike = all(_carries(member) == _carries(members[0]) for member in members)
    limits = strictest(member.image_limits for member in members)
    return replace(members[0], id=model_id, members=tuple(members), members_alike=alike, mode=mode, image_limits=limits)


def _carries(member: CatalogModel) -> tuple[object, ...]:
    """Return what of a member decides which requests it can carry."""
    translated = (member.drops_hosted_tools, member.custom_tools, member.prefill)
    return (member.dialects, member.pass_types, member.account_state, *translated)
