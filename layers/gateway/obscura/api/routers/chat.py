"""Chat completions, with and without ``/v1``."""

from fastapi import APIRouter
from starlette.routing import Route

from obscura.api.dialect_endpoint import DialectEndpoint
from obscura.api.openapi import Json, operation
from obscura.dialects.chat.request import ChatDialect

PATHS = ("/v1/chat/completions", "/chat/completions")

_IMAGE: Json = {
    "type": "object",
    "required": ["url"],
    "properties": {
        "url": {"type": "string", "description": "An https URL, or a data URL of base64."},
        "detail": {"enum": ["low", "auto", "high"], "default": "auto", "description": "768, 1280 or 2048 px."},
    },
}
_PART: Json = {
    "type": "object",
    "properties": {
        "type": {"type": "string", "examples": ["text", "image_url"]},
        "text": {"type": "string"},
        "image_url": {"anyOf": [_IMAGE, {"type": "string"}]},
    },
}
_MESSAGE: Json = {
    "type": "object",
    "required": ["role"],
    "properties": {
        "role": {"type": "string", "examples": ["user"]},
        "content": {"anyOf": [{"type": "string"}, {"type": "array", "maxItems": 16, "items": _PART}]},
    },
}
_BODY: Json = {
    "type": "object",
    "description": "OpenAI's request; every field that is not named here goes to the upstream untouched.",
    "required": ["model", "messages"],
    "properties": {
        "model": {"type": "string"},
        "messages": {"type": "array", "minItems": 1, "items": _MESSAGE},
        "stream": {"type": "boolean", "default": False},
    },
}

router = APIRouter()
router.routes += [Route(path, DialectEndpoint(ChatDialect()), methods=["POST"]) for path in PATHS]
openapi: Json = {path: operation("Create a chat completion, with images", _BODY) for path in PATHS}
