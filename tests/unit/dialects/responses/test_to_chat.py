"""Requests translated to chat: roles, order, call ids and images stay; other fields are translated or rejected."""

import pytest

from obscura.errors import InvalidRequest, ObscuraError, UnsupportedField
from tests.unit.dialects.responses.requests import (
    AUDIO,
    FILE_ID,
    FUNCTION,
    PIXEL,
    PREPARED,
    a_message,
    a_request,
    as_chat,
    call,
    image,
    messages_of,
    output,
    parsed,
    text,
    to_upstream,
)

PREPARED_PART = {"type": "image_url", "image_url": {"url": PREPARED.decode()}}
CHAT_FUNCTION = {"type": "function", "function": {key: FUNCTION[key] for key in ("name", "parameters", "strict")}}


def tool_calls(*call_ids: str) -> list[dict]:
    return [{"id": one, "type": "function", "function": {"name": "look", "arguments": "{}"}} for one in call_ids]


def error_of(request: object) -> ObscuraError:
    with pytest.raises(ObscuraError) as raised:
        to_upstream(request)
    return raised.value


def test_a_string_is_a_users_message_after_the_instructions() -> None:
    assert as_chat(a_request("hello", instructions="Be brief."))["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "hello"},
    ]


def test_a_streamed_request_includes_the_usage() -> None:
    chat = as_chat(a_request(stream=True))

    assert (chat["stream"], chat["stream_options"]) == (True, {"include_usage": True})
    assert "stream" not in as_chat(a_request(stream=False))


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (a_message(text("hi")), {"role": "user", "content": "hi"}),
        ({"type": "message", "role": "developer", "content": "hi"}, {"role": "developer", "content": "hi"}),
        (a_message(text("a"), text("b"), role="system"), {
            "role": "system", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        }),
        (a_message({"type": "output_text", "text": "hi", "annotations": []}, role="assistant"), {
            "role": "assistant", "content": "hi",
        }),
        (a_message({"type": "refusal", "refusal": "No."}, role="assistant"), {
            "role": "assistant", "content": [{"type": "refusal", "refusal": "No."}],
        }),
        (a_message(image()), {"role": "user", "content": [PREPARED_PART]}),
        (a_message(image(detail="low")), {
            "role": "user", "content": [PREPARED_PART | {"image_url": {"url": PREPARED.decode(), "detail": "low"}}],
        }),
        (a_message({"type": "input_image", "file_id": FILE_ID, "detail": "auto"}), {
            "role": "user", "content": [PREPARED_PART | {"image_url": {"url": PREPARED.decode(), "detail": "auto"}}],
        }),
        (a_message({"type": "input_audio", "input_audio": AUDIO}), {
            "role": "user", "content": [{"type": "input_audio", "input_audio": AUDIO}],
        }),
        (a_message({"type": "input_text", "text": "hi", "prompt_cache_breakpoint": {"mode": "explicit"}}), {
            "role": "user",
            "content": [{"type": "text", "text": "hi", "prompt_cache_breakpoint": {"mode": "explicit"}}],
        }),
        (a_message(), {"role": "user", "content": ""}),
    ],
)  # fmt: skip
def test_a_message_keeps_its_role_and_its_parts(item: dict, message: dict) -> None:
    assert messages_of(item) == [message]


def test_a_file_that_the_operator_passes_is_a_file() -> None:
    file = {"filename": "a.zip", "file_data": "data:application/zip;base64,UEsDBAAA"}

    chat = as_chat(a_request([a_message({"type": "input_file", **file})]), passing=["input_file"])

    assert chat["messages"] == [{"role": "user", "content": [{"type": "file", "file": file}]}]


def test_a_pdf_is_its_pages() -> None:
    file = {"type": "input_file", "file_data": "data:application/pdf;base64,JVBERi0xLjcK", "detail": "low"}
    image_part = {"type": "image_url", "image_url": {"url": PREPARED.decode(), "detail": "low"}}
    page_texts = [
        {"type": "text", "text": "Document (page 1 of 2):\n\nthe first page's text"},
        {"type": "text", "text": "Document (page 2 of 2)"},
    ]

    (message,) = messages_of(a_message(file))
    *_, of_tool, of_user = messages_of(call("call_a"), output("call_a", [file]))

    assert message["content"] == [page_texts[0], image_part, page_texts[1], image_part]
    assert of_tool["content"] == page_texts
    assert of_user["content"][1:] == [image_part, image_part]


def test_calls_join_the_assistants_message_before_them() -> None:
    messages = messages_of(
        a_message(text("q")), a_message(text("I look."), role="assistant"), call("call_a"), call("call_b")
    )

    assert messages[1:] == [{"role": "assistant", "content": "I look.", "tool_calls": tool_calls("call_a", "call_b")}]


def test_a_call_without_a_message_before_it_makes_one() -> None:
    messages = messages_of(a_message(text("q")), call("call_a"), output("call_a", "a"), call("call_b"))

    assert messages[1:] == [
        {"role": "assistant", "content": None, "tool_calls": tool_calls("call_a")},
        {"role": "tool", "tool_call_id": "call_a", "content": "a"},
        {"role": "assistant", "content": None, "tool_calls": tool_calls("call_b")},
    ]


def test_a_list_of_texts_is_a_functions_output() -> None:
    messages = messages_of(call("call_a"), output("call_a", [text("a"), text("b")]))

    assert messages[1]["content"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]


def test_images_in_outputs_follow_the_last_output_with_their_call_id() -> None:
    messages = messages_of(
        call("call_a"),
        call("call_b"),
        output("call_a", [image()]),
        output("call_b", [text("b"), image()]),
        a_message(text("?")),
    )

    assert messages[1:] == [
        {"role": "tool", "tool_call_id": "call_a", "content": "The output follows in the next user message."},
        {"role": "tool", "tool_call_id": "call_b", "content": "b"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "From the output of call call_a:"},
                PREPARED_PART,
                {"type": "text", "text": "From the output of call call_b:"},
                PREPARED_PART,
            ],
        },
        {"role": "user", "content": "?"},
    ]


def test_reasoning_is_dropped() -> None:
    reasoning = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"}

    assert messages_of(a_message(text("q")), reasoning, call("call_a"))[1]["tool_calls"] == tool_calls("call_a")


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
def test_fields_are_translated_to_chats_names(fields: dict, chat_fields: dict) -> None:
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
        ({"input": [a_message({"text": "x"})]}, "input[0].content[0].type"),
        ({"input": [a_message({"type": "input_text"})]}, "input[0].content[0].text"),
        ({"input": [a_message({"type": "input_image"})]}, "input[0].content[0].image_url"),
        ({"input": [a_message(image(file_id="file_1"))]}, "input[0].content[0].file_id"),
        ({"input": [a_message(image(detail="huge"))]}, "input[0].content[0].detail"),
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
def test_a_malformed_field_is_an_invalid_request_that_names_it(request_fields: dict, param: str) -> None:
    error = error_of(a_request() | request_fields)

    assert isinstance(error, InvalidRequest)
    assert error.param == param


@pytest.mark.parametrize(
    ("request_fields", "hint"),
    [
        ({"previous_response_id": "resp_1"}, "send the whole conversation as 'input'"),
        ({"conversation": "conv_1"}, "send the whole conversation as 'input'"),
        ({"background": True}, "send the whole conversation as 'input'"),
        ({"prompt": {"id": "pmpt_1"}}, "send its text as 'instructions'"),
        ({"store": True}, "send false, or nothing"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "send the item itself"),
    ],
)
def test_a_field_that_needs_state_is_rejected_with_a_hint(request_fields: dict, hint: str) -> None:
    error = error_of(a_request() | request_fields)

    assert isinstance(error, UnsupportedField)
    assert hint in error.message
    assert "whose upstream speaks this API" in error.message


@pytest.mark.parametrize(
    ("request_fields", "param"),
    [
        ({"input": [a_message({"type": "input_text", "text": "x", "x_vendor": 1})]}, "input[0].content[0].x_vendor"),
        ({"text": {"format": {"type": "grammar"}}}, "text.format.type"),
        ({"include": ["reasoning.encrypted_content", "message.x_vendor"]}, "include[1]"),
        ({"stream_options": {"x_vendor": 1}}, "stream_options.x_vendor"),
        ({"tools": [FUNCTION], "tool_choice": {
            "type": "allowed_tools", "mode": "auto", "tools": [{"type": "mcp"}],
        }}, "tool_choice.tools[0].type"),
        ({"x_vendor": 1}, "x_vendor"),
    ],
)  # fmt: skip
def test_a_field_without_counterpart_is_rejected_by_its_path(request_fields: dict, param: str) -> None:
    error = error_of(a_request() | request_fields)

    assert isinstance(error, UnsupportedField)
    assert error.param == param


def test_a_long_name_is_not_repeated_whole() -> None:
    error = error_of(a_request(**{"x" * 4000: 1}))

    assert error.param == "x" * 100
    assert len(error.message) < 400


def test_the_images_source_is_the_string_of_the_request() -> None:
    slot = parsed(a_request([a_message(image(PIXEL, detail="high"))])).images[0]

    assert (slot.path, bytes(slot.source), slot.detail) == ("input[0].content[0].image_url", PIXEL.encode(), "high")
