"""Requests translated to chat completions: roles, order, call ids and images stay, the rest is carried or refused."""

import pytest

from obscura.errors import InvalidRequest, ObscuraError, UnsupportedField
from tests.unit.dialects.responses.requests import (
    FUNCTION,
    PIXEL,
    PREPARED,
    a_request,
    as_chat,
    asked,
    call,
    image,
    messages_of,
    output,
    says,
    text,
    to_upstream,
)

SEEN = {"type": "image_url", "image_url": {"url": PREPARED.decode()}}
CHAT_FUNCTION = {"type": "function", "function": {key: FUNCTION[key] for key in ("name", "parameters", "strict")}}


def tool_calls(*call_ids: str) -> list[dict]:
    return [{"id": one, "type": "function", "function": {"name": "look", "arguments": "{}"}} for one in call_ids]


def refusal_of(request: object) -> ObscuraError:
    with pytest.raises(ObscuraError) as raised:
        to_upstream(request)
    return raised.value


def test_a_string_is_a_users_message_after_the_instructions():
    assert as_chat(a_request("hello", instructions="Be brief."))["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "hello"},
    ]


def test_a_stream_asks_for_its_usage():
    chat = as_chat(a_request(stream=True))

    assert (chat["stream"], chat["stream_options"]) == (True, {"include_usage": True})
    assert "stream" not in as_chat(a_request(stream=False))


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (says(text("hi")), {"role": "user", "content": "hi"}),
        ({"type": "message", "role": "developer", "content": "hi"}, {"role": "developer", "content": "hi"}),
        (says(text("a"), text("b"), role="system"), {
            "role": "system", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        }),
        (says({"type": "output_text", "text": "hi", "annotations": []}, role="assistant"), {
            "role": "assistant", "content": "hi",
        }),
        (says({"type": "refusal", "refusal": "No."}, role="assistant"), {
            "role": "assistant", "content": [{"type": "refusal", "refusal": "No."}],
        }),
        (says(image()), {"role": "user", "content": [SEEN]}),
        (says(image(detail="low")), {
            "role": "user", "content": [SEEN | {"image_url": {"url": PREPARED.decode(), "detail": "low"}}],
        }),
        (says({"type": "input_image", "file_id": "file_1", "detail": "auto"}), {
            "role": "user", "content": [SEEN | {"image_url": {"url": PREPARED.decode(), "detail": "auto"}}],
        }),
        (says({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}), {
            "role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}],
        }),
        (says({"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}), {
            "role": "user",
            "content": [
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}},
            ],
        }),
        (says({"type": "input_text", "text": "hi", "prompt_cache_breakpoint": {"mode": "explicit"}}), {
            "role": "user",
            "content": [{"type": "text", "text": "hi", "prompt_cache_breakpoint": {"mode": "explicit"}}],
        }),
        (says(), {"role": "user", "content": ""}),
    ],
)  # fmt: skip
def test_a_message_keeps_its_role_and_its_parts(item, message):
    assert messages_of(item) == [message]


def test_calls_join_the_assistants_message_before_them():
    response = messages_of(says(text("q")), says(text("I look."), role="assistant"), call("call_a"), call("call_b"))

    assert response[1:] == [{"role": "assistant", "content": "I look.", "tool_calls": tool_calls("call_a", "call_b")}]


def test_a_call_without_a_message_before_it_makes_one():
    response = messages_of(says(text("q")), call("call_a"), output("call_a", "a"), call("call_b"))

    assert response[1:] == [
        {"role": "assistant", "content": None, "tool_calls": tool_calls("call_a")},
        {"role": "tool", "tool_call_id": "call_a", "content": "a"},
        {"role": "assistant", "content": None, "tool_calls": tool_calls("call_b")},
    ]


def test_a_list_of_texts_is_a_functions_output():
    response = messages_of(call("call_a"), output("call_a", [text("a"), text("b")]))

    assert response[1]["content"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]


def test_images_in_outputs_follow_the_last_output_with_the_id_of_their_call():
    response = messages_of(
        call("call_a"),
        call("call_b"),
        output("call_a", [image()]),
        output("call_b", [text("b"), image()]),
        says(text("?")),
    )

    assert response[1:] == [
        {"role": "tool", "tool_call_id": "call_a", "content": "The output follows in the next user message."},
        {"role": "tool", "tool_call_id": "call_b", "content": "b"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "From the output of call call_a:"},
                SEEN,
                {"type": "text", "text": "From the output of call call_b:"},
                SEEN,
            ],
        },
        {"role": "user", "content": "?"},
    ]


def test_reasoning_is_dropped():
    reasoning = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"}

    assert messages_of(says(text("q")), reasoning, call("call_a"))[1]["tool_calls"] == tool_calls("call_a")


@pytest.mark.parametrize(
    ("fields", "chat_fields"),
    [
        ({"tools": [FUNCTION]}, {"tools": [CHAT_FUNCTION]}),
        ({"tools": [FUNCTION], "tool_choice": "required"}, {"tools": [CHAT_FUNCTION], "tool_choice": "required"}),
        ({"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "look"}}, {
            "tools": [CHAT_FUNCTION], "tool_choice": {"type": "function", "function": {"name": "look"}},
        }),
        ({"tools": [FUNCTION, FUNCTION | {"name": "other"}], "tool_choice": {
            "type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "look"}],
        }}, {"tools": [CHAT_FUNCTION], "tool_choice": "required"}),
        ({"tools": [FUNCTION], "parallel_tool_calls": False}, {
            "tools": [CHAT_FUNCTION], "parallel_tool_calls": False,
        }),
        ({"tools": [], "tool_choice": "auto", "parallel_tool_calls": True}, {}),
        ({"max_output_tokens": 5}, {"max_tokens": 5}),
        ({"reasoning": {"effort": "low", "summary": "auto"}}, {"reasoning_effort": "low"}),
        ({"text": {"format": {"type": "text"}, "verbosity": "low"}}, {"verbosity": "low"}),
        ({"text": {"format": {"type": "json_object"}}}, {"response_format": {"type": "json_object"}}),
        ({"text": {"format": {"type": "json_schema", "name": "n", "strict": True, "schema": {"type": "object"}}}}, {
            "response_format": {
                "type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": {"type": "object"}},
            },
        }),
        ({"temperature": 0.5, "user": "u", "metadata": {"a": "b"}, "store": False}, {"temperature": 0.5, "user": "u"}),
    ],
)  # fmt: skip
def test_fields_are_carried_under_chats_names(fields, chat_fields):
    assert as_chat(a_request(**fields)) == as_chat(a_request()) | chat_fields


@pytest.mark.parametrize(
    ("request_fields", "param"),
    [
        ({"instructions": 1}, "instructions"),
        ({"input": []}, "input"),
        ({"input": None}, "input"),
        ({"input": {}}, "input"),
        ({"input": ["x"]}, "input[0]"),
        ({"input": [{"type": "message", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "robot", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": 1}]}, "input[0].content"),
        ({"input": [says({"text": "x"})]}, "input[0].content[0].type"),
        ({"input": [says({"type": "input_text"})]}, "input[0].content[0].text"),
        ({"input": [says({"type": "input_image"})]}, "input[0].content[0].image_url"),
        ({"input": [says(image(file_id="file_1"))]}, "input[0].content[0].file_id"),
        ({"input": [says(image(detail="huge"))]}, "input[0].content[0].detail"),
        ({"input": [call("")]}, "input[0].call_id"),
        ({"input": [{"type": "function_call", "call_id": "a", "name": "n"}]}, "input[0].arguments"),
        ({"input": [output("a", None)]}, "input[0].output"),
        ({"tools": {}}, "tools"),
        ({"tools": [FUNCTION, FUNCTION]}, "tools[1].name"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "other"}}, "tool_choice.name"),
        ({"tools": [FUNCTION], "tool_choice": {"type": "allowed_tools", "mode": "none"}}, "tool_choice.mode"),
        (
            {"tools": [FUNCTION], "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": []}},
            "tool_choice.tools",
        ),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": "some"}, "tool_choice"),
        ({"tool_choice": {"type": "function", "name": "look"}}, "tool_choice.name"),
        ({"parallel_tool_calls": "yes"}, "parallel_tool_calls"),
        ({"max_tool_calls": "3"}, "max_tool_calls"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"metadata": []}, "metadata"),
        ({"store": "yes"}, "store"),
        ({"stream_options": {"include_obfuscation": 1}}, "stream_options.include_obfuscation"),
        ({"reasoning": {"summary": 1}}, "reasoning.summary"),
        ({"text": {"verbosity": 1}}, "text.verbosity"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema"),
    ],
)
def test_a_malformed_field_is_an_invalid_request_that_names_it(request_fields, param):
    refused = refusal_of(a_request() | request_fields)

    assert isinstance(refused, InvalidRequest)
    assert refused.param == param


@pytest.mark.parametrize(
    ("request_fields", "hint"),
    [
        ({"previous_response_id": "resp_1"}, "Send the whole conversation as 'input'"),
        ({"conversation": "conv_1"}, "Send the whole conversation as 'input'"),
        ({"background": True}, "Send the whole conversation as 'input'"),
        ({"prompt": {"id": "pmpt_1"}}, "Send its text as 'instructions'"),
        ({"store": True}, "Send false, or nothing"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "Send the item itself"),
    ],
)
def test_what_needs_state_is_refused_with_the_way_out(request_fields, hint):
    refused = refusal_of(a_request() | request_fields)

    assert isinstance(refused, UnsupportedField)
    assert hint in refused.message
    assert "whose upstream speaks responses" in refused.message


@pytest.mark.parametrize(
    ("request_fields", "param"),
    [
        ({"input": [says({"type": "input_sound"})]}, "input[0].content[0].type"),
        ({"input": [says({"type": "input_text", "text": "x", "x_vendor": 1})]}, "input[0].content[0].x_vendor"),
        ({"text": {"format": {"type": "grammar"}}}, "text.format.type"),
        ({"include": ["reasoning.encrypted_content", "message.output_text.logprobs"]}, "include[1]"),
        ({"stream_options": {"x_vendor": 1}}, "stream_options.x_vendor"),
        ({"tools": [FUNCTION], "tool_choice": {
            "type": "allowed_tools", "mode": "auto", "tools": [{"type": "mcp"}],
        }}, "tool_choice.tools[0].type"),
        ({"x_vendor": 1}, "x_vendor"),
    ],
)  # fmt: skip
def test_what_has_no_counterpart_is_refused_by_its_path(request_fields, param):
    refused = refusal_of(a_request() | request_fields)

    assert isinstance(refused, UnsupportedField)
    assert refused.param == param


def test_a_long_name_is_not_repeated_whole():
    refused = refusal_of(a_request(**{"x" * 4000: 1}))

    assert refused.param == "x" * 100
    assert len(refused.message) < 400


def test_the_images_source_is_the_callers_own_string():
    slot = asked(a_request([says(image(PIXEL, detail="high"))])).image_slots[0]

    assert (slot.path, bytes(slot.source), slot.detail) == ("input[0].content[0].image_url", PIXEL.encode(), "high")
