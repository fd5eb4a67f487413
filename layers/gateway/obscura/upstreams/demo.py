"""What can be said of an image by measuring it: format, size, orientation, colours, brightness, sharpness."""

import asyncio
import colorsys
import io
import json
import math
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pybase64
from PIL import Image, ImageFilter, ImageStat

from obscura.upstreams.base import ModelListing, UpstreamRequest, UpstreamResponse

SMALL_SIDE_PX = 128
PATCH_PX, MIN_PATCHES = 28, 4
MAGENTA = (255, 0, 255)

_HUES = ((15, "red"), (45, "orange"), (70, "yellow"), (165, "green"), (200, "cyan"), (260, "blue"), (290, "violet"))


@dataclass(frozen=True, slots=True)
class ImageStats:
    """One image, measured; ``brightness`` and ``sharpness`` are shares of 255."""

    format: str
    width_px: int
    height_px: int
    colours: tuple[str, ...]
    brightness: float
    sharpness: float

    @property
    def tokens(self) -> int:
        """How many tokens a model with patches of 28 px, at least four of them, would make of it."""
        across, down = self.width_px / PATCH_PX, self.height_px / PATCH_PX
        whole = max(1, round(across)) * max(1, round(down))
        if whole >= MIN_PATCHES:
            return whole
        grown = math.sqrt(MIN_PATCHES / (across * down))
        return math.ceil(across * grown) * math.ceil(down * grown)

    def sentence(self) -> str:
        """Say it in one sentence."""
        shape = "square" if self.width_px == self.height_px else "upright"
        shape = "landscape" if self.width_px > self.height_px else shape
        light = "dark" if self.brightness < 0.3 else "bright" if self.brightness > 0.7 else "evenly lit"
        edge = "soft" if self.sharpness < 0.02 else "crisp" if self.sharpness > 0.08 else "fairly sharp"
        return (
            f"a {shape} {self.format} of {self.width_px} x {self.height_px} pixels, {light} "
            f"(brightness {self.brightness:.0%}) and {edge} (sharpness {self.sharpness:.0%}), "
            f"mostly {' and '.join(self.colours)}"
        )


def measure(data: bytes) -> ImageStats:
    """Measure an image; raises OSError when it is none."""
    with Image.open(io.BytesIO(data)) as image:
        kind, (width_px, height_px) = image.format or "image", image.size
        small = _on_white(image)
    grey = small.convert("L")
    edges = grey.filter(ImageFilter.FIND_EDGES)
    return ImageStats(
        format=kind,
        width_px=width_px,
        height_px=height_px,
        colours=_dominant(small),
        brightness=ImageStat.Stat(grey).mean[0] / 255,
        sharpness=ImageStat.Stat(edges).mean[0] / 255,
    )


def is_test_image(data: bytes) -> bool:
    """Whether an image is the moderation test image: one plain field of magenta, #FF00FF."""
    with Image.open(io.BytesIO(data)) as image:
        low_high = _on_white(image).getextrema()
    return all(
        abs(bound - wanted) <= 8
        for band, wanted in zip(low_high, MAGENTA, strict=True)
        for bound in (band if isinstance(band, tuple) else (band,))
    )


def _on_white(image: Image.Image) -> Image.Image:
    image.draft("RGB", (SMALL_SIDE_PX, SMALL_SIDE_PX))
    small = image.convert("RGBA")
    small.thumbnail((SMALL_SIDE_PX, SMALL_SIDE_PX))
    white = Image.new("RGBA", small.size, "white")
    white.alpha_composite(small)
    return white.convert("RGB")


def _dominant(small: Image.Image) -> tuple[str, ...]:
    counted: Counter[str] = Counter()
    for count, colour in small.getcolors(small.width * small.height) or []:
        if isinstance(colour, tuple):
            red, green, blue = colour[:3]
            counted[_name(red, green, blue)] += count
    return tuple(name for name, _ in counted.most_common(2))


def _name(red: int, green: int, blue: int) -> str:
    hue, lightness, saturation = colorsys.rgb_to_hls(red / 255, green / 255, blue / 255)
    if lightness < 0.12:
        return "black"
    if lightness > 0.92:
        return "white"
    if saturation < 0.15:
        return "grey"
    degrees = hue * 360
    return next((name for until, name in _HUES if degrees < until), "magenta" if degrees < 330 else "red")


MODEL = "obscura-demo"
CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class _DemoRequest:
    model: str
    question: str
    images: list[ImageStats]
    wants_usage: bool
    answer_id: str
    created_at: int


class DemoModel:
    """Answers chat completions, plain and streamed, without a network."""

    async def models(self) -> Sequence[ModelListing]:
        """Return the one model there is; any other name is answered just as well."""
        return [ModelListing(MODEL, owned_by="obscura")]

    @asynccontextmanager
    async def answer(self, request: UpstreamRequest) -> AsyncIterator[UpstreamResponse]:
        """Look at the images and tell what can be measured; see ``obscura.ports.Upstream``."""
        heard = await asyncio.to_thread(_parse, request.body)
        said = _describe(heard)
        if request.streamed:
            yield UpstreamResponse(200, "text/event-stream", _stream(heard, said))
        else:
            yield UpstreamResponse(200, "application/json", _whole(heard, said))


def _parse(body: bytes) -> _DemoRequest:
    request = json.loads(body)
    question, images = "", list[ImageStats]()
    for message in request["messages"]:
        content = message.get("content") or ""
        for part in [content] if isinstance(content, str) else content:
            fields = {"text": part} if isinstance(part, str) else part
            shown = fields.get("image_url")
            url = shown.get("url") if isinstance(shown, dict) else shown
            if url:
                images.append(measure(pybase64.b64decode(url.partition(",")[2])))
            elif message.get("role") == "user" and isinstance(fields.get("text"), str):
                question = fields["text"]
    options = request.get("stream_options")
    wants_usage = isinstance(options, dict) and options.get("include_usage") is True
    answer_id = f"chatcmpl-demo-{secrets.token_hex(12)}"
    return _DemoRequest(request["model"], question, images, wants_usage, answer_id, int(time.time()))


def _describe(heard: _DemoRequest) -> str:
    said = ["I am Obscura's demo model: I measure images and understand nothing."]
    for number, image in enumerate(heard.images, start=1):
        said.append(f"Image {number} is {image.sentence()}.")
    if not heard.images:
        said.append("You sent no image; send one and I will tell you what I can measure.")
    if heard.question:
        words = len(heard.question.split())
        said.append(f"Your question had {words} {'word' if words == 1 else 'words'}.")
    return " ".join(said)


def _usage(heard: _DemoRequest, said: str) -> dict[str, int]:
    prompt = len(heard.question) // CHARACTERS_PER_TOKEN + 1 + sum(image.tokens for image in heard.images)
    completion = len(said) // CHARACTERS_PER_TOKEN + 1
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _envelope(heard: _DemoRequest, kind: str, choice: dict[str, object]) -> dict[str, object]:
    return {
        "id": heard.answer_id,
        "object": kind,
        "created": heard.created_at,
        "model": heard.model,
        "choices": [{"index": 0, "logprobs": None, **choice}],
    }


async def _whole(heard: _DemoRequest, said: str) -> AsyncIterator[bytes]:
    message = {"role": "assistant", "content": said, "refusal": None}
    completion = _envelope(heard, "chat.completion", {"message": message, "finish_reason": "stop"})
    yield json.dumps(completion | {"usage": _usage(heard, said)}).encode()


async def _stream(heard: _DemoRequest, said: str) -> AsyncIterator[bytes]:
    yield _event(heard, {"role": "assistant", "content": ""}, None)
    for word in said.split(" "):
        yield _event(heard, {"content": f"{word} "}, None)
        await asyncio.sleep(0)
    yield _event(heard, {}, "stop")
    if heard.wants_usage:
        last = _envelope(heard, "chat.completion.chunk", {}) | {"choices": [], "usage": _usage(heard, said)}
        yield _data(last)
    yield b"data: [DONE]\n\n"


def _event(heard: _DemoRequest, delta: dict[str, str], finish_reason: str | None) -> bytes:
    return _data(_envelope(heard, "chat.completion.chunk", {"delta": delta, "finish_reason": finish_reason}))


def _data(chunk: dict[str, object]) -> bytes:
    return b"data: %b\n\n" % json.dumps(chunk).encode()
