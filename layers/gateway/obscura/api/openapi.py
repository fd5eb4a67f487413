"""``/openapi.json``: what the raw endpoints take and give, described by hand, since no framework reads their bodies."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

type Json = dict[str, object]

_SECURITY: Json = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "Authorization: Bearer, with a key (obs_…) or a JWT"},
    "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    "free-tier": {"type": "apiKey", "in": "header", "name": "X-Free-Tier", "description": "'true', and no credential"},
}
_WITH_CREDENTIALS: list[Json] = [{"bearer": []}, {"x-api-key": []}]
_ANY_CREDENTIALS: list[Json] = [*_WITH_CREDENTIALS, {"free-tier": []}]
_FILE_PATHS = ("/v1/files", "/v1/uploads")

_RATE_HEADERS: Json = {
    "x-ratelimit-limit-requests": {"schema": {"type": "integer"}, "description": "Requests in the window."},
    "x-ratelimit-remaining-requests": {"schema": {"type": "integer"}, "description": "Those that are left of it."},
    "x-ratelimit-reset-requests": {"schema": {"type": "string", "format": "date-time"}, "description": "Its end."},
}
_RESPONSE: Json = {
    "description": "The model's answer; server-sent events when stream is true.",
    "headers": {
        "x-request-id": {"schema": {"type": "string"}},
        **_RATE_HEADERS,
        "x-image-tokens": {"schema": {"type": "string"}, "description": "Tokens of each image."},
    },
    "content": {
        "application/json": {"schema": {"type": "object"}},
        "text/event-stream": {"schema": {"type": "string"}},
    },
}


class GatewayApp(FastAPI):
    """An application whose schema tells every family's endpoints, whichever of them it serves itself.

    On Lambda each family is an application of its own, behind one address.
    """

    def openapi(self) -> dict[str, object]:
        """Return the schema, made at the first call."""
        if self.openapi_schema is None:
            from obscura.api.routers import health, load_families

            families = load_families()
            everything = FastAPI(title=self.title, version=self.version)
            for family in (health, *families):
                everything.include_router(family.router)
            schema = get_openapi(title=self.title, version=self.version, routes=everything.routes)
            for path, operations in schema["paths"].items():
                if path != health.PATH:
                    _add_security_and_errors(
                        operations, _WITH_CREDENTIALS if path.startswith(_FILE_PATHS) else _ANY_CREDENTIALS
                    )
            for family in families:
                schema["paths"] |= family.openapi
            schema["components"] = {
                "schemas": {"Error": OPENAI_ERROR, "AnthropicError": ANTHROPIC_ERROR},
                "securitySchemes": _SECURITY,
            }
            self.openapi_schema = schema
        return self.openapi_schema


def _add_security_and_errors(operations: dict[str, dict[str, Any]], security: list[Json]) -> None:
    """Say of what FastAPI routes who may ask and how it is refused: with our errors, never with FastAPI's own 422."""
    for told in operations.values():
        told["responses"] = {"200": told["responses"]["200"]} | _error_responses("Error")
        told["security"] = security


def _error_responses(shape: str) -> Json:
    """Describe the answers to whoever is refused, in the shape of this name."""
    error = {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{shape}"}}}}
    return {
        "4XX": {"description": "Something about the request.", **error},
        "5XX": {"description": "Something about Obscura, moderation or the upstream.", **error},
    }


def operation(summary: str, body: Json, error: str = "Error") -> Json:
    """Describe one POST that answers with JSON or with server-sent events; ``error`` names the shape of its errors."""
    return {
        "post": {
            "summary": summary,
            "security": _ANY_CREDENTIALS,
            "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
            "responses": _error_responses(error) | {"200": _RESPONSE},
        }
    }


_FACTS: dict[str, object] = {
    "type": {"type": "string"},
    "message": {"type": "string", "description": "What was wrong, the limit, and the way out."},
    "code": {"type": "string", "examples": ["unsafe_image_url"]},
    "category": {"type": "string", "description": "The moderation category, with moderation_blocked."},
}
_PATH = {"description": "The JSON path, such as messages[0].content[1]."}

OPENAI_ERROR: dict[str, object] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": _FACTS | {"param": {"type": ["string", "null"], **_PATH}},
        }
    },
}
ANTHROPIC_ERROR: dict[str, object] = {
    "type": "object",
    "required": ["type", "error", "request_id"],
    "properties": {
        "type": {"const": "error"},
        "error": {
            "type": "object",
            "required": ["type", "message", "code"],
            "properties": _FACTS | {"param": {"type": "string", **_PATH}},
        },
        "request_id": {"type": "string"},
    },
}
