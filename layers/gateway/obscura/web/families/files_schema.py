"""What ``/openapi.json`` says of files and uploads, whose bodies no framework reads."""

from obscura.web.openapi import Json
from obscura.wire.file_requests import LEAST_LIFETIME_S, MOST_LIFETIME_S, PURPOSES

_PURPOSE: Json = {"enum": list(PURPOSES), "default": PURPOSES[0]}
_SECONDS: Json = {"type": "integer", "minimum": LEAST_LIFETIME_S, "maximum": MOST_LIFETIME_S}
_ANCHOR: Json = {"enum": ["created_at"]}


def _body(media_type: str, required: list[str], **properties: Json) -> Json:
    schema = {"type": "object", "required": required, "properties": properties}
    return {"requestBody": {"required": True, "content": {media_type: {"schema": schema}}}}


def _query(name: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "required": False, "schema": schema}


FILE_FORM = _body(
    "multipart/form-data",
    ["file"],
    file={"type": "string", "format": "binary", "description": "PNG, JPEG, WEBP or GIF."},
    purpose=_PURPOSE,
    **{"expires_after[anchor]": _ANCHOR, "expires_after[seconds]": _SECONDS},
)
LISTING: Json = {
    "parameters": [
        _query("after", {"type": "string"}),
        _query("limit", {"type": "integer", "minimum": 1, "maximum": 10_000, "default": 10_000}),
        _query("order", {"enum": ["asc", "desc"], "default": "desc"}),
        _query("purpose", _PURPOSE),
    ]
}
UPLOAD = _body(
    "application/json",
    ["filename", "bytes", "mime_type"],
    filename={"type": "string"},
    bytes={"type": "integer", "minimum": 1},
    mime_type={"type": "string", "description": "Not believed: the bytes decide."},
    purpose=_PURPOSE,
    expires_after={"type": "object", "properties": {"anchor": _ANCHOR, "seconds": _SECONDS}},
)
PART_FORM = _body("multipart/form-data", ["data"], data={"type": "string", "format": "binary"})
COMPLETION = _body(
    "application/json",
    ["part_ids"],
    part_ids={"type": "array", "minItems": 1, "items": {"type": "string"}},
    md5={"type": "string", "description": "Of the whole file, in hexadecimal digits."},
)
