"""What Bedrock costs over the openai kind: the same requests through a served gateway, both kinds by turns.

    nice -n 10 .venv/bin/python -m benchmarks.bedrock

Text, an image of about 1 MB that keeps its bytes (a PNG, so that all of it goes on), and a stream's frames, each a
median; stand-ins on loopback, in this process. The budget: 2 ms on text, 10 % on 1 MB, 0.1 ms a frame.
"""

import asyncio
import base64
import json
import os
import statistics
import time
from collections.abc import Awaitable, Callable
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from botocore.eventstream import EventStreamBuffer
from PIL import Image

from obscura.upstreams.bedrock.converse_response import ConverseReader
from obscura.upstreams.bedrock.event_stream import EventStreamParser
from tests.support.bedrock import CREDENTIALS, answering, streaming, text_events
from tests.support.fake_upstream import answers, chunk, streams
from tests.support.gateway import Gateway, running_gateway
from tests.support.loopback_server import LoopbackServer, loopback_server
from tests.support.upstream_kinds import BEDROCK_CONVERSE, OPENAI

RUNS = {"text": 200, "1 MB": 20, "stream of 200 frames": 20}
FRAMES = 200


def a_body(kind: str) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "text", "text": "What is it?"}]
    if kind == "1 MB":
        target = BytesIO()
        Image.frombytes("RGB", (590, 590), os.urandom(590 * 590 * 3)).save(target, "PNG")
        url = f"data:image/png;base64,{base64.b64encode(target.getvalue()).decode()}"
        content.append({"type": "image_url", "image_url": {"url": url}})
    return {"model": "m", "messages": [{"role": "user", "content": content}], "stream": kind.startswith("stream")}


async def medians_ms(gateways: dict[str, Gateway], kind: str) -> dict[str, float]:
    body = json.dumps(a_body(kind)).encode()
    times: dict[str, list[float]] = {name: [] for name in gateways}
    for run in range(RUNS[kind] + 2):
        for name, gateway in gateways.items():
            started = time.perf_counter()
            response = await gateway.client.post("/v1/chat/completions", content=body)
            elapsed_ms = (time.perf_counter() - started) * 1000
            if response.status_code != 200:
                raise SystemExit(response.text)
            if run > 1:
                times[name].append(elapsed_ms)
    return {name: statistics.median(measured) for name, measured in times.items()}


def answer_to(kind: str, servers: dict[str, LoopbackServer]) -> None:
    texts = ["word "] * FRAMES
    if kind.startswith("stream"):
        servers["openai"].respond = streams(
            *(chunk({"content": text}) for text in texts), chunk({}, "stop"), b"data: [DONE]\n\n"
        )
        servers["bedrock"].respond = streaming(text_events(*texts))
    else:
        servers["openai"].respond, servers["bedrock"].respond = answers(), answering()


async def served(measure: Callable[[dict[str, Gateway], dict[str, LoopbackServer]], Awaitable[None]]) -> None:
    with TemporaryDirectory() as folder:
        async with loopback_server(answers()) as first, loopback_server(answering()) as second:
            paths = {}
            for name, kind, server in (("openai", OPENAI, first), ("bedrock", BEDROCK_CONVERSE, second)):
                paths[name] = Path(folder) / f"{name}.toml"
                paths[name].write_text(kind.catalog(server.origin))
            async with (
                running_gateway(models=paths["openai"], log_level="ERROR") as one,
                running_gateway(models=paths["bedrock"], log_level="ERROR") as two,
            ):
                await measure({"openai": one, "bedrock": two}, {"openai": first, "bedrock": second})


async def report(gateways: dict[str, Gateway], servers: dict[str, LoopbackServer]) -> None:
    for kind in RUNS:
        answer_to(kind, servers)
        measured = await medians_ms(gateways, kind)
        added_ms = measured["bedrock"] - measured["openai"]
        print(
            f"{kind}: openai {measured['openai']:.2f} ms, bedrock {measured['bedrock']:.2f} ms, {added_ms:+.2f} ms"
            f" ({added_ms / measured['openai']:+.1%})"
        )


def decoding() -> None:
    """Print what one frame takes: decoded to a chunk, parsed here, and parsed by botocore's buffer."""
    frames = text_events(*["word "] * FRAMES)

    def by_botocore() -> None:
        buffer: Any = EventStreamBuffer()
        for frame in frames:
            buffer.add_data(frame)
            list(buffer)

    def by_parser() -> None:
        parser = EventStreamParser()
        for frame in frames:
            list(parser.feed(frame))

    def to_chunks() -> None:
        decoder = ConverseReader("m", True).stream_decoder()
        for frame in frames:
            list(decoder.feed(frame))

    for name, work in (("to a chunk", to_chunks), ("parsed", by_parser), ("parsed by botocore", by_botocore)):
        times = []
        for _ in range(15):
            started = time.perf_counter()
            work()
            times.append((time.perf_counter() - started) / len(frames))
        print(f"a frame {name}: {statistics.median(times) * 1e6:.1f} µs")


if __name__ == "__main__":
    os.environ.update(CREDENTIALS)
    asyncio.run(served(report))
    decoding()
