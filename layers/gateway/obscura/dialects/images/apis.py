"""The two endpoints as their callers and ``/openapi.json`` know them."""

from collections.abc import Callable
from typing import ClassVar

from obscura.dialects.base import CREDENTIAL_HEADERS, ContentLimits, JsonSchema
from obscura.dialects.errors import OpenAIErrorFormat
from obscura.dialects.images.request import (
    FORMATS,
    MAX_GENERATED,
    MAX_IMAGES,
    NAME,
    ImagesRequest,
    parse_edit,
    parse_generation,
)
from obscura.dialects.json.raw import RawJson

_URL: JsonSchema = {"type": "string", "description": "An https URL, or a data URL of base64."}
_FILE_ID: JsonSchema = {"type": "string", "description": "The id of a stored file."}
_REFERENCE: JsonSchema = {
    "type": "object",
    "properties": {"image_url": _URL, "file_id": _FILE_ID},
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
}
_FILE: JsonSchema = {"type": "string", "format": "binary"}
_COMMON: JsonSchema = {
    "model": {"type": "string", "minLength": 1},
    "prompt": {"type": "string", "minLength": 1},
    "n": {"type": "integer", "minimum": 1, "maximum": MAX_GENERATED, "default": 1},
    "response_format": {"enum": ["url", "b64_json"], "description": "The url is a data URL."},
    "output_format": {"enum": list(FORMATS)},
}
_OTHER_FIELDS = "OpenAI's request; fields that are not named here go to the upstream if they hold no media."


class GenerationsApi(OpenAIErrorFormat):
    """``POST /v1/images/generations``."""

    name = NAME
    paths = ("/v1/images/generations", "/images/generations")
    credential_headers = CREDENTIAL_HEADERS
    summary = "Create images, with reference images"
    request_schema: ClassVar[JsonSchema] = {
        "type": "object",
        "description": _OTHER_FIELDS,
        "required": ["model", "prompt"],
        "properties": {
            **_COMMON,
            "image_url": _URL,
            "image_urls": {"type": "array", "maxItems": MAX_IMAGES, "items": _URL},
            "file_id": _FILE_ID,
            "file_ids": {"type": "array", "maxItems": MAX_IMAGES, "items": _FILE_ID},
        },
    }
    response_type = None
    takes_forms = False
    parse: Callable[[RawJson, ContentLimits], ImagesRequest] = staticmethod(parse_generation)


class EditsApi(OpenAIErrorFormat):
    """``POST /v1/images/edits``, as JSON or as a form with files."""

    name = NAME
    paths = ("/v1/images/edits", "/images/edits")
    credential_headers = CREDENTIAL_HEADERS
    summary = "Edit images, as JSON or as a form with the files image, image[] and mask"
    request_schema: ClassVar[JsonSchema] = {
        "type": "object",
        "description": _OTHER_FIELDS,
        "required": ["model", "prompt", "images"],
        "properties": {
            **_COMMON,
            "images": {"type": "array", "minItems": 1, "maxItems": MAX_IMAGES, "items": _REFERENCE},
            "mask": _REFERENCE,
        },
    }
    form_schema: ClassVar[JsonSchema] = {
        "type": "object",
        "required": ["model", "prompt"],
        "properties": {**_COMMON, "image": _FILE, "image[]": {"type": "array", "items": _FILE}, "mask": _FILE},
    }
    response_type = None
    takes_forms = True
    parse: Callable[[RawJson, ContentLimits], ImagesRequest] = staticmethod(parse_edit)
