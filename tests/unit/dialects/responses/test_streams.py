"""Chat streams translated to events: those of each chunk as it arrives, and those that end a broken stream."""

import json

import pytest

from obscura.errors import RateLimitExceeded, UpstreamError, UpstreamTimeout
from tests.support.fake_upstream import ANSWER, CHUNKS, chunk
from tests.support.response_stream_grammar import checked, events_of
from tests.unit.dialects.responses.requests import a_request, translated
from tests.unit.dialects.responses.streaming import DONE, a_translator, broken, kinds, streamed


def piece(index: int | None = 0, **function: object) -> bytes:
    call_id = function.pop("id", None)
    return chunk({"tool_calls": [{"index": index, "id": call_id, "function": function}]})


def test_a_text_is_streamed_in_the_order_of_the_grammar() -> None:
    events = streamed(*CHUNKS)

    assert kinds(events) == [
        "created", "in_progress", "output_item.added", "content_part.added",
        "output_text.delta", "output_text.delta",
        "output_text.done", "content_part.done", "output_item.done", "completed",
    ]  # fmt: skip
    assert [event["delta"] for event in events if "delta" in event] == ["A ", "cat."]


def test_the_last_response_equals_the_one_without_a_stream() -> None:
    *_, last = streamed(*CHUNKS, image_tokens=(729,))

    plain = translated(a_request(), image_tokens=(729,))
    differing = {"id", "completed_at", "output"}
    assert {key: last["response"][key] for key in plain.keys() - differing} == {
        key: plain[key] for key in plain.keys() - differing
    }
    assert last["response"]["output"][0]["content"] == plain["output"][0]["content"]


def test_the_events_of_a_chunk_are_sent_with_it() -> None:
    translator = a_translator()

    sent = [kinds(events_of(translator.feed(one))) for one in CHUNKS]

    assert sent[:3] == [
        ["created", "in_progress"],
        ["output_item.added", "content_part.added", "output_text.delta"],
        ["output_text.delta"],
    ]
    assert sent[3:] == [[], [], ["output_text.done", "content_part.done", "output_item.done", "completed"]]


def test_interleaved_deltas_of_parallel_calls_keep_their_output_index() -> None:
    events = streamed(
        chunk({"content": "Both."}),
        piece(0, id="call_a", name="look", arguments=""),
        piece(1, id="call_b", name="look", arguments='{"b"'),
        piece(0, arguments='{"a"'),
        piece(1, arguments=":2}"),
        piece(0, arguments=":1}"),
        chunk({}, "tool_calls"),
        DONE,
    )

    deltas = [(event["output_index"], event["delta"]) for event in events if "arguments.delta" in event["type"]]
    assert deltas == [(2, '{"b"'), (1, '{"a"'), (2, ":2}"), (1, ":1}")]
    assert [(item.get("call_id"), item.get("arguments")) for item in events[-1]["response"]["output"]] == [
        (None, None),
        ("call_a", '{"a":1}'),
        ("call_b", '{"b":2}'),
    ]


@pytest.mark.parametrize("index", [None, 0], ids=["no index", "always 0"])
def test_calls_without_indexes_are_distinguished_by_their_ids(index: int | None) -> None:
    events = streamed(
        piece(index, id="call_a", name="look", arguments="{}"),
        piece(index, id="call_b", name="look", arguments='{"b"'),
        piece(index, id="call_b", name="look", arguments=":2}"),
        DONE,
    )

    assert [item["arguments"] for item in events[-1]["response"]["output"]] == ["{}", '{"b":2}']


def test_choices_other_than_the_first_are_dropped() -> None:
    other = chunk({}, choices=[{"index": 1, "delta": {"content": "No."}, "finish_reason": "length"}])

    events = streamed(CHUNKS[0], other, *CHUNKS[1:])

    assert [event["delta"] for event in events if "delta" in event] == ["A ", "cat."]
    assert kinds(events)[-1] == "completed"


def test_a_call_without_an_id_gets_one() -> None:
    (called,) = streamed(piece(name="look", arguments="{}"), DONE)[-1]["response"]["output"]

    assert called["call_id"].startswith("call_")


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_is_an_item_of_its_own_before_the_message(field: str) -> None:
    events = streamed(chunk({field: "Hm, "}), chunk({field: "a cat?"}), chunk({"content": "A cat."}), DONE)

    reasoning, message = events[-1]["response"]["output"]
    assert reasoning["content"] == [{"type": "reasoning_text", "text": "Hm, a cat?"}]
    assert message["content"][0]["text"] == "A cat."


def test_a_refusal_follows_the_text_as_a_part_of_the_same_message() -> None:
    events = streamed(chunk({"content": "Well, "}), chunk({"refusal": "no."}), DONE)

    (message,) = events[-1]["response"]["output"]
    assert [part["type"] for part in message["content"]] == ["output_text", "refusal"]


@pytest.mark.parametrize(
    ("finish_reason", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")]
)
def test_a_cut_off_answer_is_incomplete_in_its_last_item(finish_reason: str, reason: str) -> None:
    events = streamed(
        piece(0, id="a", name="look", arguments="{}"), chunk({"content": "A c"}), chunk({}, finish_reason), DONE
    )

    last = events[-1]
    assert (last["type"], last["response"]["incomplete_details"]) == ("response.incomplete", {"reason": reason})
    assert [item["status"] for item in last["response"]["output"]] == ["completed", "incomplete"]


def test_usage_and_image_tokens_come_with_the_last_event() -> None:
    *_, last = streamed(*CHUNKS, image_tokens=(729, 2116))

    assert last["response"]["usage"]["input_tokens_details"]["image_tokens"] == 2845
    assert last["response"]["usage"]["total_tokens"] == ANSWER["usage"]["total_tokens"]


def test_a_stream_is_complete_after_its_finish_reason_without_done() -> None:
    assert kinds(streamed(*CHUNKS[:-1]))[-1] == "completed"
    assert kinds(streamed(*CHUNKS[:3], CHUNKS[3].rstrip()))[-1] == "completed"


def test_chunks_after_the_end_are_dropped() -> None:
    assert kinds(streamed(*CHUNKS, chunk({"content": "more"}), b"data: oops\n\n"))[-1] == "completed"


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        [CHUNKS[0]],
        [*CHUNKS[:2], b"data: oops\n\n"],
        [*CHUNKS[:2], b'data: {"error":{"message":"secret"}}\n\n'],
        [CHUNKS[1] + b"data: oops\n\n"],
        [CHUNKS[1], b"data: oops"],
        [CHUNKS[1], piece(arguments="{}")],
        [CHUNKS[1], chunk({"tool_calls": [{"index": 0, "function": {"name": "look"}}, {"index": 1}]})],
        [CHUNKS[1] + piece(0, id="a", name="look", arguments='{"a"') + piece(1, id="b", name="look")],
    ],
)
def test_a_broken_stream_ends_in_failed_and_error_after_all_before_it(pieces: list) -> None:
    events = broken(*pieces)

    assert kinds(events)[-2:] == ["failed", "error"]
    assert events[-2]["response"]["error"]["code"] == "server_error"
    assert events[-1]["code"] == events[-1]["error"]["code"] == "upstream_error"
    text = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
    assert text == "".join("A " for piece in pieces if CHUNKS[1] in piece)
    assert {item["status"] for item in events[-2]["response"]["output"]} <= {"completed", "incomplete"}
    assert "secret" not in str(events)


def test_every_call_that_a_failure_left_open_is_incomplete() -> None:
    events = broken(piece(0, id="a", name="look", arguments='{"a"'), piece(1, id="b", name="look", arguments="{}"))

    assert [item["status"] for item in events[-2]["response"]["output"]] == ["incomplete", "incomplete"]


@pytest.mark.parametrize(
    ("error", "code"),
    [(RateLimitExceeded("Wait."), "rate_limit_exceeded"), (UpstreamTimeout("Slow."), "server_error")],
)
def test_a_failure_keeps_to_the_codes_of_the_schema(error: RateLimitExceeded | UpstreamTimeout, code: str) -> None:
    *_, failed, _ = checked(a_translator().fail(error, "req_1"))

    assert failed["response"]["error"] == {"code": code, "message": error.message}


def test_nothing_follows_a_stream_that_has_ended() -> None:
    translator = a_translator()
    translator.feed(b"".join(CHUNKS))

    assert translator.finish() == b""
    assert translator.fail(UpstreamError("Too late."), "req_1") == b""


def test_the_grammar_finds_events_that_are_wrong() -> None:
    good = streamed(*CHUNKS)
    broken_streams = [json.loads(json.dumps(good)) for _ in range(6)]
    broken_streams[0].pop(4)
    broken_streams[1][5]["sequence_number"] = 9
    broken_streams[2][4]["delta"] = "other"
    broken_streams[3][-1]["response"]["output"] = []
    broken_streams[4][2]["output_index"] = 1
    broken_streams[5] = broken_streams[5][:-1]

    for events in broken_streams:
        text = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
        with pytest.raises(AssertionError):
            checked(text.encode())
