"""A request to paste: a small picture, made here, in a curl line."""

import io
import json

from PIL import Image

from obscura.wire.data_url import encode_data_url

MODEL = "obscura-demo"


def sample_curl(base_url: str, key: str) -> str:
    """Write a curl line that asks about a small picture."""
    content = [
        {"type": "text", "text": "What is in this picture?"},
        {"type": "image_url", "image_url": {"url": encode_data_url(_sample_picture(), "image/png").decode()}},
    ]
    body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": content}]})
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
