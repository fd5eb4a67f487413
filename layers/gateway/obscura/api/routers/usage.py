"""``GET /api/usage``: tokens, images and cost by key, model and day."""

from datetime import date, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from obscura.api.dependencies import RequestServices, principal
from obscura.api.routers import Family, FamilyRoute
from obscura.auth.access import JWT_SUBJECT, Principal
from obscura.auth.base import KeyScope
from obscura.errors import InvalidRequest, PermissionDenied
from obscura.usage.report import GROUPS, Group, grouped

MAX_DAYS = 93
DEFAULT_DAYS = 30


class UsageEntry(BaseModel):
    """The sums of one day, key and model; without those that the rows are summed over."""

    day: date | None = None
    key: str | None = Field(None, description="A key's id, `jwt` for all JWTs, or `free tier`.")
    model: str | None = None
    requests: int
    images: int
    input_tokens: int
    cached_tokens: int = Field(description="Of the input, what the upstream read from its prompt cache.")
    image_tokens: int = Field(description="Of the input, those of images, as the gateway counts them.")
    output_tokens: int
    estimated_cost_usd: float = Field(description="By the catalog's prices; 0 for models that have none.")


class UsageList(BaseModel):
    """The usage of the days from `first` to `last`."""

    first: date
    last: date
    data: list[UsageEntry]
    object: Literal["list"] = "list"


router = APIRouter(route_class=FamilyRoute)


@router.get("/api/usage", response_model_exclude_none=True)
async def read_usage(  # noqa: PLR0913, PLR0917 what a query may say
    caller: Annotated[Principal, Depends(principal(None, free_tier=False))],
    services: RequestServices,
    first: Annotated[date | None, Query(description="A day (UTC); 30 days up to `last` without it.")] = None,
    last: Annotated[date | None, Query(description="A day (UTC), by default today.")] = None,
    key: Annotated[str | None, Query(max_length=100, description="Of one key; for scope admin.")] = None,
    by: Annotated[tuple[Group, ...], Query(description="What rows are not summed over.")] = GROUPS,
) -> Any:
    """Return what the caller's key has used, or for a key of scope admin what all have."""
    end = last or services.clock.now().date()
    start = first or end - timedelta(days=DEFAULT_DAYS - 1)
    if not 0 <= (end - start).days < MAX_DAYS:
        raise InvalidRequest(
            f"Usage is shown for 1 to {MAX_DAYS} days: 'first' must be in the {MAX_DAYS} days up to 'last'.",
            param="first",
        )
    rows = await services.usage.rows(start, end, _subject(caller, key))
    shown = grouped(rows, [name for name in GROUPS if name in by])
    return UsageList(first=start, last=end, data=[UsageEntry.model_validate(one.shown()) for one in shown])


def _subject(caller: Principal, key: str | None) -> str | None:
    if caller.is_admin:
        return key
    if caller.usage_subject == JWT_SUBJECT:
        raise PermissionDenied("Usage is shown to API keys: the requests of all JWTs are counted together.")
    if key not in {None, caller.usage_subject}:
        raise PermissionDenied("This API key sees its own usage. One of scope admin sees that of all.", param="key")
    return caller.usage_subject


FAMILY = Family(name="usage", scope=KeyScope.ADMIN, any_key=True, free_tier=False, streams=False, router=router)
