"""The demo model's images: a small drawn landscape, the same for the same prompt, with what was sent in it."""

import hashlib
import io
import json
import random
import time
from dataclasses import dataclass, field

import pybase64
from PIL import Image, ImageDraw, ImageFont

from obscura.dialects.base import UpstreamBody
from obscura.dialects.images.form import read_image_form

DEFAULT_SIDE_PX, MIN_SIDE_PX, MAX_SIDE_PX = 384, 64, 1024
TOKENS_PER_IMAGE = 272
"""Of an answer (OpenAI's guide "Image generation": 272 for a small square in low quality)."""
CHARACTERS_PER_TOKEN = 4
MAX_CAPTION_CHARS = 48
_FORMATS = {"png": "PNG", "jpeg": "JPEG", "webp": "WEBP"}
_SKIES = (
    ((255, 214, 150), (248, 128, 108)),
    ((176, 214, 244), (240, 244, 236)),
    ((58, 62, 118), (232, 146, 150)),
    ((150, 206, 214), (252, 240, 206)),
)
_HILLS = (
    ((146, 168, 140), (98, 132, 104), (56, 92, 76)),
    ((178, 154, 170), (128, 108, 142), (78, 70, 108)),
    ((206, 172, 132), (168, 128, 92), (112, 84, 68)),
)


@dataclass(slots=True)
class _Wanted:
    """A request as the demo reads it: the images are open, in RGB or RGBA."""

    prompt: str
    size: tuple[int, int] | None
    count: int
    key: str
    kind: str
    images: list[Image.Image] = field(default_factory=list)
    mask: Image.Image | None = None


def draw(request: UpstreamBody) -> bytes:
    """Answer a request of OpenAI's images API with drawn images."""
    wanted = _read(request)
    files = [_file(_image(wanted, number), wanted.kind) for number in range(wanted.count)]
    data = [{wanted.key: _written(file, wanted)} for file in files]
    text = len(wanted.prompt) // CHARACTERS_PER_TOKEN + 1
    images = TOKENS_PER_IMAGE * len(wanted.images)
    output = TOKENS_PER_IMAGE * wanted.count
    usage = {
        "input_tokens": text + images,
        "input_tokens_details": {"text_tokens": text, "image_tokens": images},
        "output_tokens": output,
        "total_tokens": text + images + output,
    }
    return json.dumps(
        {"created": int(time.time()), "output_format": wanted.kind, "data": data, "usage": usage}
    ).encode()


def _read(request: UpstreamBody) -> _Wanted:
    if request.content_type.startswith("multipart/"):
        form = read_image_form(request.content_type, request.body)
        fields, files = json.loads(form.to_json()), [(file.name, file.data) for file in form.files]
    else:
        fields = json.loads(request.body)
        named = [fields["image_url"]] if "image_url" in fields else fields.get("image_urls") or []
        named += [reference["image_url"] for reference in fields.get("images") or []]
        files = [("image", _decoded(url)) for url in named]
        files += [("mask", _decoded(fields["mask"]["image_url"]))] if fields.get("mask") else []
    kind = fields.get("output_format")
    wanted = _Wanted(
        fields["prompt"],
        _size(fields.get("size")),
        fields.get("n") or 1,
        fields.get("response_format") or "b64_json",
        kind if kind in _FORMATS else "png",
    )
    for name, data in files:
        opened = Image.open(io.BytesIO(data)).convert("RGBA")
        if name == "mask":
            wanted.mask = opened
        else:
            wanted.images.append(opened)
    if request.path == "/images/edits" and wanted.size is None:
        wanted.size = wanted.images[0].size
    return wanted


def _decoded(data_url: str) -> bytes:
    return pybase64.b64decode(data_url.partition(",")[2])


def _size(written: object) -> tuple[int, int] | None:
    """Return a size such as ``512x256``, within the demo's limits; None for any other."""
    sides = str(written).split("x")
    if len(sides) != 2 or not all(side.isdecimal() and len(side) < 6 for side in sides):
        return None
    width, height = (min(MAX_SIDE_PX, max(MIN_SIDE_PX, int(side))) for side in sides)
    return width, height


def _image(wanted: _Wanted, number: int) -> Image.Image:
    seed = hashlib.sha256(f"{number}:{wanted.prompt}".encode()).digest()
    size = wanted.size or (DEFAULT_SIDE_PX, DEFAULT_SIDE_PX)
    drawn = _landscape(size, random.Random(seed))  # noqa: S311 - a drawing, no secret
    painted_over = wanted.mask or next(filter(_is_transparent, wanted.images[:1]), None)
    if painted_over is not None:
        drawn = _painted(wanted.images[0].resize(size), painted_over.resize(size), drawn)
    else:
        _hang(drawn, wanted.images)
    _caption(drawn, wanted.prompt)
    return drawn


def _is_transparent(image: Image.Image) -> bool:
    return image.getchannel("A").getextrema()[0] == 0


def _landscape(size: tuple[int, int], chance: random.Random) -> Image.Image:
    """Draw a sky, a sun and three rows of hills, at twice the size, so that the edges are smooth."""
    width, height = 2 * size[0], 2 * size[1]
    top, bottom = chance.choice(_SKIES)
    sky = Image.linear_gradient("L").resize((width, height))
    image = Image.composite(Image.new("RGB", (width, height), bottom), Image.new("RGB", (width, height), top), sky)
    canvas = ImageDraw.Draw(image)
    radius = min(width, height) // 11
    x, y = round(width * chance.uniform(0.2, 0.8)), round(height * chance.uniform(0.2, 0.42))
    canvas.ellipse((x - radius, y - radius, x + radius, y + radius), (255, 246, 214))
    for row, colour in enumerate(chance.choice(_HILLS)):
        base = height * (0.52 + 0.15 * row)
        steps = 8
        heights = [base + chance.uniform(-0.09, 0.09) * height for _ in range(steps + 1)]
        ridge = [(width * part / 64, _smooth(heights, part / 64)) for part in range(65)]
        canvas.polygon([(0, height), *ridge, (width, height)], colour)
    return image.resize(size, Image.Resampling.LANCZOS)


def _smooth(heights: list[float], at: float) -> float:
    """Return a ridge's height between two of its points, by the smoothstep 3t² - 2t³."""
    position = at * (len(heights) - 1)
    left = min(int(position), len(heights) - 2)
    part = position - left
    return heights[left] + (heights[left + 1] - heights[left]) * part * part * (3 - 2 * part)


def _painted(edited: Image.Image, mask: Image.Image, drawn: Image.Image) -> Image.Image:
    """Return the edited image with the drawing where the mask is transparent."""
    kept = mask.getchannel("A")
    return Image.composite(edited.convert("RGB"), drawn, kept)


def _hang(drawn: Image.Image, images: list[Image.Image]) -> None:
    """Hang what was sent into the landscape, in white frames."""
    side = drawn.width // max(3, len(images) + 1)
    for number, image in enumerate(images):
        small = image.convert("RGB")
        small.thumbnail((side, side))
        framed = Image.new("RGB", (small.width + 8, small.height + 8), "white")
        framed.paste(small, (4, 4))
        gap = (drawn.width - len(images) * side) // (len(images) + 1)
        drawn.paste(framed, (gap + number * (side + gap) + (side - framed.width) // 2, drawn.height // 8))


def _caption(drawn: Image.Image, prompt: str) -> None:
    words = " ".join(prompt.split())
    line = words if len(words) <= MAX_CAPTION_CHARS else f"{words[: MAX_CAPTION_CHARS - 1]}…"
    points = max(9, drawn.width // 26)
    canvas = ImageDraw.Draw(drawn, "RGBA")
    canvas.rectangle((0, drawn.height - 2 * points, drawn.width, drawn.height), (20, 22, 34, 170))
    line = line.encode("latin-1", "replace").decode("latin-1")  # the font has no other letters
    # Pillow's bitmap font: FreeType is not in the layers.
    font = ImageFont.load_default_imagefont()
    *_, width, height = font.getbbox(f"Demo: {line}")
    written = Image.new("L", (int(width), int(height)))
    ImageDraw.Draw(written).text((0, 0), f"Demo: {line}", 255, font)
    written = written.resize((max(1, round(width * points / height)), points), Image.Resampling.BILINEAR)
    drawn.paste("white", (points // 2, drawn.height - round(1.5 * points)), written)


def _file(image: Image.Image, kind: str) -> bytes:
    file = io.BytesIO()
    image.convert("RGB").save(file, _FORMATS[kind])
    return file.getvalue()


def _written(file: bytes, wanted: _Wanted) -> str:
    encoded = pybase64.b64encode(file).decode()
    return encoded if wanted.key == "b64_json" else f"data:image/{wanted.kind};base64,{encoded}"
