"""``/openapi.json``: the schema of every family's endpoints, whichever of them the application serves.

On Lambda each family is an application of its own, and all of them have one address. Schemas come from the types that
serve the endpoints: FastAPI's response models, the models of its bodies, and the request schemas of the dialects.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import iter_route_contexts

from obscura.api.dependencies import FormBody, JsonBody
from obscura.api.routers import Family, health
from obscura.dialects.base import CallerApi
from obscura.dialects.errors import AnthropicError, ErrorFormat, OpenAIError, OpenAIErrorFormat

type Json = dict[str, Any]

_REFERENCE = "#/components/schemas/"
_SECURITY: Json = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "Authorization: Bearer, with a key (obs_…) or a JWT"},
    "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    "free-tier": {"type": "apiKey", "in": "header", "name": "X-Free-Tier", "description": "'true', and no credential"},
}
_HEADERS: Json = {
    "x-request-id": {"schema": {"type": "string"}},
    "x-ratelimit-limit-requests": {"schema": {"type": "integer"}, "description": "Requests in the window."},
    "x-ratelimit-remaining-requests": {"schema": {"type": "integer"}, "description": "Requests that are left of it."},
    "x-ratelimit-reset-requests": {
        "schema": {"type": "string", "examples": ["1m12s", "350ms"]},
        "description": "The time until it ends, as OpenAI writes it.",
    },
}
_IMAGE_TOKENS: Json = {"x-image-tokens": {"schema": {"type": "string"}, "description": "Tokens of each image."}}
_VERSION = "/v1"


def describe(title: str, version: str, families: Sequence[Family]) -> Json:
    """Return the schema of ``families`` and of health."""
    everything = FastAPI(title=title, version=version)
    everything.include_router(health.router)
    schemas: Json = {}
    for family in families:
        everything.include_router(family.router)
    schema = get_openapi(title=title, version=version, routes=everything.routes)
    for family in families:
        for route in iter_route_contexts(family.router.routes):
            for method in route.methods or ():
                operation = schema["paths"][route.path_format][method.lower()]
                created = {"201": success} if (success := operation["responses"].get("201")) else {}
                around = _around(operation["responses"]["200"], family, OpenAIErrorFormat())
                operation |= around | {"responses": created | around["responses"]}
                bodies = [dependency.call for dependency in route.dependant.dependencies]
                operation |= _request_body(bodies, schemas)
        for endpoint in family.dialects:
            operation = _dialect_operation(endpoint.dialect, family, schemas)
            schema["paths"] |= {path: {"post": dict(operation)} for path in endpoint.dialect.paths}
    _mark_aliases(schema["paths"])
    _, errors = msgspec.json.schema_components((OpenAIError, AnthropicError), ref_template=_REFERENCE + "{name}")
    # FastAPI describes a 422 of its own beside every query and path parameter; here these are 400s.
    served = {name: model for name, model in schema["components"]["schemas"].items() if "ValidationError" not in name}
    schema["components"] = {"schemas": served | schemas | errors, "securitySchemes": _SECURITY}
    return schema


def _around(success: Json, family: Family, error_format: ErrorFormat) -> Json:
    """Return what every operation of a family has around its success: the security, the headers, the errors."""
    error = {"content": {"application/json": {"schema": {"$ref": _REFERENCE + error_format.error_type.__name__}}}}
    free_tier: list[Json] = [{"free-tier": []}] if family.free_tier else []
    return {
        "security": [{"bearer": []}, {"x-api-key": []}, *free_tier] if family.scope else [],
        "responses": {
            "200": success | {"headers": _HEADERS | success.get("headers", {})},
            "4XX": {"description": "Something about the request.", **error},
            "5XX": {"description": "Something about Obscura, moderation or the upstream.", **error},
        },
    }


def _dialect_operation(dialect: CallerApi, family: Family, schemas: Json) -> Json:
    """Describe the POST of a dialect, whose response is a stream if the request may ask for one.

    A response of our own has a type, whose schema and those that it refers to are added to ``schemas``.
    """
    request: Json = dialect.request_schema
    response: Json = {"type": "object", "description": "As in the API's reference."}
    if dialect.response_type is not None:
        [response], components = msgspec.json.schema_components(
            [dialect.response_type], ref_template=_REFERENCE + "{name}"
        )
        schemas |= components
    content: Json = {"application/json": {"schema": response}}
    if "stream" in request["properties"]:
        content["text/event-stream"] = {"schema": {"type": "string", "description": "If 'stream' is true."}}
    success: Json = {"description": "The model's response.", "headers": _IMAGE_TOKENS, "content": content}
    accepted: Json = {"application/json": {"schema": request}}
    if (form := getattr(dialect, "form_schema", None)) is not None:
        accepted["multipart/form-data"] = {"schema": form}
    return {
        "summary": dialect.summary,
        "requestBody": {"required": True, "content": accepted},
        **_around(success, family, dialect),
    }


def _request_body(dependencies: Sequence[object], schemas: Json) -> Json:
    """Describe the body that one of an endpoint's dependencies reads; add its models to ``schemas``."""
    for body in dependencies:
        if isinstance(body, JsonBody):
            return _body("application/json", _schema_of(body.model, schemas))
        if isinstance(body, FormBody):
            fields = {body.name: {"type": "string", "format": "binary"}} | body.schema()
            form = {
                "type": "object",
                "required": [body.name],
                "properties": fields,
                "additionalProperties": False,
            } | body.rules()
            return _body("multipart/form-data", form)
    return {}


def _schema_of(model: Any, schemas: Json) -> Json:
    schema = model.model_json_schema(ref_template=_REFERENCE + "{model}")
    schemas |= schema.pop("$defs", {})
    schemas[model.__name__] = schema
    return {"$ref": _REFERENCE + model.__name__}


def _body(media_type: str, schema: Json) -> Json:
    return {"requestBody": {"required": True, "content": {media_type: {"schema": schema}}}}


def _mark_aliases(paths: Json) -> None:
    """Mark each path that is served with ``/v1`` too: an SDK's base URL may end in it or not."""
    for path, operations in paths.items():
        versioned = _VERSION + path
        if versioned in paths:
            for operation in operations.values():
                operation |= {"summary": f"{operation['summary']} (alias of {versioned})", "x-alias-of": versioned}
