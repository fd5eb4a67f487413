"""Images as they travel in a request: data URLs, there and back."""

import base64
import io

from PIL import Image


def data_url(image: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{base64.b64encode(image).decode()}"


def image_in(url: str | bytes) -> bytes:
    text = url.decode() if isinstance(url, bytes) else url
    return base64.b64decode(text.partition(";base64,")[2], validate=True)


def a_data_url(width: int, height: int) -> str:
    """A plain grey PNG of this size."""
    written = io.BytesIO()
    Image.new("RGB", (width, height), "grey").save(written, "PNG")
    return data_url(written.getvalue())
