"""Requests that people send every day: none of them may be refused."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.security.shapes.plants import data_url, encoded, image, pdf, wave

PNG_URL = data_url(image("PNG"), "image/png")
JPEG_URL = data_url(image("JPEG"), "image/jpeg")
PNG, JPEG, PDF, WAVE = encoded(image("PNG")), encoded(image("JPEG")), encoded(pdf()), encoded(wave())
PDF_URL = data_url(pdf(), "application/pdf")
SIGNATURE = encoded(bytes(range(7, 250)) * 3)
"""Opaque bytes, as providers sign and encrypt them."""
LOG_IN_BASE64 = encoded(b"2026-11-02 12:00:01 INFO started\n" * 150)
USER_HASH = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"


@dataclass(frozen=True, slots=True)
class Ordinary:
    """One request. ``native_only``: it has fields that docs/fields-*.md refuse over chat.

    ``images`` is the least number of images that the upstream must get, so that none is lost on the way.
    """

    name: str
    dialect: str
    body: dict[str, Any]
    native_only: bool = False
    images: int = 0


def schema_of(properties: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Return a JSON schema of an object."""
    return {"type": "object", "properties": dict(properties), "required": list(properties)[:1]} | more


SCHEMAS: dict[str, dict[str, Any]] = {
    "plain": schema_of({"city": {"type": "string", "description": "The city, e.g. Paris"}}),
    "zod": schema_of(
        {"url": {"type": "string", "format": "uri"}, "count": {"type": "integer", "exclusiveMinimum": 0}},
        **{"$schema": "http://json-schema.org/draft-07/schema#", "additionalProperties": False},
    ),
    "2020-12": schema_of(
        {"url": {"$ref": "#/$defs/Link"}},
        **{
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": "https://example.com/schemas/fetch.json",
            "$defs": {"Link": {"type": "string", "format": "uri", "pattern": "^https?://[^\\s]+$"}},
        },
    ),
    "default URL": schema_of({"endpoint": {"type": "string", "default": "https://api.example.com/v1/search"}}),
    "example images": schema_of(
        {"image_url": {"type": "string", "format": "uri", "examples": ["https://example.com/cat.png"]}}
    ),
    "remote ref": schema_of({"event": {"$ref": "https://example.com/schemas/event.json#/definitions/event"}}),
    "pydantic": {
        "title": "Order",
        "type": "object",
        "$defs": {"Item": schema_of({"sku": {"type": "string", "title": "Sku", "pattern": "^[A-Z]{3}-\\d+$"}})},
        "properties": {"items": {"type": "array", "items": {"$ref": "#/$defs/Item"}, "title": "Items"}},
    },
    "enums": schema_of({"unit": {"enum": ["celsius", "fahrenheit", None]}, "mode": {"const": "fast"}}),
    "unions": schema_of({"value": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}}),
    "file contents": schema_of(
        {"data": {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"}}
    ),
    "named like media": schema_of(
        {
            "image": {"type": "string", "description": "Path of the image."},
            "image_url": {"type": "string"},
            "video": {"type": "boolean"},
            "file": {"type": "object", "properties": {"file_id": {"type": "string"}}},
            "content": {"type": "array", "items": {"type": "object", "properties": {"type": {"const": "image"}}}},
        }
    ),
    "MCP filesystem": schema_of(
        {"path": {"type": "string"}, "edits": {"type": "array", "items": schema_of({"oldText": {"type": "string"}})}},
        **{"$schema": "http://json-schema.org/draft-07/schema#", "additionalProperties": False},
    ),
    "capital keys": schema_of({"userId": {"type": "string"}, "URL": {"type": "string"}, "Content": {"type": "string"}}),
    "other languages": schema_of({"größe": {"type": "string"}, "尺寸": {"type": "integer"}}),
    "long enum": schema_of({"zone": {"enum": [f"Area/City_{index}" for index in range(300)]}}),
    "empty": {"type": "object", "properties": {}},
}

AGENT_TEXTS: dict[str, str] = {
    "base64 of a log": LOG_IN_BASE64,
    "base64 of an image": PNG,
    "a data URL": PNG_URL,
    "a URL": "https://example.com/screenshots/1.png",
    "HTML": '<html><body><img src="https://example.com/cat.png"><a href="//cdn.example.com/x.js">x</a></body></html>',
    "JSON": '{"image": {"url": "https://example.com/cat.png", "width": 640}, "ok": true}',
    "escaped JSON": '{"note": "\\u00fcber", "image_url": "https:\\/\\/example.com\\/cat.png"}',
    "a diff": "--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-print('a')\n+print('b')\n",
    "a hex dump": "\n".join(f"{offset:08x}  89 50 4e 47 0d 0a 1a 0a 00 00 00 0d" for offset in range(0, 4096, 16)),
    "minified code": "function a(b){return b.c+" + "d(e,f)+" * 900 + "0}",
    "a long text": "The quick brown fox jumps over the lazy dog. " * 400,
    "an empty text": "",
    "other scripts": "日本語のテキスト، نص عربي، हिन्दी 🦓👩‍👩‍👧‍👦",
    "control characters": "\x1b[31mFAILED\x1b[0m tests/test_a.py\r\n\tassert 1 == 2",
    "a certificate": "-----BEGIN CERTIFICATE-----\n" + "\n".join([SIGNATURE[:64]] * 30) + "\n-----END CERTIFICATE-----",
}
"""What tools return and are called with."""


def each(
    dialect: str, name: str, values: Mapping[str, Any], make: Callable[[Any], dict[str, Any]], **more: Any
) -> list[Ordinary]:
    """Return a request for each value."""
    return [Ordinary(f"{name}: {key}", dialect, make(value), **more) for key, value in values.items()]


def named(dialect: str, bodies: Mapping[str, dict[str, Any]], **more: Any) -> list[Ordinary]:
    """Return a request for each body."""
    return [Ordinary(name, dialect, body, **more) for name, body in bodies.items()]
