"""What Bedrock costs over the openai kind: the same chat requests by both kinds of upstream, by turns.

    nice -n 10 .venv/bin/python -m benchmarks.bedrock

From the rendered request to its answer, as the pipeline sends it: text, an image of 1 MB, a stream's frames, each a
median; stand-ins on loopback, in this process. The budget: 2 ms on text, 10 % of a request with 1 MB (which takes the
gateway 18 ms of CPU, docs/benchmark.md), 0.1 ms a frame.
"""

import asyncio
import base64
import json
import os
import statistics
import time
from typing import Any

from botocore.eventstream import EventStreamBuffer

from obscura.dialects.base import UpstreamBody
from obscura.dialects.chat.events import PASSTHROUGH
from obscura.httpclient.transport import FastTransport
from obscura.upstreams.base import UpstreamOptions
from obscura.upstreams.bedrock.converse_response import ConverseReader
from obscura.upstreams.bedrock.dialect import BedrockUpstream
from obscura.upstreams.bedrock.event_stream import EventStreamParser
from obscura.upstreams.http import HttpUpstream
from obscura.upstreams.openai import OpenAIUpstream
from tests.support.bedrock import CREDENTIALS, REGION, answering, streaming, text_events
from tests.support.fake_upstream import answers, chunk, streams
from tests.support.loopback_server import LoopbackServer, loopback_server

RUNS = {"text": 300, "1 MB": 40, "stream of 200 frames": 40}
FRAMES = 200


def a_request(kind: str) -> UpstreamBody:
    content: list[dict[str, Any]] = [{"type": "text", "text": "What is it?"}]
    if kind == "1 MB":
        url = f"data:image/png;base64,{base64.b64encode(os.urandom(1_000_000)).decode()}"
        content.append({"type": "image_url", "image_url": {"url": url}})
    streamed = kind.startswith("stream")
    body = {"model": "m", "messages": [{"role": "user", "content": content}], "stream": streamed}
    return UpstreamBody("chat", json.dumps(body).encode(), streamed, PASSTHROUGH)


async def medians_ms(upstreams: dict[str, HttpUpstream], kind: str) -> dict[str, float]:
    request = a_request(kind)
    times: dict[str, list[float]] = {name: [] for name in upstreams}
    for run in range(RUNS[kind] + 2):
        for name, upstream in upstreams.items():
            started = time.perf_counter()
            response = await upstream.send(request)
            if not isinstance(response, bytes):
                async for _ in response.chunks:
                    pass
                await response.aclose()
            elapsed_ms = (time.perf_counter() - started) * 1000
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


async def report() -> None:
    async with (
        loopback_server(answers()) as first,
        loopback_server(answering()) as second,
        FastTransport() as transport,
    ):
        upstreams = {
            "openai": HttpUpstream(transport, first.v1, OpenAIUpstream("sk-x")),
            "bedrock": HttpUpstream(
                transport, second.origin, BedrockUpstream.configured(None, UpstreamOptions(REGION))
            ),
        }
        for kind in RUNS:
            answer_to(kind, {"openai": first, "bedrock": second})
            measured = await medians_ms(upstreams, kind)
            added_ms = measured["bedrock"] - measured["openai"]
            print(
                f"{kind}: openai {measured['openai']:.2f} ms, bedrock {measured['bedrock']:.2f} ms, {added_ms:+.2f} ms"
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
    asyncio.run(report())
    decoding()
