"""``/openapi.json``: what the raw endpoints take and give, described by hand, since no framework reads their bodies."""

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

type Json = dict[str, object]

_ERROR: Json = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string", "description": "What was wrong, the limit, and the way out."},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"], "description": "The JSON path, such as messages[0].content[1]."},
                "code": {"type": "string", "examples": ["unsafe_image_url"]},
                "category": {"type": "string", "description": "The moderation category, with moderation_blocked."},
            },
        }
    },
}
_SECURITY: Json = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "Authorization: Bearer, with a key (obs_…) or a JWT"},
    "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    "free-tier": {"type": "apiKey", "in": "header", "name": "X-Free-Tier", "description": "'true', and no credential"},
}


_RATE_HEADERS: Json = {
    "x-ratelimit-limit-requests": {"schema": {"type": "integer"}, "description": "Requests in the window."},
    "x-ratelimit-remaining-requests": {"schema": {"type": "integer"}, "description": "Those that are left of it."},
    "x-ratelimit-reset-requests": {"schema": {"type": "string", "format": "date-time"}, "description": "Its end."},
}


class DescribedApp(FastAPI):
    """An application whose schema tells every family's endpoints, whichever of them it serves itself.

    On Lambda each family is an application of its own, behind one address.
    """

    def openapi(self) -> dict[str, object]:
        """Give the schema, made at the first call."""
        if self.openapi_schema is None:
            from obscura.web.app import FAMILIES
            from obscura.web.families import health

            everything = FastAPI(title=self.title, version=self.version)
            for family in (health, *FAMILIES):
                everything.include_router(family.router)
            schema = get_openapi(title=self.title, version=self.version, routes=everything.routes)
            for family in FAMILIES:
                schema["paths"] |= family.openapi
            schema["components"] = {"schemas": {"Error": _ERROR}, "securitySchemes": _SECURITY}
            self.openapi_schema = schema
        return self.openapi_schema


def operation(summary: str, body: Json) -> Json:
    """Describe one POST that answers with JSON or with server-sent events, and with errors of one shape."""
    error = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
    return {
        "post": {
            "summary": summary,
            "security": [{"bearer": []}, {"x-api-key": []}, {"free-tier": []}],
            "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
            "responses": {
                "200": {
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
                },
                "4XX": {"description": "Something about the request.", **error},
                "5XX": {"description": "Something about Obscura, moderation or the upstream.", **error},
            },
        }
    }
