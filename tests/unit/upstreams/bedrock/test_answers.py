"""Bedrock's answers and errors: what is malformed or cannot be carried is an error, never half an answer."""

import base64
import json
from typing import Any

import pytest

from obscura.errors import ObscuraError, UpstreamError
from obscura.upstreams.base import ModelOptions
from obscura.upstreams.bedrock.converse_response import ConverseReader
from obscura.upstreams.bedrock.errors import error_of_response
from obscura.upstreams.bedrock.models import family_of, model_path, runtime_url
from obscura.upstreams.bedrock.native_messages import InvokeReader
from tests.support.bedrock import converse_answer, event, exception, frame, text_events

READER = ConverseReader("m", True)


@pytest.mark.parametrize(
    ("stop", "finish"),
    [
        ("end_turn", "stop"), ("stop_sequence", "stop"), ("max_tokens", "length"), ("tool_use", "tool_calls"),
        ("model_context_window_exceeded", "length"), ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"), ("something_new", "stop"),
    ],
)  # fmt: skip
def test_stop_reasons(stop: str, finish: str) -> None:
    answer = json.loads(READER.decode(json.dumps(converse_answer(stop=stop)).encode()))

    assert answer["choices"][0]["finish_reason"] == finish


@pytest.mark.parametrize(
    "answer",
    [
        {}, [], {"output": {}}, converse_answer(stop="malformed_tool_use"),
        converse_answer({"image": {"format": "png"}}),
        converse_answer({"video": {}}), converse_answer({"text": 1}),
    ],
)  # fmt: skip
def test_whole_answers_that_cannot_be_carried(answer: Any) -> None:
    with pytest.raises(UpstreamError):
        READER.decode(json.dumps(answer).encode())


@pytest.mark.parametrize(
    "frames",
    [
        [event("contentBlockStart", {"contentBlockIndex": 0, "start": {"image": {"format": "png"}}})],
        [event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"image": {}}})],
        [event("contentBlockDelta", {"contentBlockIndex": 3, "delta": {"toolUse": {"input": "{}"}}})],
        [event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"toolUse": {"input": 1}}})],
        [event("messageStop", {"stopReason": "malformed_model_output"})],
        [frame(b"{", message_type="event", event_type="messageStart")],
        [frame(b"{}", message_type="error", error_code="InternalFailure", error_message="Oh.")],
        [frame(b"{}")],
        [exception("modelStreamErrorException")],
    ],
)
def test_streams_that_cannot_be_carried_end_in_an_error_after_what_had_come(frames: list[bytes]) -> None:
    events = READER.stream_decoder().feed(b"".join([*text_events("A cat")[:2], *frames]))

    assert b"A cat" in next(iter(events))
    with pytest.raises(ObscuraError):
        next(iter(events))


def test_an_invoked_event_of_several_lines_becomes_one() -> None:
    pretty = json.dumps({"type": "ping", "text": "a\nb"}, indent=1).encode()
    message = event("chunk", {"bytes": base64.b64encode(pretty).decode()})

    decoded = b"".join(InvokeReader().stream_decoder().feed(message))
    assert decoded == b'event: ping\ndata: {"type":"ping","text":"a\\nb"}\n\n'


@pytest.mark.parametrize(
    ("name", "status", "expected"),
    [
        ("ValidationException", 400, (400, "invalid_request")),
        ("AccessDeniedException", 403, (502, "upstream_error")),
        ("ResourceNotFoundException", 404, (404, "model_not_found")),
        ("ModelTimeoutException", 408, (504, "upstream_timeout")),
        ("ModelErrorException", 424, (502, "upstream_error")),
        ("ThrottlingException", 429, (429, "rate_limit_exceeded")),
        ("ModelNotReadyException", 429, (503, "upstream_unavailable")),
        ("InternalServerException", 500, (502, "upstream_error")),
        ("ServiceUnavailableException", 503, (503, "upstream_unavailable")),
        ("ServiceQuotaExceededException", 400, (402, "upstream_billing")),
        ("ExpiredTokenException", 403, (502, "upstream_error")),
        ("", 429, (429, "rate_limit_exceeded")),
        ("", 413, (413, "request_too_large")),
        ("", 418, (502, "upstream_error")),
    ],
)
@pytest.mark.parametrize("body", [b'{"message":"Said."}', b'{"Message":"Said."}', b"<html>", b""])
def test_errors(name: str, status: int, expected: tuple[int, str], body: bytes) -> None:
    error = error_of_response(status, body, {"x-amzn-errortype": f"{name}:http://x/"} if name else {})

    assert (error.response_status, error.response_code) == expected


def test_an_error_names_no_account_and_no_arn_of_the_operators() -> None:
    denied = b'{"message":"User: arn:aws:sts::123456789012:assumed-role/x is not authorized"}'

    assert "123456789012" not in error_of_response(403, denied, {"x-amzn-errortype": "AccessDeniedException"}).message


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("anthropic.claude-3-haiku-20240307-v1:0", "anthropic"), ("eu.anthropic.claude-x-v1:0", "anthropic"),
        ("global.amazon.nova-2-lite-v1:0", "amazon"), ("meta.llama4-v1:0", ""), ("openai.gpt-oss-120b-1:0", ""),
        ("arn:aws:bedrock:eu-central-1::foundation-model/anthropic.claude-v1", "anthropic"),
        ("arn:aws:bedrock:eu-central-1:1:inference-profile/eu.amazon.nova-pro-v1:0", "amazon"),
        ("arn:aws:bedrock:eu-central-1:1:application-inference-profile/abc123", ""),
    ],
)  # fmt: skip
def test_whose_a_model_is(model: str, family: str) -> None:
    assert family_of(ModelOptions(model)) == family


def test_paths_and_endpoints() -> None:
    assert (
        model_path("arn:aws:bedrock:x::y/a.b:0", "converse")
        == "/model/arn%3Aaws%3Abedrock%3Ax%3A%3Ay%2Fa.b%3A0/converse"
    )
    assert model_path("../../x?y", "invoke") == "/model/..%2F..%2Fx%3Fy/invoke"
    assert runtime_url("eu-central-1") == "https://bedrock-runtime.eu-central-1.amazonaws.com"
    assert runtime_url("cn-north-1") == "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"
