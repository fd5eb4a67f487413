"""The openai SDK's own types, made strict: no unknown field, no value of another type."""

import json
from collections.abc import Iterator

from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

BEYOND_THE_SDK = {"store", "image_tokens", "presence_penalty", "frequency_penalty"}
"""The penalties are Open Responses'; ``store`` is in the API's schema; ``image_tokens`` is Obscura's."""
ONLY_IF_SENT = {"user", "prompt_cache_options", "usage"}
"""Absent if the request has none; the usage is absent before the answer is complete."""

_events = TypeAdapter(ResponseStreamEvent)


def strict_response(response: dict) -> Response:
    """Parse a response that has exactly the fields of the SDK's type."""
    parsed = Response.model_validate_json(json.dumps(response), strict=True)
    expected = set(Response.model_fields) | BEYOND_THE_SDK - {"image_tokens"}
    assert expected - ONLY_IF_SENT <= set(response) <= expected
    _check_known(parsed, BEYOND_THE_SDK)
    return parsed


def strict_event(event: dict) -> BaseModel:
    """Parse an event that has exactly the fields of the SDK's type, and ``error`` in an error event."""
    parsed = _events.validate_json(json.dumps(event), strict=True)
    beyond = {"error": {"error"}, "response.function_call_arguments.done": {"name"}}.get(event["type"], set())
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
