"""Responses, with and without ``/v1``: created, and where they are stored read, listed and deleted."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from msgspec import Raw
from pydantic import BaseModel, ConfigDict, Field

from obscura.api.dependencies import RequestServices, principal
from obscura.api.dialect_endpoint import DialectEndpoint
from obscura.api.routers import Family, FamilyRoute
from obscura.auth.access import Principal
from obscura.auth.base import KeyScope
from obscura.dialects.base import CallerDialect
from obscura.dialects.registry import load_dialect
from obscura.errors import NotFound, UnsupportedOperation
from obscura.files.responses import (
    ResponseStore,
    StoredBody,
    delete_response,
    find_record,
    item_id,
    load_response,
    require_own_responses,
    response_not_found,
)
from obscura.pipeline.handle_stored import handle_and_store, storing_nothing
from obscura.pipeline.request import GatewayRequest, GatewayResponse
from obscura.pipeline.services import Services

Owner = Annotated[Principal, Depends(principal(KeyScope.RESPONSES, free_tier=True))]


async def _store(services: RequestServices) -> ResponseStore:
    """Return the store; raises UnsupportedOperation where responses are not stored."""
    if services.responses is None:
        raise UnsupportedOperation(
            "Responses are not stored here. Send the whole conversation as 'input' (in an SDK with store: false), or "
            "have the operator set OBSCURA_STORE_RESPONSES=true."
        )
    return services.responses


Store = Annotated[ResponseStore, Depends(_store)]
routes = APIRouter(route_class=FamilyRoute)


class ListItemsQuery(BaseModel):
    """A page of input items: at most ``limit`` after the item ``after``."""

    model_config = ConfigDict(frozen=True)

    limit: int = Field(default=20, ge=1, le=100)
    order: Literal["asc", "desc"] = "desc"
    after: str | None = Field(default=None, max_length=200)


class StoredResponse(BaseModel):
    """A response as it was answered (OpenAI's API reference, "The response object")."""

    model_config = ConfigDict(extra="allow")

    id: str
    object: Literal["response"] = "response"
    status: str
    output: list[dict[str, Any]]


class InputItems(BaseModel):
    """A page of the items that a response was made from, those of the turns before included."""

    data: list[dict[str, Any]]
    first_id: str | None
    last_id: str | None
    has_more: bool
    object: Literal["list"] = "list"


class DeletedResponse(BaseModel):
    """The confirmation that a response was deleted."""

    id: str
    object: Literal["response"] = "response"
    deleted: Literal[True] = True


async def _load(response_id: str, owner: Principal, store: ResponseStore, services: RequestServices) -> StoredBody:
    require_own_responses(owner)
    return await load_response(response_id, owner, store, services.clock.now())


@routes.get("/responses/{response_id}", response_model=StoredResponse)
async def get_response(
    request: Request, response_id: str, store: Store, owner: Owner, services: RequestServices
) -> Response:
    """Return a stored response as it was answered."""
    if request.query_params.get("stream", "false").lower() == "true":
        raise UnsupportedOperation("A stored response is not streamed again. Get it without 'stream'.", param="stream")
    body = await _load(response_id, owner, store, services)
    return Response(msgspec.json.encode(body.response), media_type="application/json")


@routes.get("/responses/{response_id}/input_items")
async def list_input_items(
    response_id: str,
    query: Annotated[ListItemsQuery, Query()],
    store: Store,
    owner: Owner,
    services: RequestServices,
) -> InputItems:
    """List the items that a response was made from, the last first by default."""
    body = await _load(response_id, owner, store, services)
    named = _with_ids(response_id, body.input)
    if query.order == "desc":
        named.reverse()
    ids = [name for name, _ in named]
    if query.after is not None:
        if query.after not in ids:
            raise response_not_found("after")
        named = named[ids.index(query.after) + 1 :]
    page = [_shown(name, item) for name, item in named[: query.limit]]
    return InputItems(
        data=page,
        first_id=page[0]["id"] if page else None,
        last_id=page[-1]["id"] if page else None,
        has_more=len(named) > len(page),
    )


@routes.delete("/responses/{response_id}")
async def remove_response(response_id: str, store: Store, owner: Owner) -> DeletedResponse:
    """Delete a response and the files that were stored with it, for good."""
    if owner.anonymous:
        require_own_responses(owner)
    await delete_response(response_id, owner, store)
    return DeletedResponse(id=response_id)


@routes.post("/responses/{response_id}/cancel", response_model=StoredResponse)
async def cancel_response(response_id: str, owner: Owner, services: RequestServices) -> Response:
    """Refuse to cancel a response: those that are stored here have ended, and without a store there are none."""
    if services.responses is None:
        raise NotFound("Nothing is served at this path: no response here can be cancelled. Close its connection.")
    require_own_responses(owner)
    await find_record(response_id, owner, services.responses, services.clock.now())
    raise UnsupportedOperation(
        "This response was not made in the background: it has ended, and there is nothing to cancel. To stop one that "
        "streams, close its connection."
    )


def _with_ids(response_id: str, items: Sequence[Raw]) -> list[tuple[str, Raw]]:
    """Return items with their ids; one that was sent without has an id of its place, the same each time."""
    digest = hashlib.sha256(response_id.encode()).hexdigest()[:32]
    return [(item_id(item) or f"item_{digest}{index:05}", item) for index, item in enumerate(items)]


def _shown(name: str, item: Raw) -> dict[str, Any]:
    """Return an item as the API shows it: a message with its type and a list of parts."""
    fields: dict[str, Any] = msgspec.json.decode(item)
    shown: dict[str, Any] = fields | {"id": name}
    if "role" in shown and shown.get("type", "message") == "message":
        shown |= {"type": "message", "status": shown.get("status", "completed")}
        if isinstance(shown.get("content"), str):
            kind = "output_text" if shown["role"] == "assistant" else "input_text"
            more: dict[str, Any] = {"annotations": []} if kind == "output_text" else {}
            shown["content"] = [{"type": kind, "text": shown["content"], **more}]
    return shown


@asynccontextmanager
async def _handle_dry_run(
    request: GatewayRequest, dialect: CallerDialect[Any], services: Services
) -> AsyncIterator[GatewayResponse]:
    """Inspect a request, which may continue a stored response, in place of handling it; raises an ObscuraError."""
    from obscura.pipeline.inspection import handle_dry_run

    async with storing_nothing(handle_dry_run, under_policy=False)(request, dialect, services) as response:
        yield response


# An SDK's base URL may end in /v1 or not. Each call takes the routes that exist by then.
router = APIRouter()
router.include_router(routes, prefix="/v1")
router.include_router(routes)

FAMILY = Family(
    name="responses",
    scope=KeyScope.RESPONSES,
    free_tier=True,
    streams=True,
    dialects=(DialectEndpoint(load_dialect("responses"), handle_and_store, dry_run=_handle_dry_run),),
    router=router,
)
