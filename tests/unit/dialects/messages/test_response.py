"""Whole chat completions as messages."""

import json
from typing import Any

import pytest

from obscura.errors import UpstreamError
from tests.unit.dialects.messages.conversations import a_completion, a_request, parse, translated

# What only Anthropic knows; its schema requires these keys, as null.
UNKNOWN_USAGE = dict.fromkeys(("server_tool_use", "cache_creation", "inference_geo", "service_tier", "speed"))


def a_call(call_id: str | None = "call_1", name: str | None = "look_up", arguments: str | None = "{}") -> dict:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_a_text_completion_is_a_message_with_every_field() -> None:
    usage = {"prompt_tokens": 12, "completion_tokens": 3}

    response = translated(a_completion(content="A cat.", usage=usage))

    assert response == {
        "id": "msg_7",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": "A cat.", "citations": []}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "stop_details": None,
        "container": None,
        "diagnostics": None,
        "usage": UNKNOWN_USAGE
        | {
            "input_tokens": 12,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 3,
            "output_tokens_details": None,
        },
    }


def test_the_usage_counts_images_cached_tokens_and_thinking() -> None:
    usage = {
        "prompt_tokens": 1000,
        "completion_tokens": 50,
        "prompt_tokens_details": {"cached_tokens": 600},
        "completion_tokens_details": {"reasoning_tokens": 40},
    }

    response = translated(a_completion(content="A cat.", usage=usage), image_tokens=(100, 29))

    assert response["usage"] == UNKNOWN_USAGE | {
        "input_tokens": 400,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 600,
        "output_tokens": 50,
        "output_tokens_details": {"thinking_tokens": 40},
        "image_tokens": 129,
    }


def test_without_an_upstream_usage_only_images_are_counted() -> None:
    usage = translated(a_completion(content="A cat."), image_tokens=(5,))["usage"]

    assert (usage["input_tokens"], usage["output_tokens"], usage["image_tokens"]) == (0, 0, 5)


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning"])
def test_reasoning_comes_first_as_thinking(key: str) -> None:
    response = translated(a_completion(**dict[str, Any]({"content": "A cat.", key: "Whiskers."})))

    assert response["content"] == [
        {"type": "thinking", "thinking": "Whiskers.", "signature": ""},
        {"type": "text", "text": "A cat.", "citations": []},
    ]


@pytest.mark.parametrize("thinking", [{"type": "disabled"}, {"type": "adaptive", "display": "omitted"}])
def test_reasoning_is_omitted_if_thinking_is_disabled_or_hidden(thinking: dict) -> None:
    response = translated(a_completion(content="A cat.", reasoning_content="Whiskers."), thinking=thinking)

    assert [block["type"] for block in response["content"]] == ["text"]


def test_tool_calls_become_tool_use_with_their_inputs_as_objects() -> None:
    calls = [a_call("call_1", arguments='{"word": "é", "n": 1.50}'), a_call("call_2", "count", "")]

    response = translated(a_completion("tool_calls", content="Let me see.", tool_calls=calls))

    assert response["stop_reason"] == "tool_use"
    direct = {"type": "direct"}
    assert response["content"] == [
        {"type": "text", "text": "Let me see.", "citations": []},
        {"type": "tool_use", "id": "call_1", "name": "look_up", "input": {"word": "é", "n": 1.5}, "caller": direct},
        {"type": "tool_use", "id": "call_2", "name": "count", "input": {}, "caller": direct},
    ]


@pytest.mark.parametrize("arguments", ['{"word": "cut o', "[1]", '"word"', "null", "[" * 5000])
def test_arguments_that_are_no_object_are_kept_as_text_in_an_object(arguments: str) -> None:
    response = translated(a_completion("length", content=None, tool_calls=[a_call(arguments=arguments)]))

    assert response["content"][0]["input"] == {"_raw": arguments}


def test_a_tool_call_without_an_id_gets_a_new_one() -> None:
    response = translated(a_completion(content=None, tool_calls=[a_call(None), a_call("")]))

    first, second = (block["id"] for block in response["content"])
    assert first.startswith("toolu_")
    assert first != second


@pytest.mark.parametrize(
    ("finish_reason", "message", "stop_reason"),
    [
        ("stop", {"content": "a"}, "end_turn"),
        (None, {"content": "a"}, "end_turn"),
        ("something_new", {"content": "a"}, "end_turn"),
        ("length", {"content": "a"}, "max_tokens"),
        ("length", {"content": None, "tool_calls": [a_call()]}, "max_tokens"),
        ("tool_calls", {"content": None, "tool_calls": [a_call()]}, "tool_use"),
        ("stop", {"content": None, "tool_calls": [a_call()]}, "tool_use"),
        ("content_filter", {"content": "a"}, "refusal"),
        ("stop", {"content": None, "refusal": "I will not."}, "refusal"),
    ],
)
def test_the_finish_reason_becomes_the_stop_reason(finish_reason: str, message: dict, stop_reason: str) -> None:
    response = translated(a_completion(finish_reason, **message))

    assert (response["stop_reason"], response["stop_sequence"]) == (stop_reason, None)


def test_a_refusal_becomes_the_text() -> None:
    response = translated(a_completion(content=None, refusal="I will not."))

    assert response["content"] == [{"type": "text", "text": "I will not.", "citations": []}]


@pytest.mark.parametrize("key", ["stop_reason", "matched_stop"])
def test_a_stop_sequence_is_named_if_the_upstream_names_it(key: str) -> None:
    completion = a_completion(content="a")
    completion["choices"][0][key] = "END"

    requested = translated(completion, stop_sequences=["END"])
    not_requested = translated(completion)

    assert (requested["stop_reason"], requested["stop_sequence"]) == ("stop_sequence", "END")
    assert (not_requested["stop_reason"], not_requested["stop_sequence"]) == ("end_turn", None)


def test_an_empty_completion_has_no_blocks() -> None:
    assert translated(a_completion(content=None))["content"] == []


def test_a_completion_without_an_id_gets_a_new_one() -> None:
    assert len(translated(a_completion(content="a") | {"id": ""})["id"]) > len("msg_") + 16


@pytest.mark.parametrize(
    "completion",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"choices":[]}',
        b'{"choices":[{"index":0}]}',
        b'{"error":{"message":"secret detail"}}',
        json.dumps(a_completion(content=None, tool_calls=[a_call(name=None)])).encode(),
        json.dumps(a_completion(content=None, tool_calls=[{"id": "a"}])).encode(),
    ],
)
def test_a_malformed_completion_is_an_upstream_error(completion: bytes) -> None:
    translator = parse(a_request()).to_upstream().translator

    with pytest.raises(UpstreamError) as failure:
        translator.translate(completion, ())

    assert "secret detail" not in failure.value.message
