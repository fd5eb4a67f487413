"""An upstream that speaks Responses: requests change only in their images, answers only in their image tokens."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obscura.dialects.base import ContentLimits, RequestHead
from obscura.dialects.json.raw import RawJson
from obscura.dialects.responses.request import ResponsesDialect
from obscura.errors import InvalidRequest, UpstreamError
from tests.support.response_stream_grammar import events_of
from tests.unit.dialects.responses.requests import (
    FILE_ID,
    FUNCTION,
    PREPARED,
    a_message,
    a_request,
    as_native,
    image,
    parsed,
    text,
    to_upstream,
)

USAGE = {"input_tokens": 10, "output_tokens": 2, "total_tokens": 12}
STATEFUL = {
    "previous_response_id": "resp_1",
    "conversation": {"id": "conv_1"},
    "background": True,
    "store": True,
    "truncation": "auto",
    "include": ["message.output_text.logprobs"],
    "tools": [FUNCTION, {"type": "web_search"}, {"type": "image_generation", "size": "1024x1024"}],
    "x_vendor": {"n": 1},
}


def test_a_native_request_changes_only_in_its_images() -> None:
    sent = a_request(
        [
            a_message(text("hi"), image("https://x.test/a.png", detail="low", x_vendor=1)),
            {"type": "function_call_output", "call_id": "a", "output": [image()], "x_vendor": 2},
            {"type": "item_reference", "id": "msg_1"},
            {
                "type": "web_search_call",
                "id": "ws_1",
                "status": "completed",
                "action": {"type": "search", "query": "q"},
            },
        ],
        **STATEFUL,
    )

    native = as_native(sent)

    sent["input"][0]["content"][1]["image_url"] = sent["input"][1]["output"][0]["image_url"] = PREPARED.decode()
    assert native == sent


def test_numbers_and_escapes_are_untouched_byte_for_byte() -> None:
    body = (
        b'{"model":"m","input":[{"role":"user","content":"\\u00e9"}],"x":1.50,"y":12345678901234567890,"z":{"a" : 1E5}}'
    )

    upstream_body = ResponsesDialect().parse(RequestHead(), RawJson(body), ContentLimits()).to_upstream(("responses",))

    assert upstream_body.body == body


def test_a_file_id_becomes_the_image_that_was_checked() -> None:
    native = as_native(a_request([a_message({"type": "input_image", "file_id": FILE_ID, "detail": "low"})]))

    assert native["input"][0]["content"] == [{"type": "input_image", "detail": "low", "image_url": PREPARED.decode()}]


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ({"file_data": "data:image/png;base64,AAAA"}, "file_data"),
        ({"file_data": "DATA:Image/heic;base64,AAAA"}, "file_data"),
        ({"file_data": "iVBORw0KGgoAAAAA"}, "file_data"),
        ({"file_data": "data:application/pdf;base64,/9j/AAAA"}, "file_data"),
        ({"file_id": FILE_ID, "mime_type": "image/png"}, "file_id"),
        ({"input_file": {"file_id": FILE_ID, "mime_type": "image/png"}}, "input_file.file_id"),
        ({"input_file": {"file_data": "iVBORw0KGgoAAAAA", "mime_type": "text/plain"}}, "input_file.file_data"),
        ({"mime_type": "image/png", "input_file": {"file_url": "https://x.test/a"}}, "input_file.file_url"),
        ({"file_url": "https://x.test/a", "mime_type": "IMAGE/png"}, "file_url"),
    ],
)
def test_a_file_that_is_an_image_becomes_an_image(source: dict, path: str) -> None:
    request = a_request([a_message({"type": "input_file", "filename": "a", "detail": "high", **source})])

    (slot,) = parsed(request).images
    native = as_native(request)

    assert (slot.path, slot.detail) == (f"input[0].content[0].{path}", "high")
    assert native["input"][0]["content"] == [{"type": "input_image", "detail": "high", "image_url": PREPARED.decode()}]


def pages(**fields: object) -> list[dict]:
    """The parts of the two pages that stand for each document here."""
    image_of_page = {"type": "input_image", "image_url": PREPARED.decode()} | fields
    return [
        text("a.pdf (page 1 of 2):\n\nthe first page's text"),
        image_of_page,
        text("a.pdf (page 2 of 2)"),
        image_of_page,
    ]


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ({"file_data": "data:application/pdf;base64,JVBERi0xLjcK"}, "file_data"),
        ({"file_data": "JVBERi0xLjcK", "mime_type": "text/plain"}, "file_data"),
        ({"file_data": "data:text/plain;base64,JVBERi0xLjcK"}, "file_data"),
        ({"file_data": "AAAA", "mime_type": "application/pdf"}, "file_data"),
        ({"file_id": FILE_ID}, "file_id"),
        ({"file_url": "https://x.test/a.pdf"}, "file_url"),
        ({"file_url": "https://x.test/a", "mime_type": "application/zip"}, "file_url"),
        ({"input_file": {"file_id": FILE_ID, "detail": "low"}}, "input_file.file_id"),
        ({"input_file": {"file_data": "JVBERi0xLjcK", "detail": "low"}}, "input_file.file_data"),
    ],
)
def test_a_file_that_is_or_may_be_a_pdf_becomes_its_pages(source: dict, path: str) -> None:
    request = a_request([a_message(text("hi"), {"type": "input_file", "filename": "a.pdf", "detail": "low"} | source)])

    (slot,) = parsed(request).documents
    native = as_native(request)

    assert (slot.path, slot.detail) == (f"input[0].content[1].{path}", "low")
    assert "a.pdf" in parsed(request).texts
    assert native["input"][0]["content"] == [text("hi"), *pages(detail="low")]


def test_the_last_page_has_the_cache_breakpoint_of_the_document() -> None:
    cache_breakpoint = {"prompt_cache_breakpoint": {"mode": "explicit"}}
    part = {"type": "input_file", "file_data": "JVBERi0xLjcK", "filename": "a.pdf"} | cache_breakpoint

    native = as_native(a_request([a_message(part)]))

    *others, last = pages(detail="auto")
    assert native["input"][0]["content"] == [*others, last | cache_breakpoint]


def test_escapes_do_not_hide_an_image_in_a_file() -> None:
    part = b'{"type":"input_file","file_data":"\\u0064ata:image\\/png;base64,AAAA"}'
    body = b'{"model":"m","input":[{"role":"user","content":[%b]}]}' % part

    (slot,) = ResponsesDialect().parse(RequestHead(), RawJson(body), ContentLimits()).images

    assert slot.path == "input[0].content[0].file_data"


def test_a_file_of_another_kind_goes_only_where_the_operator_passes_it() -> None:
    part = {"type": "input_file", "file_data": "data:application/zip;base64,UEsDBAAA"}

    native = as_native(a_request([a_message(part)]), passing=["input_file"])

    assert native["input"][0]["content"] == [part]


def test_a_screenshot_has_high_detail() -> None:
    item = {
        "type": "computer_call_output",
        "call_id": "a",
        "output": {"type": "computer_screenshot", "image_url": "https://x.test/a.png"},
    }

    (slot,) = parsed(a_request([item])).images
    native = as_native(a_request([item]))

    assert (slot.path, slot.detail) == ("input[0].output.image_url", "high")
    assert native["input"][0]["output"] == {"type": "computer_screenshot", "image_url": PREPARED.decode()}


def test_a_malformed_screenshot_is_rejected_by_its_path() -> None:
    with pytest.raises(InvalidRequest) as raised:
        parsed(a_request([{"type": "computer_call_output", "call_id": "a", "output": "AAAA"}]))

    assert raised.value.param == "input[0].output"


def test_a_file_that_is_an_image_keeps_its_cache_breakpoint() -> None:
    cache_breakpoint = {"prompt_cache_breakpoint": {"mode": "explicit"}}

    native = as_native(a_request([a_message({"type": "input_file", "file_data": "iVBORw0KGgo="} | cache_breakpoint)]))

    assert native["input"][0]["content"] == [image(PREPARED.decode(), detail="auto") | cache_breakpoint]


def test_the_variables_of_a_prompt_are_collected() -> None:
    prompt = {
        "id": "pmpt_1",
        "variables": {"name": "Ann", "logo": image("https://x.test/a.png"), "greeting": text("hi")},
    }

    request = parsed({"model": "m", "prompt": prompt})
    native = as_native({"model": "m", "prompt": prompt})

    assert list(request.texts) == ["Ann", "hi"]
    assert [slot.path for slot in request.images] == ["prompt.variables.logo.image_url"]
    assert native["prompt"]["variables"]["logo"]["image_url"] == PREPARED.decode()


def test_tools_that_only_mention_images_are_not_images() -> None:
    tool = FUNCTION | {"parameters": {"type": "object", "properties": {"image_url": {"type": "string"}}}}
    item = {"type": "tool_search_output", "call_id": "a", "tools": [tool, {"type": "image_generation"}]}

    native = as_native(a_request([a_message(text("hi")), item], tools=[tool]))

    assert (native["input"][1], native["tools"]) == (item, [tool])


def test_every_text_is_collected_in_order() -> None:
    request = a_request(
        [
            a_message(text("one"), {"type": "output_text", "text": "two"}, {"type": "refusal", "refusal": "three"}),
            {"role": "user", "content": "four"},
            {"type": "function_call", "call_id": "a", "name": "n", "arguments": "five"},
            {"type": "function_call_output", "call_id": "a", "output": "six"},
            {"type": "custom_tool_call_output", "call_id": "b", "output": [text("seven")]},
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "eight"}]},
            {"type": "shell_call_output", "call_id": "c", "output": [{"stdout": "nine", "stderr": "ten"}]},
        ],
        instructions="zero",
    )

    assert " ".join(parsed(request).texts) == "one two three four n five six seven eight nine ten zero"


def test_a_native_answer_changes_only_in_its_image_tokens() -> None:
    upstream = json.dumps({"id": "resp_1", "output": [], "usage": USAGE}).encode()

    plain = to_upstream(a_request(), "responses").translator.translate(upstream, [])
    with_images = to_upstream(a_request(), "responses").translator.translate(upstream, [729, 2116])

    assert plain == upstream
    assert json.loads(with_images)["usage"] == USAGE | {"input_tokens_details": {"image_tokens": 2845}}


def test_a_native_answer_that_is_no_object_is_an_upstream_error() -> None:
    with pytest.raises(UpstreamError):
        to_upstream(a_request(), "responses").translator.translate(b"[]", [])


EVENTS: list[dict[str, Any]] = [
    {"type": "response.created", "sequence_number": 0, "response": {"id": "resp_1", "usage": None}},
    {"type": "response.output_text.delta", "sequence_number": 1, "delta": 'the "sequence_number":99 of "usage"'},
    {"type": "response.completed", "sequence_number": 2, "response": {"id": "resp_1", "usage": USAGE}},
]


def framed(event: dict) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def test_only_the_event_with_the_usage_changes() -> None:
    translator = to_upstream(a_request(stream=True), "responses").translator.stream([729])

    sent = b"".join([*(translator.feed(framed(event)) for event in EVENTS), translator.finish()])

    *others, last = events_of(sent)
    assert others == EVENTS[:-1]
    assert last["response"].pop("usage") == USAGE | {"input_tokens_details": {"image_tokens": 729}}
    assert last | {"response": last["response"] | {"usage": USAGE}} == EVENTS[-1]


@given(st.integers(0, 3), st.lists(st.integers(1, 60), max_size=12), st.sampled_from([[], [729]]))
def test_an_error_is_numbered_after_the_events_however_they_were_cut(
    count: int, cuts: list[int], image_tokens: list[int]
) -> None:
    translator = to_upstream(a_request(stream=True), "responses").translator.stream(image_tokens)
    stream = b"".join(map(framed, EVENTS[:count]))
    for cut in cuts:
        translator.feed(stream[:cut])
        stream = stream[cut:]
    translator.feed(stream)

    (error,) = events_of(translator.fail(UpstreamError("Gone."), "req_1"))

    assert (error["type"], error["sequence_number"], error["code"]) == ("error", count, "upstream_error")
