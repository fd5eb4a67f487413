"""The openai SDK's own types, made strict: no unknown field, no value of another type."""

import json
from collections.abc import Iterator

from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

BEYOND_THE_SDK = {"store", "image_tokens"}
"""``store`` is in the API's schema, if not in the SDK's; ``image_tokens`` is Obscura's (docs/fields-responses.md)."""

_events = TypeAdapter(ResponseStreamEvent)


def strict_response(response: dict) -> Response:
    """Parse a response that has exactly the fields of the SDK's type."""
    parsed = Response.model_validate_json(json.dumps(response), strict=True)
    assert set(response) == set(Response.model_fields) | {"store"}
    _check_known(parsed, BEYOND_THE_SDK)
    return parsed


def strict_event(event: dict) -> BaseModel:
    """Parse an event that has exactly the fields of the SDK's type, and ``error`` in an error event."""
    parsed = _events.validate_json(json.dumps(event), strict=True)
    beyond = {"error"} if event["type"] == "error" else set()
    assert set(event) == set(type(parsed).model_fields) | beyond
    _check_known(parsed, BEYOND_THE_SDK | beyond)
    if "response" in event:
        strict_response(event["response"])
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
