"""No answer of an upstream holds the event loop: streams are translated in small pieces, large ones in a thread."""

import threading
from collections.abc import AsyncIterator, Sequence

import pytest

from obscura.dialects.base import UpstreamBody
from obscura.errors import ObscuraError
from obscura.pipeline.call_upstream import MAX_FEED_BYTES, OFF_LOOP_BYTES, call_upstream
from obscura.pipeline.request import StreamingBody
from obscura.upstreams.base import UpstreamResponse, UpstreamStream
from tests.support.fake_upstream import answers
from tests.support.gateway import chat_request, running_gateway
from tests.support.loopback_server import loopback_server


class WatchedTranslator:
    """Passes whole lines on, and notes what it was given, and in which thread."""

    complete = False

    def __init__(self) -> None:
        self.fed: list[tuple[int, str]] = []
        self._held = b""

    def translate(self, upstream_body: bytes, image_tokens: Sequence[int]) -> bytes:
        self.fed.append((len(upstream_body), threading.current_thread().name))
        return upstream_body

    def stream(self, image_tokens: Sequence[int]) -> "WatchedTranslator":
        return self

    def feed(self, chunk: bytes) -> bytes:
        self.fed.append((len(chunk), threading.current_thread().name))
        lines, feed, self._held = (self._held + chunk).rpartition(b"\n")
        return lines + feed

    def finish(self) -> bytes:
        return self._held

    def fail(self, error: ObscuraError, request_id: str) -> bytes:
        return b""


class Answering:
    """An upstream with one answer: bytes, or the chunks of a stream."""

    def __init__(self, answer: bytes | list[bytes]) -> None:
        self._answer = answer

    async def models(self) -> list[object]:
        return []

    async def send(self, request: UpstreamBody) -> UpstreamResponse:
        if isinstance(self._answer, bytes):
            return self._answer
        chunks = self._answer

        async def each() -> AsyncIterator[bytes]:
            for chunk in chunks:
                yield chunk

        async def close() -> None:
            return

        return UpstreamStream(each(), close)


async def passed_on(answer: bytes | list[bytes], translator: WatchedTranslator) -> bytes:
    request = UpstreamBody("chat", b"{}", isinstance(answer, list), translator)
    response = await call_upstream(request, Answering(answer), ())  # type: ignore[arg-type]
    if isinstance(response.body, StreamingBody):
        return b"".join([chunk async for chunk in response.body.chunks])
    return response.body


async def test_a_chunk_of_many_events_is_translated_in_small_pieces() -> None:
    translator = WatchedTranslator()
    chunk = b"data: {}\n\n" * 30_000

    assert await passed_on([chunk], translator) == chunk
    assert max(size for size, _ in translator.fed) <= MAX_FEED_BYTES


@pytest.mark.parametrize("chunks", [1, 50])
async def test_a_long_line_is_read_in_a_thread(chunks: int) -> None:
    translator = WatchedTranslator()
    line = b'data: {"a":"' + b"a" * 1_000_000 + b'"}\n\n'
    size = len(line) // chunks + 1
    sent = [line[start : start + size] for start in range(0, len(line), size)]

    assert await passed_on(sent, translator) == line
    assert translator.fed[0][1] == threading.current_thread().name
    assert translator.fed[-1][1].startswith("body")


async def test_a_large_answer_is_read_in_a_thread_and_a_small_one_is_not() -> None:
    translator = WatchedTranslator()
    for size in (OFF_LOOP_BYTES, OFF_LOOP_BYTES + 1):
        await passed_on(b"a" * size, translator)

    small, large = (thread for _, thread in translator.fed)
    assert small == threading.current_thread().name
    assert large.startswith("body")


async def test_an_error_of_many_megabytes_is_not_read_to_its_end() -> None:
    huge = {"error": {"message": "a" * 4_000_000}}
    async with loopback_server(answers(huge, 400)) as upstream:
        async with running_gateway(upstream_url=upstream.v1) as gateway:
            response = await gateway.chat(chat_request("hi"))

            assert response.status_code == 400
            assert response.json()["error"]["message"] == "The upstream rejected the request (status 400)."
