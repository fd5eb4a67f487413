"""Image tokens in the usage of answers and streams; all else byte for byte."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obscura.dialects.chat.request import PASSTHROUGH
from obscura.errors import UpstreamError
from tests.support.fake_upstream import CHUNKS, chunk

STOP = CHUNKS[3]
WITH_USAGE = b'{"id":"x", "usage" : {"prompt_tokens":10,"completion_tokens":2,"cost":1.50}, "z":1E5}'


def usage_of(answer: bytes) -> dict:
    return json.loads(answer)["usage"]


def passed(stream: list[bytes], image_tokens: list[int]) -> bytes:
    """What comes out of a stream of which enough came in before."""
    passage = PASSTHROUGH.stream(image_tokens)
    passage.feed(STOP)
    return b"".join([passage.feed(piece) for piece in stream] + [passage.finish()])


def told_of(stream: bytes, image_tokens: list[int]) -> bytes:
    passage = PASSTHROUGH.stream(image_tokens)
    return passage.feed(stream) + passage.finish()


def test_the_image_tokens_of_all_images_stand_in_the_usage() -> None:
    response = PASSTHROUGH.answer(WITH_USAGE, [729, 2116])

    assert usage_of(response) == json.loads(WITH_USAGE)["usage"] | {"prompt_tokens_details": {"image_tokens": 2845}}


def test_everything_else_in_the_answer_keeps_its_bytes() -> None:
    response = msgspec.json.decode(PASSTHROUGH.answer(WITH_USAGE, [7]), type=dict[str, msgspec.Raw])
    usage = msgspec.json.decode(response["usage"], type=dict[str, msgspec.Raw])

    assert bytes(response["z"]) == b"1E5"
    assert bytes(usage["cost"]) == b"1.50"


def test_details_that_the_upstream_gave_are_kept() -> None:
    details = {"cached_tokens": 3, "image_tokens": 1}

    response = PASSTHROUGH.answer(json.dumps({"usage": {"prompt_tokens_details": details}}).encode(), [5])

    assert usage_of(response)["prompt_tokens_details"] == {"cached_tokens": 3, "image_tokens": 5}


@pytest.mark.parametrize("details", [None, [], "x", 1])
def test_details_that_are_no_object_are_replaced(details: object) -> None:
    response = PASSTHROUGH.answer(json.dumps({"usage": {"prompt_tokens_details": details}}).encode(), [5])

    assert usage_of(response)["prompt_tokens_details"] == {"image_tokens": 5}


@pytest.mark.parametrize("answer", [WITH_USAGE, b'{ "a" : 1 }\n', b'{"usage":null}', b'{"usage":[]}', b'{"usage":"x"}'])
def test_an_answer_without_images_or_without_usage_is_untouched(answer: bytes) -> None:
    assert PASSTHROUGH.answer(answer, []) == answer
    if answer is not WITH_USAGE:
        assert PASSTHROUGH.answer(answer, [7]) == answer


@pytest.mark.parametrize("image_tokens", [[], [7]], ids=["no images", "an image"])
@pytest.mark.parametrize(
    "answer", [b"", b"[]", b"oops", b'{"usage":', b'"x"', b"\xff", b'{"\xff":1}', b"[" * 100_000], ids=lambda a: a[:9]
)
def test_an_answer_that_is_no_json_object_is_the_upstreams_error(answer: bytes, image_tokens: list[int]) -> None:
    with pytest.raises(UpstreamError):
        PASSTHROUGH.answer(answer, image_tokens)


def test_a_stream_without_images_passes_untouched_line_by_line() -> None:
    passage = PASSTHROUGH.stream([])

    assert [passage.feed(piece) for piece in (b"da", b"ta: {", b'"usage":{}}\n', b"\n")] == [
        b"", b"", b'data: {"usage":{}}\n', b"\n",
    ]  # fmt: skip


@pytest.mark.parametrize("image_tokens", [[], [7]], ids=["no images", "an image"])
@pytest.mark.parametrize("sent", [b"", CHUNKS[0], b"".join(CHUNKS[:3]), CHUNKS[0] + CHUNKS[1][:20]], ids=len)
def test_a_stream_that_closes_before_it_said_that_it_was_over_broke_off(sent: bytes, image_tokens: list[int]) -> None:
    with pytest.raises(UpstreamError):
        told_of(sent, image_tokens)


@pytest.mark.parametrize("image_tokens", [[], [7]], ids=["no images", "an image"])
@pytest.mark.parametrize(
    "end", [STOP, b"data: [DONE]\n\n", b"data: [DONE]", b"data:[DONE]\r\n\r\n", b'data: {"error":{"message":"x"}}\n\n']
)
def test_a_stream_that_said_so_is_over_whatever_it_leaves_out(end: bytes, image_tokens: list[int]) -> None:
    assert told_of(CHUNKS[1] + end, image_tokens) == CHUNKS[1] + end


def test_what_the_model_says_ends_no_stream() -> None:
    passage = PASSTHROUGH.stream([])

    passage.feed(chunk({"content": '\ndata: [DONE]\n "finish_reason": "stop"'}))

    assert not passage.ended
    with pytest.raises(UpstreamError):
        passage.finish()


def test_only_the_event_with_the_usage_changes() -> None:
    *others, usage_event, done = CHUNKS

    response = passed(list(CHUNKS), [729])

    assert response.startswith(b"".join(others))
    assert response.endswith(b"\n\n" + done)
    changed = response.removeprefix(b"".join(others)).removesuffix(done)
    expected = json.loads(usage_event.removeprefix(b"data: "))
    expected["usage"]["prompt_tokens_details"] = {"image_tokens": 729}
    assert json.loads(changed.removeprefix(b"data: ")) == expected


def test_each_whole_line_leaves_as_soon_as_it_is_there() -> None:
    passage = PASSTHROUGH.stream([7])

    assert passage.feed(b'data: {"a":1}\n\ndata: {"b"') == b'data: {"a":1}\n\n'
    assert passage.feed(b":2}") == b""
    assert passage.feed(b"\n\n") == b'data: {"b":2}\n\n'


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
def test_line_ends_and_the_space_behind_the_colon_do_not_matter(start: bytes, end: bytes) -> None:
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
def test_however_the_stream_is_cut_the_same_bytes_come_out(stream: bytes, cuts: list[int], tokens: list[int]) -> None:
    pieces, rest = [], stream
    for cut in cuts:
        pieces.append(rest[:cut])
        rest = rest[cut:]

    assert passed([*pieces, rest], tokens) == passed([stream], tokens)
