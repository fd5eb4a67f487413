"""Valid requests, and random mutations of their bytes, fields and images, reproducible by seed."""

import base64
import json
from copy import deepcopy
from random import Random
from typing import Any

from tests.support.image_urls import data_url
from tests.unit.imaging.images import one_of_each

INTERESTING = (
    b"\x00",
    b"\xff",
    b'"',
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\\u",
    b"\\ud800",
    b"9" * 600,
    b"\xc0",
)
STRANGE_VALUES: tuple[object, ...] = (
    None, True, False, 0, -1, 1e308, 10**40, "", "x", "\u0000", "\U0001f600", "data:", "data:image/png;base64,",
    "https://127.0.0.1/", "http://[::1]/", "file_x", [], [[]], {}, {"url": None}, [None], {"a": {"b": {"c": []}}},
)  # fmt: skip
FORMS = ("object", "string", "input_image", "untyped")


def a_corpus() -> list[dict]:
    """A request for each image format, in every form of part, whole and streamed."""
    requests = []
    for number, image in enumerate(one_of_each().values()):
        url = data_url(image)
        part = {
            "object": {"type": "image_url", "image_url": {"url": url, "detail": ("low", "auto", "high")[number % 3]}},
            "string": {"type": "image_url", "image_url": url},
            "input_image": {"type": "input_image", "image_url": url, "detail": "low"},
            "untyped": {"image_url": {"url": url}},
        }[FORMS[number % 4]]
        requests.append(
            {
                "model": "m",
                "stream": bool(number % 2),
                "stream_options": {"include_usage": True},
                "messages": [
                    {"role": "system", "content": "be brief"},
                    {"role": "user", "content": [{"type": "text", "text": "what is it? é"}, part, "and this"]},
                    {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function"}]},
                    {"role": "tool", "tool_call_id": "c", "content": [part]},
                ],
            }
        )
    return requests


def seeded(seed: int) -> Random:
    """A random generator that repeats a failing run."""
    return Random(seed)  # noqa: S311 - no secret is made of it


def mutated(request: dict, random: Random) -> bytes:
    """Damage a request in one way."""
    ways = (_bytewise, _bytewise_outside_of_images, _cut, _in_an_image, _structurally)
    (way,) = random.choices(ways, weights=(1, 1, 1, 2, 3))
    return way(request, random)


def _bytewise(request: dict, random: Random) -> bytes:
    body = bytearray(_dumped(request))
    for _ in range(random.randint(1, 6)):
        at = random.randrange(len(body))
        body[at : at + random.randint(0, 3)] = random.choice((random.randbytes(1), random.choice(INTERESTING)))
    return bytes(body)


def _bytewise_outside_of_images(request: dict, random: Random) -> bytes:
    body = _dumped(request)
    ends = [at for at in range(len(body)) if body[at : at + 1] in b'{}[]":,\\']
    for at in sorted(random.sample(ends, min(3, len(ends))), reverse=True):
        body = body[:at] + random.choice((b"", random.choice(INTERESTING))) + body[at + 1 :]
    return body


def _structurally(request: dict, random: Random) -> bytes:
    changed = deepcopy(request)
    for _ in range(random.randint(1, 3)):
        nodes = _nodes(changed)
        if not nodes:
            break
        holder, key = random.choice(nodes)
        match random.randrange(4):
            case 0:
                del holder[key]
            case 1:
                holder[key] = [holder[key]] * random.choice((1, 2, 20))
            case 2:
                other_holder, other_key = random.choice(nodes)
                holder[key] = deepcopy(other_holder[other_key])
            case _:
                holder[key] = deepcopy(random.choice(STRANGE_VALUES))
    return _dumped(changed)


def _in_an_image(request: dict, random: Random) -> bytes:
    text = _dumped(request).decode()
    encoded = text.partition(";base64,")[2].partition('"')[0]
    image = bytearray(base64.b64decode(encoded))
    for _ in range(random.randint(1, 8)):
        at = min(random.randrange(len(image)), random.randrange(len(image)))
        image[at : at + random.randint(0, 2)] = random.randbytes(random.randint(0, 3))
        if not image:
            break
    if random.random() < 0.2:
        del image[random.randrange(len(image) + 1) :]
    return text.replace(encoded, base64.b64encode(image).decode()).encode()


def _cut(request: dict, random: Random) -> bytes:
    body = _dumped(request)
    start, end = sorted((random.randrange(len(body)), random.randrange(len(body))))
    return random.choice((body[:end], body[start:], body[:start] + body[end:], body[:start] + body[:end]))


def _nodes(value: object) -> list[tuple[Any, Any]]:
    """Every value in a request: the object or array that holds it, and its key."""
    if isinstance(value, dict):
        keys = list(value)
    elif isinstance(value, list):
        keys = list(range(len(value)))
    else:
        return []
    return [node for key in keys for node in [(value, key), *_nodes(value[key])]]


def _dumped(request: object) -> bytes:
    return json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
