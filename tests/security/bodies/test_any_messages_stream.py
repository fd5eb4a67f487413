"""Generated chat streams, cut anywhere: each becomes a valid Messages stream, or the start of one and an error."""

import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from obscura.errors import UpstreamError
from tests.support.fake_upstream import chunk
from tests.support.message_stream_grammar import StreamedMessage, parse_stream
from tests.unit.dialects.messages.conversations import a_request, parse

DONE = b"data: [DONE]\n\n"

pieces_of_text = st.sampled_from(["", "a", "é", "\n\n", 'data: "x"', "\u2028"])
pieces_of_json = st.sampled_from(["", " ", "{", "}", '{"a":', "1}", "{}", '"', "\\", "[", "]", "x"])
indexes = st.sampled_from([None, 0, 1, 2])
deltas = st.one_of(
    st.builds(lambda words: {"content": words}, pieces_of_text),
    st.builds(lambda words: {"reasoning_content": words}, pieces_of_text),
    st.builds(lambda words: {"refusal": words}, pieces_of_text),
    st.builds(
        lambda index, call_id, name, arguments: {
            "tool_calls": [{"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}]
        },
        indexes,
        st.sampled_from([None, None, "", "call_a", "call_b"]),
        st.sampled_from([None, None, "", "look_up", "count"]),
        st.none() | pieces_of_json,
    ),
    st.just({"role": "assistant", "content": None}),
    st.just({"tool_calls": [{}]}),
    st.just({}),
)
chunks = st.builds(chunk, deltas, st.sampled_from([None, None, None, "stop", "length", "tool_calls", "odd"]))
odd_lines = st.sampled_from(
    [
        DONE,
        b": keep-alive\n\n",
        b"\n",
        b"\r\n",
        b"event: message\n",
        b"data:\n\n",
        b"data: oops\n\n",
        b"data: []\n\n",
        b'data: {"choices":[]}\n\n',
        b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\n',
        b'data: {"choices":[{"index":0,"message":{"content":"whole"},"finish_reason":"stop"}]}\n\n',
        b'data: {"choices":[{"index":1,"delta":{"content":"another"}}]}\n\n',
        b'data: {"error":{"message":"secret detail"}}\n\n',
        b"\xff",
        b'data: {"choi',
    ]
)
mostly_chunks = st.lists(st.one_of(chunks, chunks, chunks, odd_lines), max_size=12)
orderly = st.lists(chunks, max_size=12).map(lambda stream: [*stream, DONE])


def translate(pieces: list[bytes]) -> bytes:
    """The events that the caller gets; if the upstream fails, with an error event at the end."""
    translator = parse(a_request(stream=True)).to_upstream().translator.stream((7,))
    response: list[bytes] = []
    try:
        response.extend(map(translator.feed, pieces))
        response.append(translator.finish())
    except UpstreamError as failure:
        response.append(translator.fail(failure, "req_1"))
    return b"".join(response)


def cut(stream: bytes, cuts: list[int]) -> list[bytes]:
    ends = [0, *sorted(end % (len(stream) + 1) for end in cuts), len(stream)]
    return [stream[start:end] for start, end in pairwise(ends)]


def without_made_up_ids(response: StreamedMessage) -> tuple[object, ...]:
    blocks = [(block.kind, block.start.get("name"), block.text) for block in response.blocks]
    return blocks, response.delta, response.usage, response.error


@given(mostly_chunks.map(b"".join) | orderly.map(b"".join), st.lists(st.integers(0, 10_000), max_size=20))
def test_any_chunks_become_a_valid_stream_or_a_valid_start_and_an_error(stream: bytes, cuts: list[int]) -> None:
    response = parse_stream(translate(cut(stream, cuts)))

    assert response.stopped != (response.error is not None)
    if response.error:
        assert response.error["error"]["code"] == "upstream_error"
        assert "secret detail" not in json.dumps(response.error)


@given(orderly.map(b"".join), st.lists(st.integers(0, 10_000), max_size=20))
def test_how_a_valid_stream_is_cut_does_not_matter(stream: bytes, cuts: list[int]) -> None:
    assert without_made_up_ids(parse_stream(translate(cut(stream, cuts)))) == without_made_up_ids(
        parse_stream(translate([stream]))
    )


@given(orderly)
def test_no_text_or_thinking_is_lost_added_or_reordered(pieces: list[bytes]) -> None:
    deltas = [json.loads(piece.removeprefix(b"data: "))["choices"][0]["delta"] for piece in pieces[:-1]]
    response = parse_stream(translate(pieces))

    texts = "".join(delta.get("content") or delta.get("refusal") or "" for delta in deltas)
    thinking = "".join(delta.get("reasoning_content") or "" for delta in deltas)
    if response.stopped:
        assert ("".join(response.texts()), "".join(response.texts("thinking"))) == (texts, thinking)
    else:
        assert texts.startswith("".join(response.texts()))
        assert thinking.startswith("".join(response.texts("thinking")))


argument_texts = st.dictionaries(st.sampled_from("ab"), st.integers() | st.text(max_size=5), max_size=2).map(json.dumps)


@given(st.lists(argument_texts, min_size=1, max_size=4), st.data())
def test_interleaved_calls_arrive_whole_and_in_the_order_they_began(inputs: list[str], data: st.DataObject) -> None:
    waiting = [_pieces_of(text, index, data) for index, text in enumerate(inputs)]
    heads, stream = [each.pop(0) for each in waiting], []
    stream += heads[:1]
    begun = 1
    while begun < len(heads) or any(waiting[:begun]):
        choices = [index for index in range(begun) if waiting[index]] + ([-1] if begun < len(heads) else [])
        index = data.draw(st.sampled_from(choices))
        if index < 0:
            stream.append(heads[begun])
            begun += 1
        else:
            stream.append(waiting[index].pop(0))

    response = parse_stream(translate([*stream, chunk({}, "tool_calls"), DONE]))

    assert [(block.start["id"], block.text) for block in response.blocks] == [
        (f"call_{index}", text) for index, text in enumerate(inputs)
    ]
    assert response.delta["stop_reason"] == "tool_use"


def _pieces_of(arguments: str, index: int, data: st.DataObject) -> list[bytes]:
    cuts = data.draw(st.lists(st.integers(0, len(arguments)), max_size=3).map(sorted))
    pieces = [arguments[start:end] for start, end in zip([0, *cuts], [*cuts, len(arguments)], strict=True)]
    head = {"index": index, "id": f"call_{index}", "function": {"name": "f", "arguments": ""}}
    return [
        chunk({"tool_calls": [head]}),
        *(chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}) for piece in pieces),
    ]
