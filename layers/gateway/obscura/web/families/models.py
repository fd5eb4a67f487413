"""The catalogue: OpenAI's list of models, Anthropic's for who sends ``anthropic-version``, and our own with filters."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from obscura.imaging import Detail
from obscura.pipeline.choose import find_listed
from obscura.pipeline.gateway import Gateway
from obscura.ports import Model
from obscura.web.admitted import admitted
from obscura.web.door import ClosingRoute
from obscura.web.json_answer import json_answer
from obscura.web.openapi import Json
from obscura.wire.model_lists import (
    AnthropicModel,
    CatalogueModel,
    CatalogueModels,
    Modalities,
    OpenAIModel,
    OpenAIModels,
    anthropic_model,
    anthropic_models,
)

DETAIL_LIMITS = {detail.value: detail.longest_side_px for detail in Detail}

router = APIRouter(route_class=ClosingRoute)
openapi: Json = {}


@router.get("/v1/models")
@router.get("/models", include_in_schema=False)
async def list_models(request: Request) -> Response:
    """List the models, in the caller's dialect."""
    gateway = await _gateway(request)
    models = await gateway.catalogue.all()
    if _speaks_anthropic(request):
        return json_answer(request, anthropic_models([_anthropic(model) for model in models]))
    return json_answer(request, OpenAIModels([_openai(model) for model in models]))


@router.get("/v1/models/{model_id:path}")
@router.get("/models/{model_id:path}", include_in_schema=False)
async def get_model(request: Request, model_id: str) -> Response:
    """Give one model, in the caller's dialect."""
    gateway = await _gateway(request)
    model = await find_listed(model_id, gateway.catalogue)
    return json_answer(request, _anthropic(model) if _speaks_anthropic(request) else _openai(model))


@router.get("/api/models")
async def list_catalogue(request: Request, modality: str | None = None) -> Response:
    """List the models with what they take; ``modality`` keeps those that take it."""
    gateway = await _gateway(request)
    models = [model for model in await gateway.catalogue.all() if modality in {None, *model.input_modalities}]
    return json_answer(request, CatalogueModels([_catalogue(model) for model in models]))


async def _gateway(request: Request) -> Gateway:
    await admitted(request)
    gateway: Gateway = request.app.state.gateway
    return gateway


def _speaks_anthropic(request: Request) -> bool:
    return "anthropic-version" in request.headers


def _openai(model: Model) -> OpenAIModel:
    return OpenAIModel(model.id, model.created_at, model.owned_by)


def _anthropic(model: Model) -> AnthropicModel:
    return anthropic_model(model.id, model.created_at)


def _catalogue(model: Model) -> CatalogueModel:
    return CatalogueModel(
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
