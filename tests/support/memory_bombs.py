"""Small requests of as many pixels as are allowed, with which an audit ended functions of little memory."""

import base64
from functools import cache

from PIL import Image

from tests.support.gateway import chat_request, image_part
from tests.unit.imaging.images import saved

SIDE_PX = 8000
"""64 megapixels."""


@cache
def bombs() -> dict[str, dict]:
    """Requests by name: one PNG, four of them, and two progressive JPEGs in 4:4:4 in a body of 2 MB."""
    image = Image.new("RGB", (SIDE_PX, SIDE_PX), (9, 90, 200))
    png = _url("png", saved(image, "PNG", compress_level=1))
    jpeg = _url("jpeg", saved(image, "JPEG", progressive=True, subsampling=0))
    sent = {"one PNG": [png], "four PNG": [png] * 4, "two JPEG": [jpeg] * 2}
    return {name: chat_request(*map(image_part, urls)) for name, urls in sent.items()}


def _url(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
