"""Choose: the model that was asked for, and whether it takes what was sent."""

from collections.abc import Iterable
from difflib import get_close_matches

from obscura.errors import ModelNotFound, UnsupportedOperation
from obscura.ports import Catalogue, Model
from obscura.wire.dialect import Ask

MOST_NAMED = 5
LONGEST_NAMED = 100


async def choose_model(ask: Ask, catalogue: Catalogue) -> Model:
    """Give the model of a request.

    Raises ModelNotFound, naming near matches, or UnsupportedOperation when a picture is sent to a model that does not
    see, naming models that do.
    """
    model = await find_model(ask.model, catalogue)
    if ask.image_slots and "image" not in model.input_modalities:
        seeing = [other.id for other in await catalogue.all() if "image" in other.input_modalities]
        way_out = f"Models that see: {_named(seeing)}." if seeing else "No model here does; send text only."
        raise UnsupportedOperation(f"The model '{model.id}' takes no images. {way_out}", param=ask.image_slots[0].path)
    return model


async def find_model(model_id: str, catalogue: Catalogue) -> Model:
    """Give the model that requests for this id go to; raises ModelNotFound, naming near matches."""
    model = await catalogue.find(model_id)
    if model is not None:
        return model
    raise _not_found(model_id, await catalogue.all())


async def find_listed(model_id: str, catalogue: Catalogue) -> Model:
    """Give the model with this id as the list shows it; raises ModelNotFound, naming near matches."""
    listed = await catalogue.all()
    for model in listed:
        if model.id == model_id:
            return model
    raise _not_found(model_id, listed)


def _not_found(model_id: str, models: Iterable[Model]) -> ModelNotFound:
    known = [model.id for model in models]
    asked = model_id[:LONGEST_NAMED]
    near = get_close_matches(asked, known, n=MOST_NAMED, cutoff=0.5)
    way_out = f"Near matches: {_named(near)}." if near else f"There are: {_named(known)}."
    return ModelNotFound(f"The model '{asked}' does not exist here. {way_out}", param="model")


def _named(ids: Iterable[str]) -> str:
    names = list(ids)
    return ", ".join(names[:MOST_NAMED]) + (", …" if len(names) > MOST_NAMED else "")
