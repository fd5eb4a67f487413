"""Messages of a conversation as chat messages: roles, order, texts, images, tool calls and their results."""

import json
from collections.abc import Callable

import pytest

from obscura.dialects.chat_options import ChatOptions
from obscura.errors import InvalidRequest, ObscuraError, UnsupportedField, UnsupportedOperation
from tests.unit.dialects.messages.conversations import (
    PREPARED,
    a_document,
    a_request,
    assistant,
    image,
    in_chat,
    parse,
    text,
    tool_result,
    tool_use,
    user,
)

IMAGE = {"type": "image_url", "image_url": {"url": PREPARED.decode()}}


def rejected(request: object) -> ObscuraError:
    with pytest.raises(ObscuraError) as caught:
        in_chat(request)
    assert caught.value.status == 400
    assert f"'{caught.value.param}'" in caught.value.message
    return caught.value


def test_a_conversation_keeps_its_roles_and_order() -> None:
    response = in_chat(a_request(user("one"), assistant("two"), user("three"), system="be brief"))

    assert response["messages"] == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "two"},
        {"role": "user", "content": "three"},
    ]


def test_texts_and_images_of_a_user_stay_in_order() -> None:
    response = in_chat(a_request(user(text("first"), image(), text("second"), image())))

    assert response["messages"][0]["content"] == [text("first"), IMAGE, text("second"), IMAGE]


def test_one_text_alone_is_a_plain_string() -> None:
    assert in_chat(a_request(user(text("hello"))))["messages"] == [user("hello")]


@pytest.mark.parametrize(
    "system", [[text("be brief"), text("be kind", cache_control={"type": "ephemeral"})], "be brief\nbe kind"]
)
def test_system_blocks_are_joined_line_by_line(system: object) -> None:
    assert in_chat(a_request(system=system))["messages"][0] == {"role": "system", "content": "be brief\nbe kind"}


def test_a_system_message_in_mid_conversation_stays_where_it_is() -> None:
    response = in_chat(a_request(user("hi"), {"role": "system", "content": [text("be brief")]}, user("go on")))

    assert [message["role"] for message in response["messages"]] == ["user", "system", "user"]


def test_tool_calls_keep_their_ids_names_and_inputs() -> None:
    calls = [tool_use("toolu_1", "look_up", word='é"\\', n=1.50), tool_use("call_2", "count")]

    response = in_chat(a_request(user("hi"), assistant(text("let me see"), *calls), user(tool_result(), text("so?"))))

    message = response["messages"][1]
    assert (message["role"], message["content"]) == ("assistant", "let me see")
    assert [(call["id"], call["type"], call["function"]["name"]) for call in message["tool_calls"]] == [
        ("toolu_1", "function", "look_up"),
        ("call_2", "function", "count"),
    ]
    assert [json.loads(call["function"]["arguments"]) for call in message["tool_calls"]] == [
        {"word": 'é"\\', "n": 1.5},
        {},
    ]


def test_a_tool_input_of_many_kilobytes_is_translated_whole() -> None:
    words = 'x"é' * 4000

    response = in_chat(a_request(user("hi"), assistant(tool_use(text=words)), user(tool_result())))

    assert json.loads(response["messages"][1]["tool_calls"][0]["function"]["arguments"]) == {"text": words}


def test_a_message_of_nothing_but_tool_calls_has_null_content() -> None:
    assert in_chat(a_request(user("hi"), assistant(tool_use()), user(tool_result())))["messages"][1]["content"] is None


@pytest.mark.parametrize(
    ("block", "content"),
    [
        (tool_result("a", "sunny"), "sunny"),
        (tool_result("a", text("sunny"), text("warm")), "sunny\nwarm"),
        (tool_result("a"), ""),
        ({"type": "tool_result", "tool_use_id": "a"}, ""),
        (tool_result("a") | {"content": None}, ""),
        (tool_result("a", "no such town", is_error=True), "Error: no such town"),
        (tool_result("a", is_error=True), "Error: "),
        (tool_result("a", "sunny", is_error=False), "sunny"),
        (tool_result("a", "sunny", is_error=None), "sunny"),
    ],
)
def test_a_tool_result_becomes_a_tool_message_with_its_calls_id(block: dict, content: str) -> None:
    response = in_chat(a_request(user("hi"), assistant(tool_use("a")), user(block)))

    assert response["messages"][2:] == [{"role": "tool", "tool_call_id": "a", "content": content}]


def test_tool_results_come_first_and_the_rest_is_one_message() -> None:
    response = in_chat(a_request(user(text("well"), tool_result("a", "1"), image(), tool_result("b", "2"))))

    assert response["messages"] == [
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "tool", "tool_call_id": "b", "content": "2"},
        user(text("well"), IMAGE),
    ]


def test_images_of_tool_results_follow_in_a_user_message_with_the_call_ids() -> None:
    results = [tool_result("a", text("a cat"), image()), tool_result("b", image(), image())]

    response = in_chat(a_request(user(*results, text("compare"))))

    assert response["messages"] == [
        {"role": "tool", "tool_call_id": "a", "content": "a cat"},
        {"role": "tool", "tool_call_id": "b", "content": "The result is in the images of the next message."},
        user(
            text("Images of tool result a:"),
            IMAGE,
            text("Images of tool result b:"),
            IMAGE,
            IMAGE,
            text("compare"),
        ),
    ]


@pytest.mark.parametrize(
    "kind", [{"type": "thinking", "thinking": "hm", "signature": ""}, {"type": "redacted_thinking", "data": "x"}]
)
def test_past_thinking_is_left_out(kind: dict) -> None:
    response = in_chat(a_request(user("hi"), assistant(kind, text("hello")), user("go on")))

    assert response["messages"][1] == assistant("hello")


def test_a_text_with_escapes_is_sent_on_as_it_came() -> None:
    escaped = b'"\\u00e9\\ud83d\\ude00"'
    body = b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[{"type":"text","text":%b}]}]}' % escaped

    assert escaped in parse(body).to_upstream().body


@pytest.mark.parametrize("prefill", ["The answer is", [text("The answer is")]])
def test_a_prefilled_assistant_message_is_rejected_by_name(prefill: object) -> None:
    error = rejected(a_request(user("hi"), {"role": "assistant", "content": prefill}))

    assert isinstance(error, UnsupportedField)
    assert error.param == "messages[1]"
    assert "End with a user message" in error.message
    assert "prefill = true" in error.message


@pytest.mark.parametrize("prefill", ["The answer is", [text("The answer is")]])
def test_a_prefilled_assistant_message_goes_to_an_upstream_that_continues_it(prefill: object) -> None:
    request = parse(json.dumps(a_request(user("hi"), {"role": "assistant", "content": prefill})).encode())

    sent = json.loads(request.to_upstream(options=ChatOptions(prefill=True)).body)

    assert sent["messages"][-1] == {"role": "assistant", "content": "The answer is"}


@pytest.mark.parametrize(
    ("message", "param"),
    [
        (user(text("a"), {"type": "search_result", "content": []}), "messages[0].content[1].type"),
        (user(a_document(citations={"enabled": True})), "messages[0].content[0].citations.enabled"),
        (user(a_document(x_extra=1)), "messages[0].content[0].x_extra"),
        (user({"type": "search_result", "content": [], "source": "s", "title": "t"}), "messages[0].content[0].type"),
        (user({"type": "thinking", "thinking": "hm", "signature": "s"}), "messages[0].content[0].type"),
        (user(text("a", citations=[{"type": "char_location"}])), "messages[0].content[0].citations"),
        (user(text("a", shade="dark")), "messages[0].content[0].shade"),
        (user(image(shade="dark")), "messages[0].content[0].shade"),
        (
            user(image(transformations={"oversized_image": "error"})),
            "messages[0].content[0].transformations.oversized_image",
        ),
        (user(tool_result("a", "x", toolset_name="t")), "messages[0].content[0].toolset_name"),
        (user(tool_result("a", {"type": "tool_reference"})), "messages[0].content[0].content[0].type"),
        (user("hi") | {"name": "ann"}, "messages[0].name"),
        (assistant(tool_use() | {"caller": {"type": "code_execution_20250825"}}), "messages[0].content[0].caller"),
        (assistant({"type": "server_tool_use", "id": "a", "name": "b"}), "messages[0].content[0].type"),
    ],
)
def test_a_block_or_field_that_chat_lacks_is_rejected_with_its_path(message: dict, param: str) -> None:
    error = rejected(a_request(message, user("so?")))

    assert isinstance(error, UnsupportedField)
    assert error.param == param


@pytest.mark.parametrize(
    ("message", "param"),
    [
        (user(tool_use()), "messages[0].content[0]"),
        (assistant(tool_result()), "messages[0].content[0]"),
        ({"role": "tool", "content": "x"}, "messages[0].role"),
        (user({"type": "tool_result", "content": "x"}), "messages[0].content[0].tool_use_id"),
        (user(tool_result("a") | {"content": text("x")}), "messages[0].content[0].content"),
        (user(tool_result("a") | {"content": 7}), "messages[0].content[0].content"),
        (user(tool_result("a", "x", is_error="yes")), "messages[0].content[0].is_error"),
        (user({"type": "text"}), "messages[0].content[0].text"),
        (assistant(tool_use() | {"input": "{}"}), "messages[0].content[0].input"),
        (assistant(tool_use() | {"id": None}), "messages[0].content[0].id"),
        (assistant({"type": "tool_use", "id": "a", "input": {}}), "messages[0].content[0].name"),
    ],
)
def test_a_malformed_block_is_an_invalid_request_with_its_path(message: dict, param: str) -> None:
    error = rejected(a_request(message, user("so?")))

    assert isinstance(error, InvalidRequest)
    assert error.param == param


@pytest.mark.parametrize(
    "block",
    [
        {"type": "video", "source": {"type": "url", "url": "https://example.com/a.mp4"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "Image", "source": {"type": "url", "url": "https://example.com/a.png"}},
        text("look", image_url="https://example.com/a.png"),
        {"type": "document", "source": {"type": "base64", "media_type": "IMAGE/png", "data": "AAAA"}},
        {"type": "document", "source": {"type": "content", "content": [{"type": "input_image", "image_url": "x"}]}},
    ],
)
@pytest.mark.parametrize("inside", [user, lambda block: user(tool_result("a", block))], ids=["user", "tool result"])
def test_uncheckable_images_and_videos_are_rejected_for_any_upstream(
    block: dict, inside: Callable[[dict], dict]
) -> None:
    with pytest.raises(UnsupportedOperation) as caught:
        for part in parse(a_request(inside(block))).unchecked:
            raise part.error

    assert caught.value.param.startswith("messages[0].content[0]")


def test_a_document_of_text_is_its_title_its_context_and_its_text() -> None:
    (message,) = in_chat(a_request(user(a_document(title="T", context="why"), text("so?"))))["messages"]

    assert message["content"] == [{"type": "text", "text": words} for words in ("T", "why", "words", "so?")]


def test_a_document_of_blocks_keeps_its_images_and_its_order() -> None:
    source = {"type": "content", "content": [text("before"), image(), text("after")]}

    (message,) = in_chat(a_request(user(a_document(source=source))))["messages"]

    assert message["content"] == [{"type": "text", "text": "before"}, IMAGE, {"type": "text", "text": "after"}]


def test_a_document_in_a_tool_result_is_the_tools_text() -> None:
    call, result = assistant(tool_use("a")), user(tool_result("a", a_document(title="T")))

    assert in_chat(a_request(user("go"), call, result))["messages"][-1] == {
        "role": "tool",
        "tool_call_id": "a",
        "content": "T\nwords",
    }
