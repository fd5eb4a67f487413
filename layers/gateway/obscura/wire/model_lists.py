"""Models as OpenAI's and Anthropic's "List models" show them, and as the catalogue endpoint does."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec


class OpenAIModel(msgspec.Struct):
    """OpenAI's API reference, "The model object"; ``created`` in seconds since 1970."""

    id: str
    created: int
    owned_by: str
    object: str = "model"


class OpenAIModels(msgspec.Struct):
    """OpenAI's list."""

    data: Sequence[OpenAIModel]
    object: str = "list"


class AnthropicModel(msgspec.Struct):
    """Anthropic's API reference, "Models"; ``created_at`` by RFC 3339."""

    id: str
    display_name: str
    created_at: str
    type: str = "model"


class AnthropicModels(msgspec.Struct):
    """Anthropic's list, always whole."""

    data: Sequence[AnthropicModel]
    first_id: str | None
    last_id: str | None
    has_more: bool = False


class Modalities(msgspec.Struct):
    """What a model takes and gives."""

    input: Sequence[str]
    output: Sequence[str] = ("text",)


class CatalogueModel(msgspec.Struct):
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


class CatalogueModels(msgspec.Struct):
    """The catalogue."""

    data: Sequence[CatalogueModel]
    object: str = "list"


def anthropic_model(model_id: str, created_at_s: int) -> AnthropicModel:
    """Make Anthropic's model object; ``created_at_s`` in seconds since 1970."""
    created_at = datetime.fromtimestamp(created_at_s, UTC).isoformat().replace("+00:00", "Z")
    return AnthropicModel(model_id, display_name=model_id, created_at=created_at)


def anthropic_models(models: Sequence[AnthropicModel]) -> AnthropicModels:
    """Make Anthropic's list."""
    return AnthropicModels(models, models[0].id if models else None, models[-1].id if models else None)
