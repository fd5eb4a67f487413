"""Any conversation keeps its roles, order, call ids and images; any other value is translated or rejected."""

import json
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from obscura.dialects.base import UncheckedPart
from obscura.errors import ObscuraError
from tests.contract.fields.responses.test_native_table import ALL, Planted
from tests.support.json_texts import values
from tests.unit.dialects.responses.requests import (
    FILE_ID,
    FUNCTION,
    PREPARED,
    a_message,
    a_request,
    call,
    image,
    messages_of,
    output,
    parsed,
    text,
    to_upstream,
)

roles = st.sampled_from(["user", "assistant", "system", "developer"])
message_parts = st.lists(st.just("image") | st.text("abc", min_size=1, max_size=3), min_size=1, max_size=3)
messages = st.tuples(roles, message_parts)
outputs = st.lists(st.just("image") | st.text("xyz", min_size=1, max_size=3), min_size=1, max_size=3)
turns = st.lists(
    st.one_of(st.tuples(st.just("message"), messages), st.tuples(st.just("calls"), outputs)), min_size=1, max_size=5
)


@given(turns)
def test_any_conversation_keeps_roles_order_call_ids_and_images(given_turns: list[tuple]) -> None:
    sent, sent_roles, words, call_ids, images = [], [], [], [], 0
    for number, (kind, turn) in enumerate(given_turns):
        if kind == "message":
            role, parts = turn
            sent.append(
                a_message(
                    *(image(f"https://x.test/{number}") if one == "image" else text(one) for one in parts), role=role
                )
            )
            sent_roles.append(role)
            words += [one for one in parts if one != "image"]
            images += parts.count("image")
        else:
            ids = [f"call_{number}_{index}" for index in range(len(turn))]
            sent += [call(one) for one in ids]
            sent += [
                output(call_id, [image(f"https://x.test/{call_id}")] if value == "image" else value)
                for call_id, value in zip(ids, turn, strict=True)
            ]
            if sent_roles[-1:] != ["assistant"] or given_turns[number - 1][0] != "message":
                sent_roles.append("assistant")
            sent_roles += ["tool"] * len(ids) + ["user"] * ("image" in turn)
            call_ids += ids
            words += [one for one in turn if one != "image"]
            images += turn.count("image")

    chat_messages = messages_of(*sent)

    assert [message["role"] for message in chat_messages] == sent_roles
    called = [one["id"] for message in chat_messages for one in message.get("tool_calls", ())]
    answered = [message["tool_call_id"] for message in chat_messages if message["role"] == "tool"]
    assert called == answered == call_ids
    written = json.dumps(chat_messages)
    assert written.count(PREPARED.decode()) == images == len(parsed(a_request(sent)).images)
    assert [one for one in _words_in(chat_messages) if one in words] == words


def _words_in(messages: list[dict]) -> list[str]:
    words = []
    for message in messages:
        content = message["content"] or ""
        words += [content] if isinstance(content, str) else [part["text"] for part in content if "text" in part]
    return words


paths = st.sampled_from(
    [
        ("input",), ("input", 0), ("input", 0, "content"), ("input", 0, "content", 0), ("input", 0, "content", 1),
        ("input", 0, "content", 1, "image_url"), ("input", 0, "content", 1, "detail"), ("input", 0, "role"),
        ("input", 0, "content", 2), ("input", 0, "content", 2, "input_file"), ("input", 0, "content", 2, "detail"),
        ("input", 0, "content", 2, "input_file", "file_id"), ("input", 0, "content", 2, "input_file", "file_data"),
        ("input", 0, "content", 2, "input_file", "mime_type"), ("input", 0, "content", 2, "filename"),
        ("input", 1), ("input", 1, "call_id"), ("input", 1, "caller"), ("input", 2, "output"),
        ("input", 2, "output", 0), ("input", 2, "type"), ("tools",), ("tools", 0), ("tools", 0, "parameters"),
        ("tools", 0, "allowed_callers"), ("tool_choice",), ("tool_choice", "tools"), ("tool_choice", "tools", 0),
        ("text",), ("text", "format"), ("text", "format", "schema"), ("reasoning",), ("include",), ("include", 0),
        ("metadata",), ("stream_options",), ("prompt",), ("prompt", "variables"), ("prompt", "variables", "a"),
        ("prompt_cache_options",), ("model",), ("stream",), ("store",), ("truncation",), ("instructions",),
        ("parallel_tool_calls",), ("x_vendor",),
    ]
)  # fmt: skip


@given(paths, values, st.sampled_from([("chat",), ("chat", "responses")]))
def test_any_value_anywhere_is_translated_or_rejected_with_400(
    path: tuple[str | int, ...], value: object, dialects: tuple[str, ...]
) -> None:
    sent = a_request(
        [
            a_message(text("hi"), image(), {"type": "input_file", "input_file": {"file_id": FILE_ID}}),
            call("call_a", caller={"type": "direct"}),
            output("call_a", [text("a"), image()]),
        ],
        tools=[FUNCTION | {"allowed_callers": ["direct"]}],
        tool_choice={"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "look"}]},
        text={"format": {"type": "json_schema", "name": "n", "schema": {}}},
        reasoning={"effort": "low"},
        include=["reasoning.encrypted_content"],
        prompt={"variables": {"a": "b"}} if path[0] == "prompt" else None,
        metadata={},
    )
    holder = sent
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value

    check(sent, *dialects)


def check(sent: object, *dialects: str) -> None:
    """Check that a request is written as JSON, or is the caller's error; the same if the operator passes its types."""
    for passing in ((), {part.kind for part in _unchecked(sent)}):
        try:
            json.loads(to_upstream(sent, *dialects, passing=passing).body)
        except ObscuraError as error:
            assert 400 <= error.status < 500
            assert error.message


def _unchecked(sent: object) -> Sequence[UncheckedPart]:
    try:
        return parsed(sent).unchecked
    except ObscuraError:
        return ()


@given(
    st.dictionaries(st.sampled_from(["type", "role", "content", "output", "tools", "id"]) | st.text(max_size=5), values)
)
def test_any_item_is_translated_or_rejected_with_400(item: dict) -> None:
    for dialects in (("chat",), ("chat", "responses")):
        check(a_request([item]), *dialects)


@given(st.sampled_from(ALL), values)
def test_any_value_in_any_field_of_the_sdk_is_a_request_or_a_client_error(planted: Planted, value: object) -> None:
    for dialects in (("chat",), ("chat", "responses")):
        check(planted.request(value), *dialects)
