"""Pictures as they travel in a request: data URLs, there and back."""

import base64


def data_url(picture: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{base64.b64encode(picture).decode()}"


def picture_in(url: str | bytes) -> bytes:
    text = url.decode() if isinstance(url, bytes) else url
    return base64.b64decode(text.partition(";base64,")[2], validate=True)
