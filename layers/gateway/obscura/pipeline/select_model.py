"""Select the model that a request names, and check that it takes images if there are any."""

from collections.abc import Iterable
from difflib import get_close_matches

from obscura.dialects.base import ParsedRequest
from obscura.errors import ModelNotFound, UnsupportedOperation
from obscura.upstreams.base import Catalog, CatalogModel

MAX_SUGGESTIONS = 5
MAX_NAME_CHARS = 100


async def select_model(parsed: ParsedRequest, catalog: Catalog) -> CatalogModel:
    """Return the model of a request.

    Raises ModelNotFound, naming near matches, or UnsupportedOperation if an image or a PDF is sent to a model without
    image input, naming models that have it.
    """
    model = await find_model(parsed.model, catalog)
    paths = [slot.path for slot in parsed.images] + [slot.path for slot in parsed.documents]
    if paths and "image" not in model.input_modalities:
        with_images = [other.id for other in await catalog.all() if "image" in other.input_modalities]
        hint = f"Models that do: {joined_names(with_images)}." if with_images else "None here does; send text only."
        raise UnsupportedOperation(f"The model '{model.id}' takes no images. {hint}", param=paths[0])
    if paths and model.sees_through is not None:
        from obscura.pipeline.describe import require_describable

        require_describable(parsed, model)
    return model


async def find_model(model_id: str, catalog: Catalog) -> CatalogModel:
    """Return the model that requests for this id go to; raises ModelNotFound, naming near matches."""
    model = await catalog.find(model_id)
    if model is not None:
        return model
    raise _model_not_found(model_id, await catalog.all())


async def find_listed_model(model_id: str, catalog: Catalog) -> CatalogModel:
    """Return the model with this id as the list of models has it; raises ModelNotFound, naming near matches."""
    listed = await catalog.all()
    for model in listed:
        if model.id == model_id:
            return model
    raise _model_not_found(model_id, listed)


def _model_not_found(model_id: str, models: Iterable[CatalogModel]) -> ModelNotFound:
    known = [model.id for model in models]
    requested = model_id[:MAX_NAME_CHARS]
    near = get_close_matches(requested, known, n=MAX_SUGGESTIONS, cutoff=0.5)
    hint = f"Near matches: {joined_names(near)}." if near else f"The models here: {joined_names(known)}."
    return ModelNotFound(f"The model '{requested}' does not exist here. {hint}", param="model")


def joined_names(ids: Iterable[str]) -> str:
    """Return the first few ids, as a message lists them."""
    names = list(ids)
    return ", ".join(names[:MAX_SUGGESTIONS]) + (", …" if len(names) > MAX_SUGGESTIONS else "")
