"""Chat streams as Messages streams: the events of each chunk, and when they are sent."""

import pytest

from obscura.errors import UpstreamError
from tests.support.fake_upstream import CHUNKS, chunk
from tests.support.message_stream_grammar import events_of, parse_stream
from tests.unit.dialects.messages.conversations import a_request, parse, streamed

DONE = b"data: [DONE]\n\n"
STOP = chunk({}, "stop")


def call(index: int | None, arguments: str | None = None, name: str | None = None, call_id: str | None = None) -> bytes:
    """A chunk with a piece of one tool call."""
    piece = {"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}
    return chunk({"tool_calls": [{key: value for key, value in piece.items() if value is not None}]})


def calls_in(stream: bytes) -> list[tuple[str, str, str]]:
    """Id, name and input of each tool call of a stream."""
    return [
        (block.start["id"], block.start["name"], block.text)
        for block in parse_stream(stream).blocks
        if block.kind == "tool_use"
    ]


def ended(stop_reason: str, sequence: str | None = None) -> dict:
    """The delta of ``message_delta``; what only Anthropic's servers have is null."""
    return {"stop_reason": stop_reason, "stop_sequence": sequence, "stop_details": None, "container": None}


def test_a_text_response_is_exactly_these_events() -> None:
    response = events_of(streamed(*CHUNKS))

    usage: dict = {
        "input_tokens": 0,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 0,
    }
    usage |= {"output_tokens_details": None, "server_tool_use": None}
    unknown = dict.fromkeys(("cache_creation", "inference_geo", "service_tier", "speed"))
    start: dict = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": []}
    start |= dict.fromkeys(("stop_reason", "stop_sequence", "stop_details", "container", "diagnostics"))
    assert response == [
        {
            "type": "message_start",
            "message": start | {"usage": usage | unknown},
        },
        {"type": "ping"},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "", "citations": []}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "A "}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "cat."}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": ended("end_turn"),
            "usage": usage | {"input_tokens": 10, "output_tokens": 2},
        },
        {"type": "message_stop"},
    ]


def test_each_chunk_is_translated_as_soon_as_it_arrives() -> None:
    translator = parse(a_request(stream=True)).to_upstream().translator.stream(())

    response = [translator.feed(piece) for piece in CHUNKS]

    assert [[event["type"] for event in events_of(each)] for each in response] == [
        ["message_start", "ping"],
        ["content_block_start", "content_block_delta"],
        ["content_block_delta"],
        [],
        [],
        ["content_block_stop", "message_delta", "message_stop"],
    ]


def test_the_image_tokens_are_in_both_usages() -> None:
    response = parse_stream(streamed(*CHUNKS, image_tokens=(729, 16)))

    assert response.start["usage"]["image_tokens"] == response.usage["image_tokens"] == 745


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning"])
def test_reasoning_becomes_a_signed_thinking_block_before_the_text(key: str) -> None:
    stream = streamed(chunk({key: "Whis"}), chunk({key: "kers."}), chunk({"content": "A cat."}), STOP, DONE)

    response = parse_stream(stream)
    assert [(block.kind, block.text) for block in response.blocks] == [("thinking", "Whiskers."), ("text", "A cat.")]
    assert {"type": "signature_delta", "signature": ""} in [event.get("delta") for event in events_of(stream)]


def test_reasoning_is_omitted_if_thinking_is_disabled() -> None:
    stream = streamed(chunk({"reasoning": "hm"}), *CHUNKS, thinking={"type": "disabled"})

    assert [block.kind for block in parse_stream(stream).blocks] == ["text"]


def test_a_tool_call_is_streamed_piece_by_piece() -> None:
    stream = streamed(
        chunk({"content": "Let me see."}),
        call(0, "", "look_up", "call_1"),
        call(0, '{"wo'),
        call(0, 'rd": "é"}'),
        chunk({}, "tool_calls"),
        DONE,
    )

    assert calls_in(stream) == [("call_1", "look_up", '{"word": "é"}')]
    assert parse_stream(stream).delta == ended("tool_use")
    assert parse_stream(stream).blocks[1].start["caller"] == {"type": "direct"}
    pieces = [event["delta"] for event in events_of(stream) if event["type"] == "content_block_delta"]
    assert [piece["partial_json"] for piece in pieces if "partial_json" in piece] == ['{"wo', 'rd": "é"}']


def test_interleaved_tool_calls_become_blocks_one_after_the_other() -> None:
    stream = streamed(
        call(0, '{"a"', "first", "call_a"),
        call(1, '{"b', "second", "call_b"),
        chunk({"content": "Meanwhile."}),
        call(0, ":1"),
        call(1, '":[2'),
        call(2, "{}", "third", "call_c"),
        call(0, "}"),
        call(1, "]}"),
        chunk({}, "tool_calls"),
        DONE,
    )

    assert calls_in(stream) == [
        ("call_a", "first", '{"a":1}'),
        ("call_b", "second", '{"b":[2]}'),
        ("call_c", "third", "{}"),
    ]
    assert [block.kind for block in parse_stream(stream).blocks] == ["tool_use", "tool_use", "text", "tool_use"]


def test_the_next_of_interleaved_calls_starts_once_the_first_is_complete() -> None:
    translator = parse(a_request(stream=True)).to_upstream().translator.stream(())
    translator.feed(call(0, '{"a"', "first", "call_a"))

    held = translator.feed(call(1, "{}", "second", "call_b"))
    response = translator.feed(call(0, ":1}"))

    assert held == b""
    assert [event["type"] for event in events_of(response)] == [
        "content_block_delta",
        "content_block_stop",
        "content_block_start",
        "content_block_delta",
    ]


@pytest.mark.parametrize(
    "pieces",
    [
        [call(None, '{"a":1}', "f", "call_a"), call(None, '{"b":2}', "g", "call_b")],
        [call(None, '{"a":', "f", "call_a"), call(None, "1}"), call(None, "{", "g", "call_b"), call(None, '"b":2}')],
        [call(0, '{"a":1}', "f", "call_a"), call(0, '{"b":2}', "g", "call_b")],
        [call(0, '{"a":1}', "f", "call_a"), call(0, "", "f", "call_a"), call(0, '{"b":2}', "g", "call_b")],
        [call(0, '{"a":1}', "f", "call_a"), call(1, '{"b":', "g", "call_b"), call(1, "2}", "g", "call_b")],
    ],
    ids=["whole without index", "pieces without index", "all under one index", "the name again", "the name twice"],
)
def test_tool_calls_are_separated_whatever_indexes_the_upstream_uses(pieces: list[bytes]) -> None:
    assert calls_in(streamed(*pieces, STOP, DONE)) == [("call_a", "f", '{"a":1}'), ("call_b", "g", '{"b":2}')]


@pytest.mark.parametrize("no_id", [None, ""])
def test_whole_tool_calls_with_one_index_and_no_ids_are_separated(no_id: str | None) -> None:
    response = calls_in(streamed(call(0, '{"a":1}', "f", no_id), call(0, '{"b":2}', "f", no_id), STOP, DONE))

    assert [(name, arguments) for _, name, arguments in response] == [("f", '{"a":1}'), ("f", '{"b":2}')]
    assert len({call_id for call_id, _, _ in response}) == 2


def test_a_call_without_arguments_ends_at_another_id_with_its_index() -> None:
    response = calls_in(streamed(call(0, "", "f", "call_a"), call(0, '{"b":2}', "g", "call_b"), STOP, DONE))

    assert response == [("call_a", "f", ""), ("call_b", "g", '{"b":2}')]


def test_a_call_without_arguments_has_an_empty_input() -> None:
    stream = streamed(call(0, None, "now", "call_1"), chunk({"content": "done"}), STOP, DONE)

    assert [(block.kind, block.text) for block in parse_stream(stream).blocks] == [("tool_use", ""), ("text", "done")]


@pytest.mark.parametrize(
    ("finish_reason", "stop_reason"),
    [("stop", "end_turn"), ("length", "max_tokens"), ("content_filter", "refusal"), ("something_new", "end_turn")],
)
def test_the_finish_reason_becomes_the_stop_reason(finish_reason: str, stop_reason: str) -> None:
    response = parse_stream(streamed(chunk({"content": "a"}), chunk({}, finish_reason), DONE))

    assert response.delta == ended(stop_reason)


def test_a_refusal_becomes_text_and_the_stop_reason() -> None:
    response = parse_stream(streamed(chunk({"refusal": "I will"}), chunk({"refusal": " not."}), STOP, DONE))

    assert (response.texts(), response.delta["stop_reason"]) == (["I will not."], "refusal")


def test_a_stop_sequence_is_named_if_the_upstream_names_it() -> None:
    met = {"index": 0, "delta": {}, "finish_reason": "stop", "stop_reason": "END"}

    response = parse_stream(streamed(chunk({"content": "a"}), chunk({}, choices=[met]), DONE, stop_sequences=["END"]))

    assert response.delta == ended("stop_sequence", "END")


def test_a_usage_before_the_last_chunk_is_kept() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 4}

    response = parse_stream(streamed(chunk({"content": "a"}, usage=usage), chunk({}, "stop", usage=None), DONE))

    assert (response.usage["input_tokens"], response.usage["output_tokens"]) == (3, 4)


def test_a_stream_with_a_finish_reason_needs_no_done() -> None:
    assert parse_stream(streamed(*CHUNKS[:-1])).usage["output_tokens"] == 2


def test_a_last_line_without_line_feed_counts() -> None:
    assert parse_stream(streamed(*CHUNKS[:-1], DONE.strip())).stopped


def test_chunks_after_done_are_ignored() -> None:
    response = parse_stream(streamed(*CHUNKS, chunk({"content": "and more"})))

    assert response.texts() == ["A cat."]


def test_other_choices_comments_and_event_names_are_ignored() -> None:
    other = chunk({}, choices=[{"index": 1, "delta": {"content": "A dog."}}])

    response = parse_stream(streamed(b": keep-alive\n\n", other, b"event: message\n", *CHUNKS))

    assert response.texts() == ["A cat."]


def test_a_stream_without_content_is_an_empty_message() -> None:
    response = parse_stream(streamed(STOP, DONE))

    assert (response.blocks, response.delta["stop_reason"]) == ([], "end_turn")


def broken(*pieces: bytes) -> bytes:
    """The events of a stream that fails: those before the failure, and the error event."""
    translator = parse(a_request(stream=True)).to_upstream().translator.stream(())
    response: list[bytes] = []
    try:
        response.extend(map(translator.feed, pieces))
        response.append(translator.finish())
    except UpstreamError as failure:
        response.append(translator.fail(failure, "req_1"))
    return b"".join(response)


@pytest.mark.parametrize(
    "pieces",
    [
        CHUNKS[:3],
        [*CHUNKS[:3], b'data: {"error": {"message": "secret detail"}}\n\n', STOP],
        [b"".join([*CHUNKS[:3], b'data: {"error": {"message": "secret detail"}}\n\n'])],
        [*CHUNKS[:3], b"data: oops\n\n", DONE],
        [*CHUNKS[:3], call(0, "{}"), STOP, DONE],
        [*CHUNKS[:3], call(0, "{}", "f"), chunk({"content": "and"}), call(0, "[1]"), STOP, DONE],
    ],
    ids=["breaks off", "an error", "an error in one piece", "no JSON", "a nameless call", "a call that goes on"],
)
def test_an_upstream_error_in_mid_stream_becomes_an_error_event(pieces: list[bytes]) -> None:
    stream = broken(*pieces)

    response = parse_stream(stream)
    assert response.texts()[0] == "A cat."
    assert response.error["error"]["type"] == "api_error"
    assert response.error["error"]["code"] == "upstream_error"
    assert response.error["request_id"] == "req_1"
    assert b"secret detail" not in stream


def test_an_upstream_error_is_raised_at_once_if_no_events_wait() -> None:
    translator = parse(a_request(stream=True)).to_upstream().translator.stream(())
    translator.feed(CHUNKS[1])

    with pytest.raises(UpstreamError):
        translator.feed(b"data: oops\n\n")


def test_an_upstream_error_after_the_end_is_ignored() -> None:
    response = parse_stream(broken(*CHUNKS, b"data: oops\n\n"))

    assert response.stopped
    assert response.error is None
