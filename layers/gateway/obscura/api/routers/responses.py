"""Responses."""

from fastapi import APIRouter
from starlette.routing import Route

from obscura.api.dialect_endpoint import DialectEndpoint
from obscura.api.openapi import Json, operation
from obscura.dialects.responses.request import ResponsesDialect

PATHS = ("/v1/responses", "/responses")

_PART: Json = {
    "type": "object",
    "required": ["type"],
    "properties": {
        "type": {"type": "string", "examples": ["input_text", "input_image"]},
        "text": {"type": "string"},
        "image_url": {"type": "string", "description": "An https URL, or a data URL of base64."},
        "file_id": {"type": "string"},
        "detail": {"enum": ["low", "auto", "high"], "default": "auto", "description": "768, 1280 or 2048 px."},
    },
}
_PARTS: Json = {"type": "array", "maxItems": 16, "items": _PART}
_ITEM: Json = {
    "type": "object",
    "properties": {
        "type": {"type": "string", "examples": ["message", "function_call", "function_call_output"]},
        "role": {"enum": ["user", "assistant", "system", "developer"]},
        "content": {"anyOf": [{"type": "string"}, _PARTS]},
        "call_id": {"type": "string"},
        "name": {"type": "string"},
        "arguments": {"type": "string"},
        "output": {"anyOf": [{"type": "string"}, _PARTS]},
    },
}
_BODY: Json = {
    "type": "object",
    "description": "OpenAI's request. A field that the model's upstream cannot be given is a 400 that names it.",
    "required": ["model", "input"],
    "properties": {
        "model": {"type": "string"},
        "input": {"anyOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": _ITEM}]},
        "instructions": {"type": ["string", "null"]},
        "stream": {"type": ["boolean", "null"], "default": False},
    },
}

router = APIRouter()
router.routes += [Route(path, DialectEndpoint(ResponsesDialect()), methods=["POST"]) for path in PATHS]
openapi: Json = {path: operation("Create a model response, with images", _BODY) for path in PATHS}
