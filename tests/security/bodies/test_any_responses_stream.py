"""Any chunks of an upstream, however cut, become a valid stream by the grammar and the openai SDK's types."""

from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from obscura.errors import UpstreamError
from tests.contract.fields.responses.sdk_types import strict_event
from tests.support.fake_upstream import ANSWER, chunk
from tests.support.response_stream_grammar import checked
from tests.unit.dialects.responses.requests import FUNCTION, a_request, completion, translated
from tests.unit.dialects.responses.streaming import DONE, a_translator, broken, kinds, streamed

pieces_of_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
calls = st.builds(
    lambda **call: {key: value for key, value in call.items() if value is not None},
    index=st.none() | st.integers(0, 2),
    id=st.none() | st.sampled_from(["", "call_a", "call_b"]),
    function=st.none()
    | st.fixed_dictionaries(
        {}, optional={"name": st.sampled_from(["look", "look", "", None]), "arguments": st.none() | pieces_of_text}
    ),
)
deltas = st.fixed_dictionaries(
    {},
    optional={
        "role": st.just("assistant"),
        "content": st.none() | pieces_of_text,
        "refusal": st.none() | pieces_of_text,
        "reasoning_content": st.none() | pieces_of_text,
        "tool_calls": st.none() | st.lists(calls, max_size=3),
    },
)
chunks = st.one_of(
    st.builds(chunk, deltas, st.sampled_from([None, None, None, "stop", "length", "tool_calls", "content_filter"])),
    st.builds(partial(chunk, {}), choices=st.just([]), usage=st.none() | st.just(ANSWER["usage"])),
    st.sampled_from(
        [DONE, b": ping\n\n", b"\n", b"data: oops\n\n", b'data: {"error":{}}\n\n', b'data: {"choices":[{}]}\r\n\r\n']
    ),
)


@given(st.lists(chunks, max_size=10).map(b"".join), st.lists(st.integers(1, 400), max_size=8), st.booleans())
def test_any_chunks_however_cut_make_a_valid_stream_by_the_sdks_types(
    stream: bytes, cuts: list[int], sends_done: bool
) -> None:
    stream += DONE if sends_done else b""
    pieces = []
    for cut in cuts:
        pieces.append(stream[:cut])
        stream = stream[cut:]

    events = broken(*pieces, stream)

    for event in events:
        strict_event(event)


@given(st.lists(chunks, max_size=10).map(b"".join), st.lists(st.integers(1, 400), max_size=8))
def test_the_cuts_of_a_stream_do_not_matter(stream: bytes, cuts: list[int]) -> None:
    uncut, pieces = stream, []
    for cut in cuts:
        pieces.append(stream[:cut])
        stream = stream[cut:]

    once, in_pieces = broken(uncut), broken(*pieces, stream)

    assert kinds(once) == kinds(in_pieces)
    assert [event.get("delta") for event in once] == [event.get("delta") for event in in_pieces]


@given(st.lists(deltas, max_size=6), st.integers(0, 6))
def test_a_stream_may_fail_after_any_event(given_deltas: list[dict], count: int) -> None:
    translator = a_translator(tools=[FUNCTION])
    sent: list[bytes] = []
    try:
        sent += map(translator.feed, map(chunk, given_deltas[:count]))
        failure = UpstreamError("Gone.")
    except UpstreamError as error:
        failure = error

    events = checked(b"".join([*sent, translator.fail(failure, "req_1")]))

    assert kinds(events)[-2:] == ["failed", "error"]


@given(deltas)
def test_a_completion_and_a_stream_of_one_chunk_have_the_same_output(delta: dict) -> None:
    message = {**delta, "tool_calls": [call for call in delta.get("tool_calls") or () if _begins(call)]}
    for index, call in enumerate(message["tool_calls"]):
        call |= {"index": index, "id": f"call_{index}"}

    completed = translated(a_request(), completion(message))["output"]
    streamed_output = streamed(chunk(message, "stop"), DONE)[-1]["response"]["output"]

    assert [_without_id(item) for item in completed] == [_without_id(item) for item in streamed_output]


def _begins(call: dict) -> bool:
    return bool((call.get("function") or {}).get("name"))


def _without_id(item: dict) -> dict:
    return {key: value for key, value in item.items() if key != "id"}
