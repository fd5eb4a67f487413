"""What ``/openapi.json`` says of errors: the two shapes that ``obscura.wire.error_shapes`` writes."""

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
