"""Requests for images and upstreams that answer with some."""

import base64
import io
import json
from typing import Any

from PIL import Image

from obscura.dialects.images.form import ImageForm, read_image_form
from tests.support.fake_upstream import answers
from tests.support.loopback_server import Received, Respond
from tests.unit.imaging.images import a_plain, saved

USAGE = {
    "input_tokens": 60,
    "input_tokens_details": {"text_tokens": 20, "image_tokens": 40},
    "output_tokens": 100,
    "total_tokens": 160,
}


def b64(image: bytes) -> str:
    return base64.b64encode(image).decode()


def answers_images(*images: bytes | str, usage: dict | None = USAGE, **fields: Any) -> Respond:
    """Answer with files as base64, and with strings as URLs."""
    data = [{"url": image} if isinstance(image, str) else {"b64_json": b64(image)} for image in images]
    answer = {"created": 1, "data": data} | fields | ({} if usage is None else {"usage": usage})
    return answers(answer)


def a_generation(**fields: Any) -> dict:
    return {"model": "m", "prompt": "A cat"} | fields


def an_edit(*urls: str, **fields: Any) -> dict:
    return a_generation(images=[{"image_url": url} for url in urls], **fields)


def form_of(received: Received) -> ImageForm:
    return read_image_form(received.headers["content-type"], received.body)


def file_of(form: ImageForm, name: str) -> bytes:
    [file] = [file for file in form.files if file.name == name]
    return file.data


def fields_of(form: ImageForm) -> dict:
    return json.loads(form.to_json())


def a_cutout(width: int, height: int, hole: tuple[int, int, int, int], under: tuple[int, ...] = (0, 0, 255)) -> bytes:
    """A red PNG with a hole, of which the alpha is 0 and the colour ``under``."""
    image = Image.new("RGBA", (width, height), (255, 0, 0, 255))
    image.paste((*under, 0), hole)
    return saved(image, "PNG")


def opened(file: bytes) -> Image.Image:
    return Image.open(io.BytesIO(file))


GREEN = a_plain(64, 64, "PNG", (0, 128, 0))
