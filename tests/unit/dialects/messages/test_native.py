"""Upstreams that speak Messages: requests and responses pass through, only the images are replaced."""

import json

import pytest

from obscura.dialects.messages.events import PASSTHROUGH
from obscura.errors import UpstreamError
from tests.support.message_stream_grammar import parse_stream
from tests.unit.dialects.messages.conversations import (
    a_request,
    assistant,
    image,
    parse,
    passed_natively,
    text,
    tool_result,
    user,
    with_images,
)

PREPARED_SOURCE = {"type": "base64", "media_type": "image/jpeg", "data": "UFJFUA=="}
IMAGE = {"type": "image", "source": PREPARED_SOURCE}


def test_images_become_base64_sources_anywhere_in_a_request() -> None:
    by_url = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    by_file = {"type": "image", "source": {"type": "file", "file_id": "file_1"}, "cache_control": {"type": "ephemeral"}}
    document = {"type": "document", "source": {"type": "content", "content": [image()]}}

    response = passed_natively(a_request(user(image(), by_url, by_file), user(tool_result("a", image()), document)))

    assert response["messages"] == [
        user(IMAGE, IMAGE, IMAGE | {"cache_control": {"type": "ephemeral"}}),
        user(tool_result("a", IMAGE), document | {"source": {"type": "content", "content": [IMAGE]}}),
    ]


def test_an_image_that_is_not_prepared_is_never_sent() -> None:
    parsed = parse(a_request(user(image()), user(tool_result("a", image()))))

    assert b"AAAA" not in parsed.to_upstream({"messages"}).body
    assert b"AAAA" not in parsed.to_upstream({"chat"}).body


def test_everything_else_goes_upstream_byte_for_byte() -> None:
    kept = (
        b'"tools":[ {"type" : "web_search_20260318","name":"web_search","max_uses":1.50} ]',
        b'"thinking":{"type":"between_tools"}',
        b'"x_vendor":{"n":12345678901234567890,"e":1E5, "n":null}',
        b'"temperature":1.00',
        b'"stream":null',
        b'"text":"\\ud83d\\ude00\\u00e9"',
        b'"input":{ "a" : [1,2 ] }',
        b'"citations":[ {"type":"char_location"} ]',
        b'"cache_control":{ "ttl":"1h" }',
    )
    body = (
        b'{"model":"m","max_tokens":5,%b,%b,%b,%b,%b,"messages":[{"role":"user","content":'
        b'[{"type":"text",%b,%b},{"type":"image","source":{"type":"base64","data":"AAAA"},%b}]},'
        b'{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"b",%b}]}]}'
    ) % (*kept[:6], kept[7], kept[8], kept[6])

    sent = with_images(parse(body)).to_upstream({"chat", "messages"}).body

    source = b'{"type":"base64","media_type":"image/jpeg","data":"UFJFUA=="}'
    assert sent == body.replace(b'{"type":"base64","data":"AAAA"}', source)


@pytest.mark.parametrize("length", [10, 100_000])
def test_a_request_without_images_is_the_same_bytes(length: int) -> None:
    request = a_request(user(text("é\n" * length)), assistant("x" * length), unknown={"a": None})
    body = json.dumps(request, separators=(",", ":")).encode()

    assert parse(body).to_upstream({"messages"}).body == body


@pytest.mark.parametrize("streamed", [False, True])
def test_a_native_request_goes_to_the_messages_endpoint(streamed: bool) -> None:
    to_upstream = parse(a_request(stream=streamed)).to_upstream({"chat", "messages"})

    assert (to_upstream.dialect, to_upstream.streamed) == ("messages", streamed)


def test_prefilled_turns_and_unknown_fields_go_to_a_native_upstream() -> None:
    request = a_request(user("hi"), assistant("The answer"), container="c", mcp_servers=[{}])

    assert passed_natively(request) == request


ANSWER = b'{"id":"msg_1", "content":[{"type":"text","text":"\\u00e9"}],"usage":{"input_tokens":5,"output_tokens":1}}'
STREAM = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant",'
    b'"content":[],"stop_reason":null,"usage":{"input_tokens":5,"output_tokens":1}}}\n\n',
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
    b'"content_block":{"type":"text","text":""}}\n\n',
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":"the \\"usage\\""}}\n\n',
    b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n',
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},'
    b'"usage":{"output_tokens":7}}\n\n',
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
)


def passed(image_tokens: tuple[int, ...]) -> bytes:
    translator = PASSTHROUGH.stream(image_tokens)
    return b"".join([*map(translator.feed, STREAM), translator.finish()])


def test_a_native_response_changes_only_by_the_image_tokens() -> None:
    assert PASSTHROUGH.translate(ANSWER, []) == ANSWER
    assert json.loads(PASSTHROUGH.translate(ANSWER, [729, 1]))["usage"] == {
        "input_tokens": 5,
        "output_tokens": 1,
        "image_tokens": 730,
    }


def test_a_native_stream_gets_image_tokens_at_its_start_and_end_only() -> None:
    response = parse_stream(passed((729, 1)))

    assert passed(()) == b"".join(STREAM)
    assert response.start["usage"] == {"input_tokens": 5, "output_tokens": 1, "image_tokens": 730}
    assert response.usage == {"output_tokens": 7, "image_tokens": 730}
    assert b"".join(STREAM[1:4]) in passed((729, 1))


def test_a_native_stream_that_fails_ends_in_anthropics_error_event() -> None:
    translator = PASSTHROUGH.stream(())

    response = parse_stream(translator.feed(STREAM[0]) + translator.fail(UpstreamError("It broke."), "req_1"))

    assert response.error["error"] == {"type": "api_error", "message": "It broke.", "code": "upstream_error"}
