"""Chat requests as Converse's: what each field becomes, and what is refused by name."""

import base64
import json
from typing import Any

import pytest

from obscura.errors import ImageTooLarge, InvalidRequest, ObscuraError, TooManyImages, UnsupportedOperation
from obscura.upstreams.base import ModelOptions
from obscura.upstreams.bedrock.converse_messages import MAX_IMAGE_BASE64_CHARS, MAX_IMAGES
from obscura.upstreams.bedrock.converse_request import to_converse

CLAUDE, NOVA, OTHER = "eu.anthropic.claude-x-v1:0", "amazon.nova-pro-v1:0", "meta.llama4-v1:0"
PNG = base64.b64encode(b"\x89PNG and more").decode()


def converse(model: str = CLAUDE, **fields: Any) -> dict[str, Any]:
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], **fields}
    written: dict[str, Any] = json.loads(to_converse(json.dumps(body).encode(), {}, None, streamed=False).body)
    return written


def url_part(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def test_a_whole_conversation() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"town": "Köln"}'}}
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": [{"type": "text", "text": "And kind."}]},
        {"role": "user", "content": [{"type": "text", "text": "What?"}, url_part(f"data:image/png;base64,{PNG}")]},
        {"role": "assistant", "content": "", "tool_calls": [call, call | {"id": "c2"}]},
        {"role": "tool", "tool_call_id": "c1", "content": "Rain"},
        {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "Sun"}]},
        {"role": "user", "content": "And now?"},
    ]

    assert converse(messages=messages) == {
        "system": [{"text": "Be brief."}, {"text": "And kind."}],
        "messages": [
            {"role": "user", "content": [{"text": "What?"}, {"image": {"format": "png", "source": {"bytes": PNG}}}]},
            {
                "role": "assistant",
                "content": [
                    {"toolUse": {"toolUseId": "c1", "name": "weather", "input": {"town": "Köln"}}},
                    {"toolUse": {"toolUseId": "c2", "name": "weather", "input": {"town": "Köln"}}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"toolResult": {"toolUseId": "c1", "content": [{"text": "Rain"}]}},
                    {"toolResult": {"toolUseId": "c2", "content": [{"text": "Sun"}]}},
                    {"text": "And now?"},
                ],
            },
        ],
    }


def test_images_in_results_of_tools() -> None:
    result = {"role": "tool", "tool_call_id": "c", "content": [url_part(f"data:image/jpeg;base64,{PNG}")]}

    (message,) = converse(messages=[result])["messages"]
    image = {"image": {"format": "jpeg", "source": {"bytes": PNG}}}
    assert message["content"] == [{"toolResult": {"toolUseId": "c", "content": [image]}}]


TOOL = {"type": "function", "function": {"name": "t", "parameters": {"type": "object"}}}
SPEC = {"toolSpec": {"name": "t", "inputSchema": {"json": {"type": "object"}}}}
SCHEMA = {"type": "object", "properties": {"ü": {"type": "string"}}}
GUARDRAIL = {"guardrailIdentifier": "g", "guardrailVersion": "1"}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"max_tokens": 5, "temperature": 0.5, "top_p": 0.9, "stop": "X"},
         {"inferenceConfig": {"maxTokens": 5, "temperature": 0.5, "topP": 0.9, "stopSequences": ["X"]}}),
        ({"max_completion_tokens": 6, "stop": ["X", "Y"]},
         {"inferenceConfig": {"maxTokens": 6, "stopSequences": ["X", "Y"]}}),
        ({"tools": [TOOL]}, {"toolConfig": {"tools": [SPEC]}}),
        ({"tools": [TOOL], "tool_choice": "auto"}, {"toolConfig": {"tools": [SPEC], "toolChoice": {"auto": {}}}}),
        ({"tools": [TOOL], "tool_choice": "required"}, {"toolConfig": {"tools": [SPEC], "toolChoice": {"any": {}}}}),
        ({"tools": [TOOL], "tool_choice": "none"}, {}),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "t"}}},
         {"toolConfig": {"tools": [SPEC], "toolChoice": {"tool": {"name": "t"}}}}),
        ({"tools": [TOOL, {"type": "function", "function": {"name": "u"}}],
          "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [TOOL]}}},
         {"toolConfig": {"tools": [SPEC], "toolChoice": {"any": {}}}}),
        ({"tools": [TOOL | {"cache_control": {"type": "ephemeral", "ttl": "1h"}}]},
         {"toolConfig": {"tools": [SPEC, {"cachePoint": {"type": "default", "ttl": "1h"}}]}}),
        ({"response_format": {"type": "text"}}, {}),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}}},
         {"outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {
             "name": "n", "schema": json.dumps(SCHEMA, ensure_ascii=False, separators=(",", ":"))}}}}}),
        ({"reasoning_effort": "minimal"}, {"outputConfig": {"effort": "low"}}),
        ({"reasoning_effort": "none"}, {}),
        ({"top_k": 7, "thinking": {"type": "enabled", "budget_tokens": 1024}},
         {"additionalModelRequestFields": {"top_k": 7, "thinking": {"type": "enabled", "budget_tokens": 1024}}}),
        ({"guardrailConfig": GUARDRAIL | {"streamProcessingMode": "async"}}, {"guardrailConfig": GUARDRAIL}),
        ({"performanceConfig": {"latency": "optimized"}}, {"performanceConfig": {"latency": "optimized"}}),
        ({"service_tier": "flex"}, {"serviceTier": {"type": "flex"}}),
        ({"service_tier": "auto", "user": "u", "metadata": {"a": "b"}, "store": False, "n": 1, "logprobs": False,
          "frequency_penalty": 0, "presence_penalty": 0.0,
          "parallel_tool_calls": False, "seed": None, "tools": []}, {}),
    ],
)  # fmt: skip
def test_fields(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert converse(**fields) == {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]} | expected


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"), ({"seed": 1}, "seed"), ({"logprobs": True}, "logprobs"),
        ({"logit_bias": {"1": 2}}, "logit_bias"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"), ({"modalities": ["text", "audio"]}, "modalities"),
        ({"new_field": 1}, "new_field"), ({"additionalModelRequestFields": {"a": 1}}, "additionalModelRequestFields"),
        ({"response_format": {"type": "json_object"}}, "response_format.type"),
        ({"tools": [TOOL], "parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"tools": [{"type": "custom", "custom": {"name": "c"}}]}, "tools[0].type"),
        ({"guardrailConfig": GUARDRAIL | {"trace": "enabled"}}, "guardrailConfig.trace"),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
        ({"messages": [{"role": "user", "content": [url_part("https://a.example/x.png")]}]},
         "messages[0].content[0].image_url"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]},
         "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "name": "Ann", "content": "Hi"}]}, "messages[0].name"),
        ({"messages": [{"role": "system", "content": [url_part(f"data:image/png;base64,{PNG}")]}]},
         "messages[0].content[0]"),
        ({"messages": [{"role": "function", "content": "Hi"}]}, "messages[0].role"),
    ],
)  # fmt: skip
def test_what_converse_cannot_carry_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(UnsupportedOperation) as raised:
        converse(**fields)

    assert raised.value.param == param


@pytest.mark.parametrize("field", ["top_k", "thinking"])
def test_what_only_anthropics_models_have_is_refused_for_others(field: str) -> None:
    with pytest.raises(UnsupportedOperation, match=field):
        converse(NOVA, **{field: {"type": "enabled"}})


@pytest.mark.parametrize(("model", "cached"), [(CLAUDE, True), (NOVA, True), (OTHER, False)])
def test_cache_points_go_to_models_that_take_them(model: str, cached: bool) -> None:
    part = {"type": "text", "text": "Long.", "cache_control": {"type": "ephemeral"}}

    (message,) = converse(model, messages=[{"role": "user", "content": [part]}])["messages"]
    assert message["content"] == [{"text": "Long."}] + [{"cachePoint": {"type": "default"}}] * cached


def test_signed_reasoning_goes_back_and_unsigned_is_left_out() -> None:
    message = {
        "role": "assistant",
        "content": "So.",
        "reasoning_content": "Hm.",
        "thinking_blocks": [
            {"type": "thinking", "thinking": "Hm.", "signature": "s"},
            {"type": "thinking", "thinking": "Unsigned."},
            {"type": "redacted_thinking", "data": "eA=="},
        ],
    }

    assert converse(messages=[message])["messages"][0]["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "s"}}},
        {"reasoningContent": {"redactedContent": "eA=="}},
        {"text": "So."},
    ]


def test_images_over_bedrocks_limits_are_refused_by_name() -> None:
    small, large = (f"data:image/png;base64,{data}" for data in (PNG, "A" * (MAX_IMAGE_BASE64_CHARS + 4)))
    cases: list[tuple[list[Any], type[ObscuraError], int]] = [
        ([url_part(large)], ImageTooLarge, 0),
        ([url_part(small)] * (MAX_IMAGES + 1), TooManyImages, MAX_IMAGES),
    ]
    for parts, error, index in cases:
        with pytest.raises(error) as raised:
            converse(messages=[{"role": "user", "content": parts}])
        assert raised.value.param == f"messages[0].content[{index}].image_url"


@pytest.mark.parametrize("arguments", ["[1]", "{", '"x"', "1e999"])
def test_arguments_that_are_no_object_are_refused(arguments: str) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "t", "arguments": arguments}}

    with pytest.raises(InvalidRequest) as raised:
        converse(messages=[{"role": "assistant", "tool_calls": [call]}])

    assert raised.value.param == "messages[0].tool_calls[0].function.arguments"


def test_a_schema_that_names_a_data_url_keeps_it() -> None:
    schema = {"type": "object", "default": f"data:image/png;base64,{PNG}"}
    asked = {"type": "json_schema", "json_schema": {"schema": schema}}

    written = converse(response_format=asked)["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"]
    assert json.loads(written) == schema


@pytest.mark.parametrize(
    "text",
    [
        '"data:image/png;base64,AAAA"',
        '\\"data:image/png;base64,AAAA',
        "data:image/png;base64,AAAA",
        "~0;",
    ],
)
def test_texts_that_look_like_images_stay_texts(text: str) -> None:
    parts = [{"type": "text", "text": text}, url_part(f"data:image/png;base64,{PNG}"), {"type": "text", "text": text}]

    (message,) = converse(messages=[{"role": "user", "content": parts}])["messages"]
    image = {"image": {"format": "png", "source": {"bytes": PNG}}}
    assert message["content"] == [{"text": text}, image, {"text": text}]


def test_the_operators_options_of_a_model_and_its_guardrail() -> None:
    profile = "arn:aws:bedrock:eu-central-1:1:application-inference-profile/x"
    options = ModelOptions(profile, "anthropic", 99, {"a": {"b": 1}})
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi"}], "top_k": 3}).encode()

    request = to_converse(body, {"m": options}, ("g", "DRAFT"), streamed=False)

    assert (request.model, request.upstream_id) == ("m", options.upstream_id)
    assert json.loads(request.body) == {
        "messages": [{"role": "user", "content": [{"text": "Hi"}]}],
        "inferenceConfig": {"maxTokens": 99},
        "additionalModelRequestFields": {"top_k": 3, "a": {"b": 1}},
        "guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "DRAFT"},
    }
    with pytest.raises(UnsupportedOperation, match="operator"):
        to_converse(json.dumps({"model": "m", "guardrailConfig": GUARDRAIL}).encode(), {}, ("g", "1"), streamed=False)


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [1]}, {"messages": [{"role": "user", "content": 1}]}, {"tools": [1]}, {"tools": [{"function": 1}]},
        {"tools": [TOOL], "tool_choice": 1}, {"tool_choice": "x"}, {"response_format": 1}, {"guardrailConfig": 1},
        {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "t"}}]}]}, {"thinking": 1},
        {"messages": [{"role": "assistant", "tool_calls": 1}]}, {"messages": 1}, {"tools": 1},
        {"messages": [{"role": "assistant", "thinking_blocks": 1}]}, {"stop": {"a": 1}}, {"performanceConfig": 1},
        {"tools": [{"function": {"name": "t", "description": 1}}]}, {"service_tier": {}}, {"reasoning_effort": []},
        {"reasoning_effort": ["high"]}, {"service_tier": ["flex"]}, {"messages": [{"role": ["user"]}]},
        {"messages": [{"role": "user", "content": [{"type": []}]}]}, {"stream_options": 1},
        {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": [], "tools": 1}}},
        {"tools": [TOOL | {"cache_control": {"ttl": []}}]},
        {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"tools": [{"function": 1}]}}},
    ],
)  # fmt: skip
def test_malformed_requests_are_errors_of_the_caller(body: dict[str, Any]) -> None:
    try:
        converse(**body)
    except ObscuraError as error:
        assert error.status == 400
