"""Messages, and the count of their tokens."""

from fastapi import APIRouter
from starlette.routing import Route

from obscura.api.dialect_endpoint import DialectEndpoint
from obscura.api.openapi import Json, operation
from obscura.dialects.messages.request import CountTokensDialect, MessagesDialect
from obscura.pipeline.handle import handle_count_tokens

PATH = "/v1/messages"
COUNT_PATH = "/v1/messages/count_tokens"

_SOURCE: Json = {
    "type": "object",
    "required": ["type"],
    "properties": {
        "type": {"enum": ["base64", "url", "file"]},
        "media_type": {"type": "string", "description": "Not believed: the bytes decide."},
        "data": {"type": "string"},
        "url": {"type": "string", "description": "An https URL."},
        "file_id": {"type": "string"},
    },
}
_BLOCK: Json = {
    "type": "object",
    "required": ["type"],
    "properties": {
        "type": {"type": "string", "examples": ["text", "image", "tool_use", "tool_result"]},
        "text": {"type": "string"},
        "source": _SOURCE,
    },
}
_CONTENT: Json = {"anyOf": [{"type": "string"}, {"type": "array", "maxItems": 16, "items": _BLOCK}]}
_MESSAGE: Json = {
    "type": "object",
    "required": ["role", "content"],
    "properties": {"role": {"enum": ["user", "assistant", "system"]}, "content": _CONTENT},
}
_COUNTED: Json = {
    "type": "object",
    "description": "Anthropic's request. A field that the model's upstream cannot be given is a 400 that names it.",
    "required": ["model", "messages"],
    "properties": {
        "model": {"type": "string"},
        "messages": {"type": "array", "minItems": 1, "items": _MESSAGE},
        "system": _CONTENT,
    },
}
_BODY: Json = _COUNTED | {
    "required": ["model", "messages", "max_tokens"],
    "properties": {
        "model": {"type": "string"},
        "messages": {"type": "array", "minItems": 1, "items": _MESSAGE},
        "system": _CONTENT,
        "max_tokens": {"type": "integer", "minimum": 1},
        "stream": {"type": "boolean", "default": False},
    },
}

router = APIRouter()
router.routes += [
    Route(PATH, DialectEndpoint(MessagesDialect()), methods=["POST"]),
    Route(COUNT_PATH, DialectEndpoint(CountTokensDialect(), handle_count_tokens), methods=["POST"]),
]
openapi: Json = {
    PATH: operation("Create a message, with images", _BODY, "AnthropicError"),
    COUNT_PATH: operation("Count the tokens of a message", _COUNTED, "AnthropicError"),
}
