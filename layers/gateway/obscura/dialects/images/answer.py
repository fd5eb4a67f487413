"""Answers with images (OpenAI's API reference, "The image generation response"): read, and written again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Raw

from obscura.dialects.images.request import MAX_GENERATED
from obscura.dialects.json.raw import is_string
from obscura.errors import UpstreamError

_MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_PASSED = ("created", "background", "output_format", "quality", "size")


class _Item(msgspec.Struct):
    b64_json: Raw = Raw(b"null")
    url: str | None = None
    revised_prompt: str | None = None


class _Answer(msgspec.Struct):
    data: list[_Item]
    usage: dict[str, Any] | None = None
    created: Any = None
    background: Any = None
    output_format: Any = None
    quality: Any = None
    size: Any = None


_decoder = msgspec.json.Decoder(_Answer)


@dataclass(frozen=True, slots=True)
class AnsweredImage:
    """An image as the upstream returns it: the base64 as a JSON string's bytes without quotes, or a URL."""

    path: str
    base64: memoryview | None
    url: str | None
    revised_prompt: str | None


@dataclass(frozen=True, slots=True)
class ImagesAnswer:
    """An upstream's answer; ``fields`` are those beside its images and its usage that go on."""

    images: Sequence[AnsweredImage]
    usage: dict[str, Any] | None
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CheckedImage:
    """An image that may leave, as an ASCII data URL."""

    data_url: bytes
    revised_prompt: str | None
    was_url: bool


def read_images(body: bytes) -> ImagesAnswer:
    """Read an answer; raises UpstreamError if it is malformed, or has no image or too many."""
    try:
        answer = _decoder.decode(body)
    except _MALFORMED:
        raise UpstreamError("The upstream's answer with images cannot be read.") from None
    if not 1 <= len(answer.data) <= MAX_GENERATED:
        raise UpstreamError(f"The upstream answered with {len(answer.data)} images. Try again.")
    fields = {name: value for name in _PASSED if (value := getattr(answer, name)) is not None}
    return ImagesAnswer([_image(item, index) for index, item in enumerate(answer.data)], answer.usage, fields)


def _image(item: _Item, index: int) -> AnsweredImage:
    path = f"data[{index}]"
    if is_string(item.b64_json):
        return AnsweredImage(path, memoryview(item.b64_json)[1:-1], None, item.revised_prompt)
    if item.url:
        return AnsweredImage(path, None, item.url, item.revised_prompt)
    raise UpstreamError("The upstream's answer has an entry without an image.")


def write_images(
    answer: ImagesAnswer, images: Sequence[CheckedImage], answer_key: str | None, usage: dict[str, Any] | None
) -> bytes:
    """Write the caller's answer; by default each image stands under the key under which it came."""
    data = [_written(image, answer_key or ("url" if image.was_url else "b64_json")) for image in images]
    return msgspec.json.encode({**answer.fields, "data": data, **({} if usage is None else {"usage": usage})})


def _written(image: CheckedImage, key: str) -> dict[str, Raw | str]:
    ascii_text = image.data_url if key == "url" else image.data_url.partition(b",")[2]
    prompt = {} if image.revised_prompt is None else {"revised_prompt": image.revised_prompt}
    return {key: Raw(b'"%b"' % ascii_text), **prompt}
