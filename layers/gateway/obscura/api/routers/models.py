"""Models, as OpenAI's and Anthropic's "List models" return them, and as a catalogue of what each takes."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal, Self

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from obscura.api.dependencies import RequestServices
from obscura.api.error_handlers import speaks_anthropic
from obscura.api.request_path import decode_parameter
from obscura.api.routers import Family, FamilyRoute
from obscura.auth.base import KeyScope
from obscura.imaging import Detail
from obscura.pipeline.select_model import find_listed_model
from obscura.upstreams.base import CatalogModel

DETAIL_LIMITS = {detail.value: detail.longest_side_px for detail in Detail}


class OpenAIModel(BaseModel):
    """OpenAI's API reference, "The model object"."""

    id: str
    created: int = Field(description="Seconds since 1970.")
    owned_by: str
    object: Literal["model"] = "model"

    @classmethod
    def of(cls, model: CatalogModel) -> Self:
        """Return the object of a model."""
        return cls(id=model.id, created=model.created_at, owned_by=model.owned_by)


class OpenAIModelList(BaseModel):
    """OpenAI's list."""

    data: list[OpenAIModel]
    object: Literal["list"] = "list"


class AnthropicModel(BaseModel):
    """Anthropic's API reference, "Models"."""

    id: str
    display_name: str
    created_at: str = Field(description="An instant, as in RFC 3339.")
    type: Literal["model"] = "model"

    @classmethod
    def of(cls, model: CatalogModel) -> Self:
        """Return the object of a model."""
        created_at = datetime.fromtimestamp(model.created_at, UTC).isoformat().replace("+00:00", "Z")
        return cls(id=model.id, display_name=model.id, created_at=created_at)


class AnthropicModelList(BaseModel):
    """Anthropic's list, always in one page."""

    data: list[AnthropicModel]
    first_id: str | None
    last_id: str | None
    has_more: Literal[False] = False

    @classmethod
    def of(cls, models: Sequence[CatalogModel]) -> Self:
        """Return the list of these models."""
        return cls(
            data=[AnthropicModel.of(model) for model in models],
            first_id=models[0].id if models else None,
            last_id=models[-1].id if models else None,
        )


class Modalities(BaseModel):
    """The kinds of content that a model takes and returns."""

    input: Sequence[str]
    output: Sequence[str] = ("text",)


class CatalogModelObject(BaseModel):
    """A model with all that a client may choose by."""

    id: str
    canonical_id: str = Field(serialization_alias="canonicalId")
    input_modalities: Sequence[str]
    modalities: Modalities
    context_length: int | None
    token_profile: str
    token_factor: float
    dialects: Sequence[str]
    detail_limits: dict[str, int] = Field(description="The longest side of an image at each detail, in pixels.")
    owned_by: str

    @classmethod
    def of(cls, model: CatalogModel) -> Self:
        """Return the catalogue's entry of a model."""
        return cls(
            id=model.id,
            canonical_id=model.id,
            input_modalities=model.input_modalities,
            modalities=Modalities(
                input=model.input_modalities, output=("text", "image") if model.images_out else ("text",)
            ),
            context_length=model.context_length,
            token_profile=model.token_profile,
            token_factor=model.token_factor,
            dialects=sorted(model.native_dialects),
            detail_limits=_detail_limits(model),
            owned_by=model.owned_by,
        )


def _detail_limits(model: CatalogModel) -> dict[str, int]:
    output = model.image_limits.output()
    if "image" not in model.input_modalities:
        return {}
    if output is None or output.longest_side_px is None:
        return DETAIL_LIMITS
    return {detail: min(side_px, output.longest_side_px) for detail, side_px in DETAIL_LIMITS.items()}


class CatalogModelList(BaseModel):
    """The catalogue."""

    data: list[CatalogModelObject]
    object: Literal["list"] = "list"


router = APIRouter(route_class=FamilyRoute)


@router.get("/v1/models")
@router.get("/models")
async def list_models(request: Request, services: RequestServices) -> OpenAIModelList | AnthropicModelList:
    """List the models, in the format of the client's API."""
    models = await services.catalog.all()
    if speaks_anthropic(request):
        return AnthropicModelList.of(models)
    return OpenAIModelList(data=[OpenAIModel.of(model) for model in models])


@router.get("/v1/models/{model_id:path}")
@router.get("/models/{model_id:path}")
async def get_model(request: Request, model_id: str, services: RequestServices) -> OpenAIModel | AnthropicModel:
    """Return one model, in the format of the client's API."""
    model = await find_listed_model(decode_parameter(model_id), services.catalog)
    return AnthropicModel.of(model) if speaks_anthropic(request) else OpenAIModel.of(model)


@router.get("/api/models")
async def list_catalog(services: RequestServices, modality: str | None = None) -> CatalogModelList:
    """List the models with what they take; ``modality`` keeps those that take it."""
    models = [model for model in await services.catalog.all() if modality in {None, *model.input_modalities}]
    return CatalogModelList(data=[CatalogModelObject.of(model) for model in models])


FAMILY = Family(name="models", scope=KeyScope.MODELS, free_tier=True, streams=False, router=router)
