"""The demo model: it measures images (format, size, colours, brightness, sharpness) and needs no network."""

import asyncio
import colorsys
import io
import json
import math
import secrets
import time
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

import pybase64
from PIL import Image, ImageFilter, ImageStat

from obscura.dialects.base import UpstreamBody
from obscura.upstreams.base import ModelListing, UpstreamResponse, UpstreamStream
from obscura.upstreams.demo_request import read_demo_request

SMALL_SIDE_PX = 128
PIECE_CHARS = 64 * 1024
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
        """The tokens of a model with patches of 28 px, at least four for each image."""
        across, down = self.width_px / PATCH_PX, self.height_px / PATCH_PX
        whole = max(1, round(across)) * max(1, round(down))
        if whole >= MIN_PATCHES:
            return whole
        grown = math.sqrt(MIN_PATCHES / (across * down))
        return math.ceil(across * grown) * math.ceil(down * grown)

    def sentence(self) -> str:
        """Describe the image in one noun phrase."""
        shape = "square" if self.width_px == self.height_px else "upright"
        shape = "landscape" if self.width_px > self.height_px else shape
        light = "dark" if self.brightness < 0.3 else "bright" if self.brightness > 0.7 else "evenly lit"
        article = "an" if shape == "upright" else "a"
        edge = "soft" if self.sharpness < 0.02 else "crisp" if self.sharpness > 0.08 else "fairly sharp"
        return (
            f"{article} {shape} {self.format} of {self.width_px} x {self.height_px} pixels, {light} "
            f"(brightness {self.brightness:.0%}) and {edge} (sharpness {self.sharpness:.0%}), "
            f"mostly {' and '.join(self.colours)}"
        )


def measure(data: bytes) -> ImageStats:
    """Measure an image; raises OSError if it cannot be decoded."""
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
    completion_id: str
    created_at: int
    stop: tuple[str, ...] = ()


class DemoModel:
    """Responds to chat completions, whole and streamed, without a network."""

    async def models(self) -> Sequence[ModelListing]:
        """Return its one name; requests for any other get the same responses."""
        return [ModelListing(MODEL, owned_by="obscura")]

    def token_limit_field(self, model: str) -> None:
        """Nothing is to be found out: it has no such limit."""

    async def send(self, request: UpstreamBody) -> UpstreamResponse:
        """Measure the images of a chat completion and describe them, or draw an image; see ``Upstream``."""
        if request.dialect == "images":
            from obscura.upstreams.demo_images import draw

            return await asyncio.to_thread(draw, request)
        parsed = await asyncio.to_thread(_parse, request.body)
        content, met = _until_stop(await asyncio.to_thread(_describe, parsed), parsed.stop)
        if not request.streamed:
            return _completion(parsed, content, met)
        events = _stream(parsed, content, met)
        return UpstreamStream(events, events.aclose)


def _parse(body: bytes) -> _DemoRequest:
    request = read_demo_request(body)
    images = [measure(pybase64.b64decode(url.partition(",")[2])) for url in request.image_urls]
    completion_id = f"chatcmpl-demo-{secrets.token_hex(12)}"
    return _DemoRequest(
        request.model, request.question, images, request.wants_usage, completion_id, int(time.time()), request.stop
    )


def _describe(parsed: _DemoRequest) -> str:
    sentences = ["I am Obscura's demo model: I measure images and understand nothing."]
    for number, image in enumerate(parsed.images, start=1):
        sentences.append(f"Image {number} is {image.sentence()}.")
    if not parsed.images:
        sentences.append("You sent no image; send one and I will describe what I can measure.")
    if parsed.question:
        words = count_words(parsed.question)
        sentences.append(f"Your question had {words} {'word' if words == 1 else 'words'}.")
    return " ".join(sentences)


def _until_stop(content: str, stop: Sequence[str]) -> tuple[str, str | None]:
    """Return what stands before the first stop sequence, and that sequence; all of it and None without one."""
    found = [(content.index(sequence), sequence) for sequence in stop if sequence in content]
    if not found:
        return content, None
    end, met = min(found)
    return content[:end], met


def _ending(met: str | None) -> dict[str, object]:
    """Return why the answer ends; the stop sequence that was met as vLLM names it."""
    return {"finish_reason": "stop", **({} if met is None else {"stop_reason": met})}


def count_words(text: str) -> int:
    """Return the number of words of a text, in pieces: ``split`` of 3.5 MB keeps the interpreter's lock for 56 ms."""
    words, in_word = 0, False
    for start in range(0, len(text), PIECE_CHARS):
        piece = text[start : start + PIECE_CHARS]
        words += len(piece.split()) - (in_word and not piece[0].isspace())
        in_word = not piece[-1].isspace()
    return words


def _usage(parsed: _DemoRequest, content: str) -> dict[str, int]:
    prompt = len(parsed.question) // CHARACTERS_PER_TOKEN + 1 + sum(image.tokens for image in parsed.images)
    completion = len(content) // CHARACTERS_PER_TOKEN + 1
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _envelope(parsed: _DemoRequest, kind: str, choice: dict[str, object]) -> dict[str, object]:
    return {
        "id": parsed.completion_id,
        "object": kind,
        "created": parsed.created_at,
        "model": parsed.model,
        "choices": [{"index": 0, **choice}],
    }


def _completion(parsed: _DemoRequest, content: str, met: str | None) -> bytes:
    message: dict[str, object] = {"role": "assistant", "content": content, "refusal": None}
    completion = _envelope(parsed, "chat.completion", {"message": message, "logprobs": None, **_ending(met)})
    return json.dumps(completion | {"usage": _usage(parsed, content)}).encode()


async def _stream(parsed: _DemoRequest, content: str, met: str | None) -> AsyncGenerator[bytes]:
    yield _event(parsed, {"role": "assistant", "content": ""})
    for word in content.split(" "):
        yield _event(parsed, {"content": f"{word} "})
        await asyncio.sleep(0)
    yield _event(parsed, {}, _ending(met))
    if parsed.wants_usage:
        last = _envelope(parsed, "chat.completion.chunk", {}) | {"choices": [], "usage": _usage(parsed, content)}
        yield _data(last)
    yield b"data: [DONE]\n\n"


def _event(parsed: _DemoRequest, delta: dict[str, str], ending: dict[str, object] | None = None) -> bytes:
    return _data(_envelope(parsed, "chat.completion.chunk", {"delta": delta, **(ending or {"finish_reason": None})}))


def _data(chunk: dict[str, object]) -> bytes:
    return b"data: %b\n\n" % json.dumps(chunk).encode()
