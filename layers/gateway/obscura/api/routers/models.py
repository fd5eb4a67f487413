"""Models as OpenAI's and Anthropic's "List models" show them, and as the catalogue endpoint does."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import Response

from obscura.api.deadline import DeadlineRoute
from obscura.api.dependencies import json_response, principal
from obscura.api.openapi import Json
from obscura.imaging import Detail
from obscura.pipeline.select_model import find_listed_model
from obscura.pipeline.services import Services
from obscura.upstreams.base import CatalogModel


class OpenAIModel(msgspec.Struct):
    """OpenAI's API reference, "The model object"; ``created`` in seconds since 1970."""

    id: str
    created: int
    owned_by: str
    object: str = "model"


class OpenAIModelList(msgspec.Struct):
    """OpenAI's list."""

    data: Sequence[OpenAIModel]
    object: str = "list"


class AnthropicModel(msgspec.Struct):
    """Anthropic's API reference, "Models"; ``created_at`` by RFC 3339."""

    id: str
    display_name: str
    created_at: str
    type: str = "model"


class AnthropicModelList(msgspec.Struct):
    """Anthropic's list, always whole."""

    data: Sequence[AnthropicModel]
    first_id: str | None
    last_id: str | None
    has_more: bool = False


class Modalities(msgspec.Struct):
    """What a model takes and gives."""

    input: Sequence[str]
    output: Sequence[str] = ("text",)


class CatalogModelObject(msgspec.Struct):
    """A model with all that a client may want to choose by; ``detail_limits`` are longest sides in pixels."""

    id: str
    canonical_id: str = msgspec.field(name="canonicalId")
    input_modalities: Sequence[str]
    modalities: Modalities
    context_length: int | None
    token_profile: str
    token_factor: float
    dialects: Sequence[str]
    detail_limits: dict[str, int]
    owned_by: str


class CatalogModelList(msgspec.Struct):
    """The catalogue."""

    data: Sequence[CatalogModelObject]
    object: str = "list"


def anthropic_model(model_id: str, created_at_s: int) -> AnthropicModel:
    """Make Anthropic's model object; ``created_at_s`` in seconds since 1970."""
    created_at = datetime.fromtimestamp(created_at_s, UTC).isoformat().replace("+00:00", "Z")
    return AnthropicModel(model_id, display_name=model_id, created_at=created_at)


def anthropic_model_list(models: Sequence[AnthropicModel]) -> AnthropicModelList:
    """Make Anthropic's list."""
    return AnthropicModelList(models, models[0].id if models else None, models[-1].id if models else None)


DETAIL_LIMITS = {detail.value: detail.longest_side_px for detail in Detail}

router = APIRouter(route_class=DeadlineRoute)
openapi: Json = {}


@router.get("/v1/models")
@router.get("/models", include_in_schema=False)
async def list_models(request: Request) -> Response:
    """List the models, in the caller's dialect."""
    gateway = await _gateway(request)
    models = await gateway.catalog.all()
    if _speaks_anthropic(request):
        return json_response(request, anthropic_model_list([_anthropic(model) for model in models]))
    return json_response(request, OpenAIModelList([_openai(model) for model in models]))


@router.get("/v1/models/{model_id:path}")
@router.get("/models/{model_id:path}", include_in_schema=False)
async def get_model(request: Request, model_id: str) -> Response:
    """Return one model, in the caller's dialect."""
    gateway = await _gateway(request)
    model = await find_listed_model(model_id, gateway.catalog)
    return json_response(request, _anthropic(model) if _speaks_anthropic(request) else _openai(model))


@router.get("/api/models")
async def list_catalogue(request: Request, modality: str | None = None) -> Response:
    """List the models with what they take; ``modality`` keeps those that take it."""
    gateway = await _gateway(request)
    models = [model for model in await gateway.catalog.all() if modality in {None, *model.input_modalities}]
    return json_response(request, CatalogModelList([_catalogue(model) for model in models]))


async def _gateway(request: Request) -> Services:
    await principal(request)
    gateway: Services = request.app.state.gateway
    return gateway


def _speaks_anthropic(request: Request) -> bool:
    return "anthropic-version" in request.headers


def _openai(model: CatalogModel) -> OpenAIModel:
    return OpenAIModel(model.id, model.created_at, model.owned_by)


def _anthropic(model: CatalogModel) -> AnthropicModel:
    return anthropic_model(model.id, model.created_at)


def _catalogue(model: CatalogModel) -> CatalogModelObject:
    return CatalogModelObject(
        id=model.id,
        canonical_id=model.id,
        input_modalities=model.input_modalities,
        modalities=Modalities(model.input_modalities),
        context_length=model.context_length,
        token_profile=model.token_profile,
        token_factor=model.token_factor,
        dialects=sorted(model.dialects),
        detail_limits=DETAIL_LIMITS if "image" in model.input_modalities else {},
        owned_by=model.owned_by,
    )
