"""What the demo model reads of a request: what it describes, and nothing of what may be large beside it."""

import json
import tracemalloc
from typing import Any

import pytest

from obscura.upstreams.demo_request import DemoRequest, read_demo_request
from tests.support.heavy_bodies import heavy_bodies

URL = "data:image/png;base64,AAAA"
LONG = 'word é \U0001f600 "quoted" ' * 400


def read(*messages: object, **more: Any) -> DemoRequest:
    return read_demo_request(json.dumps({"model": "m", "messages": messages} | more).encode())


@pytest.mark.parametrize("text", ["hi", LONG, '~"'], ids=["short", "long", "odd"])
def test_the_last_text_of_the_user_is_the_question(text: str) -> None:
    asked = {"role": "user", "content": [{"type": "text", "text": "first"}, {"type": "text", "text": text}]}
    answered = {"role": "assistant", "content": "no question"}

    assert read(asked, answered) == DemoRequest("m", text)
    assert read({"role": "user", "content": text}, {"role": "assistant", "content": None}).question == text


def test_images_stop_sequences_and_options_are_read() -> None:
    parts = [{"type": "image_url", "image_url": {"url": url, "detail": "low"}} for url in (URL, URL + "B" * 9_000)]

    request = read(
        {"role": "user", "content": [*parts, {"type": "image_url", "image_url": URL}]},
        stop=["", "end", 3],
        stream_options={"include_usage": True, "x": [1]},
        tools=[{"type": "function"}],
    )

    assert request == DemoRequest("m", "", [URL, URL + "B" * 9_000, URL], True, ("end",))
    assert read(stop="end").stop == ("end",)
    assert read(stop=None, stream_options=None) == DemoRequest("m")


def test_a_request_past_the_bounds_of_a_callers_is_read() -> None:
    assert read({"role": "user", "content": "hi"}, x=[1] * 100_001).question == "hi"


def test_no_object_is_made_of_a_schema_of_95_000_keys() -> None:
    body = dict(heavy_bodies("chat"))["keys of a schema at the limit"]()
    read_demo_request(body)
    peaks = []
    for reader in (json.loads, read_demo_request):
        tracemalloc.start()
        kept = reader(body)
        peaks.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        del kept

    assert peaks[1] < peaks[0] / 100
