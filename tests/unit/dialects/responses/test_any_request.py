"""Any conversation keeps what makes it one; anything else that a caller may send is carried or refused."""

import json

from hypothesis import given
from hypothesis import strategies as st

from obscura.errors import ObscuraError
from tests.support.json_texts import values
from tests.unit.dialects.responses.requests import (
    FUNCTION,
    PREPARED,
    a_request,
    asked,
    call,
    image,
    messages_of,
    output,
    says,
    text,
    to_upstream,
)

roles = st.sampled_from(["user", "assistant", "system", "developer"])
said = st.lists(st.just("image") | st.text("abc", min_size=1, max_size=3), min_size=1, max_size=3)
spoken = st.tuples(roles, said)
rounds = st.lists(st.just("image") | st.text("xyz", min_size=1, max_size=3), min_size=1, max_size=3)
turns = st.lists(
    st.one_of(st.tuples(st.just("says"), spoken), st.tuples(st.just("calls"), rounds)), min_size=1, max_size=5
)


@given(turns)
def test_any_conversation_keeps_roles_order_call_ids_and_images(given_turns):
    sent, roles_told, words, call_ids, images = [], [], [], [], 0
    for number, (kind, turn) in enumerate(given_turns):
        if kind == "says":
            role, parts = turn
            sent.append(
                says(*(image(f"https://x.test/{number}") if one == "image" else text(one) for one in parts), role=role)
            )
            roles_told.append(role)
            words += [one for one in parts if one != "image"]
            images += parts.count("image")
        else:
            ids = [f"call_{number}_{index}" for index in range(len(turn))]
            sent += [call(one) for one in ids]
            sent += [
                output(one, [image(f"https://x.test/{one}")] if response == "image" else response)
                for one, response in zip(ids, turn, strict=True)
            ]
            if roles_told[-1:] != ["assistant"] or given_turns[number - 1][0] != "says":
                roles_told.append("assistant")
            roles_told += ["tool"] * len(ids) + ["user"] * ("image" in turn)
            call_ids += ids
            words += [one for one in turn if one != "image"]
            images += turn.count("image")

    messages = messages_of(*sent)

    assert [message["role"] for message in messages] == roles_told
    made = [one["id"] for message in messages for one in message.get("tool_calls", ())]
    answered = [message["tool_call_id"] for message in messages if message["role"] == "tool"]
    assert made == answered == call_ids
    written = json.dumps(messages)
    assert written.count(PREPARED.decode()) == images == len(asked(a_request(sent)).image_slots)
    assert [one for one in _words_in(messages) if one in words] == words


def _words_in(messages: list[dict]) -> list[str]:
    found = []
    for message in messages:
        content = message["content"] or ""
        found += [content] if isinstance(content, str) else [part["text"] for part in content if "text" in part]
    return found


paths = st.sampled_from(
    [
        ("input",), ("input", 0), ("input", 0, "content"), ("input", 0, "content", 0), ("input", 0, "content", 1),
        ("input", 0, "content", 1, "image_url"), ("input", 0, "content", 1, "detail"), ("input", 0, "role"),
        ("input", 1), ("input", 1, "call_id"), ("input", 1, "caller"), ("input", 2, "output"),
        ("input", 2, "output", 0), ("input", 2, "type"), ("tools",), ("tools", 0), ("tools", 0, "parameters"),
        ("tools", 0, "allowed_callers"), ("tool_choice",), ("tool_choice", "tools"), ("tool_choice", "tools", 0),
        ("text",), ("text", "format"), ("text", "format", "schema"), ("reasoning",), ("include",), ("include", 0),
        ("metadata",), ("stream_options",), ("prompt",), ("prompt", "variables"), ("prompt_cache_options",),
        ("model",), ("stream",), ("store",), ("truncation",), ("instructions",), ("parallel_tool_calls",),
    ]
)  # fmt: skip


@given(paths, values, st.sampled_from([("chat",), ("chat", "responses")]))
def test_any_value_anywhere_is_carried_or_refused_with_400(path, value, dialects):
    sent = a_request(
        [says(text("hi"), image()), call("call_a", caller={"type": "direct"}), output("call_a", [text("a"), image()])],
        tools=[FUNCTION | {"allowed_callers": ["direct"]}],
        tool_choice={"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "look"}]},
        text={"format": {"type": "json_schema", "name": "n", "schema": {}}},
        reasoning={"effort": "low"},
        include=["reasoning.encrypted_content"],
        prompt={"variables": {}} if path[0] == "prompt" else None,
        metadata={},
    )
    holder = sent
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value

    try:
        written = to_upstream(sent, *dialects)
        json.loads(written.body)
    except ObscuraError as refused:
        assert refused.status == 400
        assert refused.message


@given(
    st.dictionaries(st.sampled_from(["type", "role", "content", "output", "tools", "id"]) | st.text(max_size=5), values)
)
def test_any_item_is_carried_or_refused_with_400(item):
    for dialects in (("chat",), ("chat", "responses")):
        try:
            to_upstream(a_request([item]), *dialects)
        except ObscuraError as refused:
            assert refused.status == 400
