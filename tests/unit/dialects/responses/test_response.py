"""Chat completions translated to responses; tests/contract/fields has that they are complete objects."""

import pytest

from obscura.errors import UpstreamError
from tests.support.fake_upstream import ANSWER
from tests.unit.dialects.responses.requests import FUNCTION, a_request, completion, translated

EVERYTHING = a_request(
    "hello",
    instructions="Be brief.",
    max_output_tokens=50,
    max_tool_calls=3,
    metadata={"a": "b"},
    parallel_tool_calls=False,
    presence_penalty=0.5,
    frequency_penalty=0.5,
    prompt_cache_key="k",
    prompt_cache_retention="24h",
    reasoning={"effort": "low", "summary": "auto"},
    safety_identifier="s",
    service_tier="flex",
    temperature=0.5,
    text={"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}, "verbosity": "low"},
    tool_choice={"type": "function", "name": "look"},
    tools=[FUNCTION],
    top_logprobs=2,
    top_p=0.25,
    truncation="disabled",
    user="u",
)
CALLS = [
    {"id": "call_a", "type": "function", "function": {"name": "look", "arguments": '{"at":1}'}},
    {"id": "call_b", "type": "function", "function": {"name": "look", "arguments": "{}"}},
]


def test_unset_fields_are_what_the_api_shows_and_nothing_is_stored() -> None:
    response = translated(a_request())

    assert (response["store"], response["background"], response["truncation"]) == (False, False, "disabled")
    assert (response["tools"], response["tool_choice"], response["parallel_tool_calls"]) == ([], "auto", True)
    assert (response["metadata"], response["reasoning"]) == ({}, {"effort": None, "summary": None})
    assert response["text"] == {"format": {"type": "text"}, "verbosity": "medium"}
    assert (response["temperature"], response["top_p"], response["top_logprobs"]) == (1.0, 1.0, 0)
    assert (response["presence_penalty"], response["frequency_penalty"]) == (0, 0)
    assert response["service_tier"] == "default"
    unset = {key for key, value in response.items() if value is None}
    assert unset >= {"previous_response_id", "conversation", "error", "incomplete_details", "instructions"}
    assert not response.keys() & {"user", "prompt_cache_options"}


def test_fields_of_the_request_are_repeated_as_sent() -> None:
    response = translated(EVERYTHING)

    repeated = {key: response[key] for key in EVERYTHING if key not in {"model", "input", "tools"}}
    assert repeated == {key: value for key, value in EVERYTHING.items() if key in repeated}
    assert response["tools"] == [{"description": None, **FUNCTION}]


def test_model_and_time_are_the_upstreams_or_else_the_requests() -> None:
    response = translated(a_request(), completion(model="m-2026", created=1_700_000_000))
    unset = translated(a_request(), completion(model="", created=0))

    assert (response["model"], response["created_at"]) == ("m-2026", 1_700_000_000)
    assert unset["model"] == "m"
    assert unset["created_at"] == unset["completed_at"] > 1_700_000_000


def test_output_is_reasoning_then_the_message_then_the_calls() -> None:
    message = {"content": "Two.", "refusal": "Not three.", "reasoning": "One, two.", "tool_calls": CALLS}

    reasoning, text, *calls = translated(a_request(), completion(message, "tool_calls"))["output"]

    assert reasoning["content"] == [{"type": "reasoning_text", "text": "One, two."}]
    assert [part["type"] for part in text["content"]] == ["output_text", "refusal"]
    assert [(call["call_id"], call["name"], call["arguments"]) for call in calls] == [
        ("call_a", "look", '{"at":1}'),
        ("call_b", "look", "{}"),
    ]
    assert len({item["id"] for item in (reasoning, text, *calls)}) == 4


@pytest.mark.parametrize(
    ("finish_reason", "status", "reason"),
    [
        ("stop", "completed", None),
        ("tool_calls", "completed", None),
        ("length", "incomplete", "max_output_tokens"),
        ("content_filter", "incomplete", "content_filter"),
        (None, "completed", None),
    ],
)
def test_the_finish_reason_decides_the_status(finish_reason: str | None, status: str, reason: str | None) -> None:
    response = translated(a_request(), completion(finish_reason=finish_reason))

    assert response["status"] == response["output"][0]["status"] == status
    assert (response["incomplete_details"] or {}).get("reason") == reason
    assert (response["completed_at"] is None) == (status == "incomplete")


def test_usage_carries_the_details_and_the_sum_of_the_image_tokens() -> None:
    usage = ANSWER["usage"] | {
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }

    response = translated(a_request(), completion(usage=usage), (729, 2116))["usage"]

    assert response == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0, "image_tokens": 2845},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 12,
    }


def test_image_tokens_and_usage_are_absent_if_there_are_none() -> None:
    response, without_usage = translated(a_request()), translated(a_request(), completion(usage=None))

    assert "image_tokens" not in response["usage"]["input_tokens_details"]
    assert without_usage["usage"] is None


@pytest.mark.parametrize(
    "upstream_body",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"choices":[]}',
        b'{"choices":[{"index":0}]}',
        b'{"choices":"x"}',
        b'{"error":{"message":"secret"}}',
        completion({"tool_calls": [{"id": "a", "function": {"arguments": "{}"}}]}),
        completion({"content": "\ud800"}).replace(b"\\ud800", b"\xff"),
    ],
)
def test_an_answer_that_is_no_completion_is_an_upstream_error(upstream_body: bytes) -> None:
    with pytest.raises(UpstreamError) as raised:
        translated(a_request(), upstream_body)

    assert "secret" not in raised.value.message
