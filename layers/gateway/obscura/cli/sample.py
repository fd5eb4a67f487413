"""A request to try: a model that would answer it, and a curl line with a small picture, made here."""

import io
import json

from PIL import Image

from obscura.adapters.catalogue_file import read_catalogue_file
from obscura.adapters.demo.model import MODEL
from obscura.config import Settings
from obscura.wire.data_url import encode_data_url


def sample_model(settings: Settings) -> str | None:
    """Name the demo's model, or the catalogue's first that sees; None where only the upstream knows its models."""
    if settings.models is not None:
        models = read_catalogue_file(settings.models).models
        return next((model.id for model in models if "image" in model.input), None)
    return None if settings.upstream_url else MODEL


def sample_curl(base_url: str, key: str, model: str) -> str:
    """Write a curl line that asks a model about a small picture."""
    content = [
        {"type": "text", "text": "What is in this picture?"},
        {"type": "image_url", "image_url": {"url": encode_data_url(_sample_picture(), "image/png").decode()}},
    ]
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": content}]})
    return (
        f"curl {base_url}/v1/chat/completions -H 'Authorization: Bearer {key}' "
        f"-H 'Content-Type: application/json' -d '{body}'"
    )


def _sample_picture() -> bytes:
    """Draw a sunset of 48 x 32 pixels, as PNG."""
    picture = Image.new("RGB", (48, 32), (255, 153, 51))
    picture.paste((26, 60, 120), (0, 20, 48, 32))
    picture.paste((255, 230, 120), (19, 10, 29, 20))
    written = io.BytesIO()
    picture.save(written, "PNG", optimize=True)
    return written.getvalue()
