"""Image tokens in the usage of responses and streams; everything else byte for byte."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obscura.dialects.chat.events import PASSTHROUGH
from obscura.errors import UpstreamError
from tests.support.fake_upstream import CHUNKS, chunk

STOP = CHUNKS[3]
WITH_USAGE = b'{"id":"x", "usage" : {"prompt_tokens":10,"completion_tokens":2,"cost":1.50}, "z":1E5}'


def usage_of(response: bytes) -> dict:
    return json.loads(response)["usage"]


def passed(stream: list[bytes], image_tokens: list[int]) -> bytes:
    """The stream that comes out, after an end marker went in."""
    translator = PASSTHROUGH.stream(image_tokens)
    translator.feed(STOP)
    return b"".join([translator.feed(piece) for piece in stream] + [translator.finish()])


def pass_through(stream: bytes, image_tokens: list[int]) -> bytes:
    translator = PASSTHROUGH.stream(image_tokens)
    return translator.feed(stream) + translator.finish()


def test_the_usage_gets_the_sum_of_the_image_tokens() -> None:
    response = PASSTHROUGH.translate(WITH_USAGE, [729, 2116])

    assert usage_of(response) == json.loads(WITH_USAGE)["usage"] | {"prompt_tokens_details": {"image_tokens": 2845}}


def test_everything_else_in_the_response_keeps_its_bytes() -> None:
    response = msgspec.json.decode(PASSTHROUGH.translate(WITH_USAGE, [7]), type=dict[str, msgspec.Raw])
    usage = msgspec.json.decode(response["usage"], type=dict[str, msgspec.Raw])

    assert bytes(response["z"]) == b"1E5"
    assert bytes(usage["cost"]) == b"1.50"


def test_details_that_the_upstream_gave_are_kept() -> None:
    details = {"cached_tokens": 3, "image_tokens": 1}

    response = PASSTHROUGH.translate(json.dumps({"usage": {"prompt_tokens_details": details}}).encode(), [5])

    assert usage_of(response)["prompt_tokens_details"] == {"cached_tokens": 3, "image_tokens": 5}


@pytest.mark.parametrize("details", [None, [], "x", 1])
def test_details_that_are_no_object_are_replaced(details: object) -> None:
    response = PASSTHROUGH.translate(json.dumps({"usage": {"prompt_tokens_details": details}}).encode(), [5])

    assert usage_of(response)["prompt_tokens_details"] == {"image_tokens": 5}


@pytest.mark.parametrize(
    "response", [WITH_USAGE, b'{ "a" : 1 }\n', b'{"usage":null}', b'{"usage":[]}', b'{"usage":"x"}']
)
def test_a_response_without_images_or_without_usage_is_untouched(response: bytes) -> None:
    assert PASSTHROUGH.translate(response, []) == response
    if response is not WITH_USAGE:
        assert PASSTHROUGH.translate(response, [7]) == response


@pytest.mark.parametrize("image_tokens", [[], [7]], ids=["no images", "an image"])
@pytest.mark.parametrize(
    "response", [b"", b"[]", b"oops", b'{"usage":', b'"x"', b"\xff", b'{"\xff":1}', b"[" * 100_000], ids=lambda a: a[:9]
)
def test_a_response_that_is_no_json_object_is_an_upstream_error(response: bytes, image_tokens: list[int]) -> None:
    with pytest.raises(UpstreamError):
        PASSTHROUGH.translate(response, image_tokens)


def test_a_stream_without_images_passes_untouched_line_by_line() -> None:
    translator = PASSTHROUGH.stream([])

    assert [translator.feed(piece) for piece in (b"da", b"ta: {", b'"usage":{}}\n', b"\n")] == [
        b"", b"", b'data: {"usage":{}}\n', b"\n",
    ]  # fmt: skip


@pytest.mark.parametrize("image_tokens", [[], [7]], ids=["no images", "an image"])
@pytest.mark.parametrize("sent", [b"", CHUNKS[0], b"".join(CHUNKS[:3]), CHUNKS[0] + CHUNKS[1][:20]], ids=len)
def test_a_stream_that_closes_before_its_end_is_an_upstream_error(sent: bytes, image_tokens: list[int]) -> None:
    with pytest.raises(UpstreamError):
        pass_through(sent, image_tokens)


@pytest.mark.parametrize("image_tokens", [[], [7]], ids=["no images", "an image"])
@pytest.mark.parametrize(
    "end", [STOP, b"data: [DONE]\n\n", b"data: [DONE]", b"data:[DONE]\r\n\r\n", b'data: {"error":{"message":"x"}}\n\n']
)
def test_a_stream_with_any_end_marker_is_complete(end: bytes, image_tokens: list[int]) -> None:
    assert pass_through(CHUNKS[1] + end, image_tokens) == CHUNKS[1] + end


def test_an_end_marker_in_the_models_text_ends_no_stream() -> None:
    translator = PASSTHROUGH.stream([])

    translator.feed(chunk({"content": '\ndata: [DONE]\n "finish_reason": "stop"'}))

    assert not translator.complete
    with pytest.raises(UpstreamError):
        translator.finish()


def test_only_the_event_with_the_usage_changes() -> None:
    *others, usage_event, done = CHUNKS

    response = passed(list(CHUNKS), [729])

    assert response.startswith(b"".join(others))
    assert response.endswith(b"\n\n" + done)
    changed = response.removeprefix(b"".join(others)).removesuffix(done)
    expected = json.loads(usage_event.removeprefix(b"data: "))
    expected["usage"]["prompt_tokens_details"] = {"image_tokens": 729}
    assert json.loads(changed.removeprefix(b"data: ")) == expected


def test_each_line_is_passed_on_as_soon_as_it_is_whole() -> None:
    translator = PASSTHROUGH.stream([7])

    assert translator.feed(b'data: {"a":1}\n\ndata: {"b"') == b'data: {"a":1}\n\n'
    assert translator.feed(b":2}") == b""
    assert translator.feed(b"\n\n") == b'data: {"b":2}\n\n'


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"usage":null}\n\n',
        b'data: {"choices":[{"delta":{"content":"the \\"usage\\" of"}}]}\n\n',
        b'data: {"x":{"usage":{}}}\n\n',
        b'data: oops "usage"\n\n',
        b': comment "usage"\n\n',
        b'event: "usage"\ndata: 1\n\n',
        b"data: [DONE]\n\n",
        b"\n",
    ],
)
def test_events_that_only_mention_a_usage_are_untouched(event: bytes) -> None:
    assert passed([event], [7]) == event


@pytest.mark.parametrize("start", [b"data:", b"data: ", b"data:  "])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""], ids=["LF", "CRLF", "end of stream"])
def test_line_ends_and_the_space_after_the_colon_do_not_matter(start: bytes, end: bytes) -> None:
    response = passed([start + b'{"usage":{}}' + end], [7])

    assert response.startswith(b"data: {")
    assert response.endswith(b"}" + end)
    assert usage_of(response.removeprefix(b"data: "))["prompt_tokens_details"] == {"image_tokens": 7}


pieces_of_events = st.sampled_from(
    [
        *CHUNKS,
        b'data: {"usage":{}}\r\n\r\n',
        b": ping\n\n",
        b"\r",
        b"\n",
        b"data",
        b'data: {"usage":{"a":1}}',
        "é".encode(),
    ]
)


@given(st.lists(pieces_of_events, max_size=8).map(b"".join), st.lists(st.integers(1, 60)), st.sampled_from([[], [729]]))
def test_how_a_stream_is_cut_does_not_matter(stream: bytes, cuts: list[int], tokens: list[int]) -> None:
    pieces, rest = [], stream
    for cut in cuts:
        pieces.append(rest[:cut])
        rest = rest[cut:]

    assert passed([*pieces, rest], tokens) == passed([stream], tokens)
