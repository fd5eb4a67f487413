"""The openai SDK's own types, made strict: nothing that they do not know, nothing of another type."""

import json
from collections.abc import Iterator

from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

BEYOND_THE_SDK = {"store", "image_tokens"}
"""``store`` is in the API's schema, if not in the SDK's; ``image_tokens`` is Obscura's (docs/fields-responses.md)."""

_events = TypeAdapter(ResponseStreamEvent)


def strict_response(response: dict) -> Response:
    """Parse a response with every field of the SDK's there and no other."""
    parsed = Response.model_validate_json(json.dumps(response), strict=True)
    assert set(response) == set(Response.model_fields) | {"store"}
    _check_known(parsed, BEYOND_THE_SDK)
    return parsed


def strict_event(response: dict) -> BaseModel:
    """Parse an event with every field of the SDK's there and no other, but for what ``error`` repeats."""
    parsed = _events.validate_json(json.dumps(response), strict=True)
    beyond = {"error"} if response["type"] == "error" else set()
    assert set(response) == set(type(parsed).model_fields) | beyond
    _check_known(parsed, BEYOND_THE_SDK | beyond)
    if "response" in response:
        strict_response(response["response"])
    return parsed


def _check_known(parsed: BaseModel, beyond: set[str]) -> None:
    for model in _models(parsed):
        assert set(model.model_extra or ()) <= beyond, type(model).__name__


def _models(value: object) -> Iterator[BaseModel]:
    if isinstance(value, BaseModel):
        yield value
        value = dict(value)
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _models(inner)
