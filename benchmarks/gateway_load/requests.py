"""The requests of the five scenarios, as bytes that are ready to send."""

import base64
import json
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from benchmarks.gateway_load.images import Images

MODEL = "benchmark"

ScenarioName = Literal["text", "1mb", "10mb", "url", "sse"]


@dataclass(frozen=True, slots=True)
class Target:
    """A gateway's chat endpoint: a base URL that ends in ``/v1``, a model's name, and headers."""

    base_url: str
    model: str = MODEL
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """A whole HTTP request and its host."""

    host: str
    port: int
    wire: bytes
    streamed: bool


@dataclass(frozen=True, slots=True)
class Scenario:
    """A kind of request, how often it is sent one at a time, and for how long with many in flight."""

    name: ScenarioName
    title: str
    runs: int
    load_s: float


SCENARIOS: dict[ScenarioName, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario("text", "text", runs=300, load_s=2.5),
        Scenario("1mb", "1 MB JPEG inline", runs=80, load_s=2.5),
        Scenario("10mb", "10 MB JPEG inline", runs=20, load_s=4),
        Scenario("url", "1 MB JPEG by URL", runs=80, load_s=2.5),
        Scenario("sse", "SSE", runs=200, load_s=2.5),
    )
}


def request_for(name: ScenarioName, target: Target, images: Images, image_host: str) -> Request:
    """Build the request of a scenario for a target."""
    body = _body(name, target.model, images, image_host)
    return post(f"{target.base_url}/chat/completions", target.headers, body, streamed=name == "sse")


def post(url: str, headers: tuple[tuple[str, str], ...], body: bytes, *, streamed: bool) -> Request:
    """Build a POST of JSON as a whole HTTP request."""
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    lines = {
        "host": f"{host}:{port}",
        "content-type": "application/json",
        "content-length": str(len(body)),
        **dict(headers),
    }
    head = f"POST {parts.path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return Request(host, port, head.encode() + b"\r\n" + body, streamed)


def _body(name: ScenarioName, model: str, images: Images, image_host: str) -> bytes:
    question = "What stands against the wall, and what time of day is it? One sentence."
    parts: list[dict[str, object]] = [{"type": "text", "text": question}]
    if name == "url":
        parts.append(_image(f"{image_host}/{images.small.name}"))
    elif name in {"1mb", "10mb"}:
        image = images.small if name == "1mb" else images.large
        parts.append(_image("data:image/jpeg;base64," + base64.b64encode(image.read_bytes()).decode()))
    content = parts if len(parts) > 1 else question
    messages = [{"role": "system", "content": "You describe images."}, {"role": "user", "content": content}]
    body: dict[str, object] = {"model": model, "messages": messages, "max_tokens": 64, "temperature": 0.2}
    return json.dumps(body | ({"stream": True} if name == "sse" else {})).encode()


def _image(url: str) -> dict[str, object]:
    return {"type": "image_url", "image_url": {"url": url}}
