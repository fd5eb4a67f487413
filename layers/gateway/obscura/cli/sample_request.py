"""The sample request that ``obscura serve`` prints: which model it names, and its curl line."""

import io
import json

from PIL import Image

from obscura.bootstrap_catalog import load_document
from obscura.dialects.data_url import encode_data_url
from obscura.settings import Settings
from obscura.upstreams.demo import MODEL


def sample_model(settings: Settings) -> str | None:
    """Return the demo's model or the catalog's first with image input; None if only the upstream knows its models."""
    if settings.models is not None:
        models = load_document(settings).models
        return next((model.id for model in models if "image" in model.input), None)
    return None if settings.upstream_url else MODEL


def sample_curl(base_url: str, key: str, model: str) -> str:
    """Return a curl line that asks a model about a small image."""
    content = [
        {"type": "text", "text": "What is in this image?"},
        {"type": "image_url", "image_url": {"url": encode_data_url(_sample_image(), "image/png").decode()}},
    ]
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": content}]})
    return (
        f"curl {base_url}/v1/chat/completions -H 'Authorization: Bearer {key}' "
        f"-H 'Content-Type: application/json' -d '{body}'"
    )


def _sample_image() -> bytes:
    """Draw a sunset of 48 x 32 pixels, as PNG."""
    image = Image.new("RGB", (48, 32), (255, 153, 51))
    image.paste((26, 60, 120), (0, 20, 48, 32))
    image.paste((255, 230, 120), (19, 10, 29, 20))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
