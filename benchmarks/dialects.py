"""What the Messages and Responses dialects add to chat completions, all translated to the same chat upstream.

``python -m benchmarks.dialects [--runs N]``: text, a 10 MB JPEG inline and a stream, each dialect in turn so that drift
hits all alike; medians, and the difference to chat.
"""

import argparse
import base64
import json
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.gateway_load.client import Latency, require_success, take_turns
from benchmarks.gateway_load.images import make_images
from benchmarks.gateway_load.requests import MODEL, Request, Target, post
from benchmarks.gateway_load.subjects import fake_upstream, obscura

QUESTION = "What stands against the wall, and what time of day is it? One sentence."
DIALECTS = ("chat", "messages", "responses")
KINDS = {"text": 400, "10 MB JPEG inline": 20, "stream": 300}
WARM_UP = 5
PATHS = {"chat": "/v1/chat/completions", "messages": "/v1/messages", "responses": "/v1/responses"}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--runs", type=float, default=1.0, help="times the usual number of runs")
    runs = arguments.parse_args().runs
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        images = make_images(Path(scratch))
        upstream = stack.enter_context(fake_upstream(images, Path(scratch)))
        gateway = stack.enter_context(obscura(upstream, Path(scratch)))
        encoded = base64.b64encode(images.large.read_bytes()).decode()
        print(f"{'':>20} {'dialect':>10} {'whole, ms':>10} {'over chat':>12} {'first byte':>11} {'over chat':>10}")
        for kind, count in KINDS.items():
            requests = {dialect: request_for(dialect, kind, gateway.target, encoded) for dialect in DIALECTS}
            report(kind, take_turns(requests, runs=max(3, int(count * runs)), warm_up=WARM_UP, check=require_success))


def report(kind: str, measured: dict[str, Latency]) -> None:
    chat = measured["chat"]
    for dialect, latency in measured.items():
        over = latency.whole_ms - chat.whole_ms
        print(
            f"{kind:>20} {dialect:>10} {latency.whole_ms:>10.2f} {over:>+6.2f} {over / chat.whole_ms:>+4.0%} "
            f"{latency.first_byte_ms:>12.2f} {latency.first_byte_ms - chat.first_byte_ms:>+10.2f}"
        )


def request_for(dialect: str, kind: str, target: Target, encoded: str) -> Request:
    """Build the same question in a dialect, as a whole HTTP request."""
    image = encoded if kind.startswith("10 MB") else None
    body = json.dumps(_body(dialect, image) | {"model": MODEL, "stream": kind == "stream"}).encode()
    origin = target.base_url.removesuffix("/v1")
    return post(origin + PATHS[dialect], target.headers, body, streamed=kind == "stream")


def _body(dialect: str, image: str | None) -> dict[str, object]:
    url = f"data:image/jpeg;base64,{image}"
    if dialect == "responses":
        images = [{"type": "input_image", "image_url": url}] if image else []
        content = [{"type": "input_text", "text": QUESTION}, *images]
        return {"input": [{"role": "user", "content": content}], "max_output_tokens": 64}
    if dialect == "messages":
        source = {"type": "base64", "media_type": "image/jpeg", "data": image}
        blocks: list[dict[str, object]] = [{"type": "image", "source": source}] if image else []
    else:
        blocks = [{"type": "image_url", "image_url": {"url": url}}] if image else []
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": QUESTION}, *blocks]}], "max_tokens": 64}


if __name__ == "__main__":
    main()
