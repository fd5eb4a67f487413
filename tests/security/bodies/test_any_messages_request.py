"""Generated requests: roles, order, texts, tool ids and images are kept; a malformed one is a 400."""

import copy
import json
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obscura.errors import ObscuraError
from obscura.upstreams.image_limits import DEFAULT_MAX_IMAGES
from tests.support.json_texts import strictly_read, styles, values, words, written
from tests.unit.dialects.messages.conversations import (
    a_request,
    a_tool,
    assistant,
    image,
    in_chat,
    parse,
    text,
    tool_result,
    tool_use,
    user,
    with_images,
)

strings = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=9)
texts = strings.map(text)
images = st.builds(image)
call_ids = st.from_regex(r"[a-z]{1,3}_[0-9]", fullmatch=True)
calls = st.builds(lambda call_id, name, inputs: tool_use(call_id) | {"name": name, "input": inputs}, call_ids, strings,
                  st.dictionaries(words, values, max_size=3))  # fmt: skip
results = st.builds(tool_result, call_ids) | st.builds(
    lambda call_id, blocks: tool_result(call_id, *blocks), call_ids, st.lists(texts | images, max_size=3)
)
user_turns = st.builds(user, strings) | st.builds(
    lambda first, then: user(*first, *then),
    st.lists(results, max_size=3),
    st.lists(texts | images, min_size=1, max_size=3),
)
assistant_turns = st.builds(assistant, strings) | st.builds(
    lambda first, then: assistant(*first, *then), st.lists(texts, max_size=2), st.lists(calls, min_size=1, max_size=2)
)
conversations = st.lists(user_turns | assistant_turns, max_size=5).flatmap(
    lambda turns: user_turns.map(lambda last: [*turns, last])
)
whole_requests = st.builds(lambda turns, system: a_request(*turns, system=system), conversations, strings).filter(
    lambda request: json.dumps(request).count('"type": "image"') <= DEFAULT_MAX_IMAGES
)


def blocks_of(message: dict) -> list[dict]:
    content = message["content"]
    return [text(content)] if isinstance(content, str) else content or []


def inner_blocks(message: dict) -> list[dict]:
    """A message's blocks, with those in its tool results."""
    opened = [blocks_of(block) if block["type"] == "tool_result" else [block] for block in blocks_of(message)]
    return [inner for blocks in opened for inner in blocks]


def expected_roles(request: dict) -> list[str]:
    """The roles of the chat messages: one tool message a result, then a user message with everything else."""
    response = ["system"]
    for message in request["messages"]:
        blocks = blocks_of(message)
        result_count = sum(block["type"] == "tool_result" for block in blocks)
        response += ["tool"] * result_count
        others = [block for block in inner_blocks(message) if block["type"] == "image"]
        others += [block for block in blocks if block["type"] != "tool_result"]
        if others:
            response.append(message["role"])
    return response


@given(whole_requests)
def test_roles_and_order_are_kept(request: dict) -> None:
    assert [message["role"] for message in in_chat(request)["messages"]] == expected_roles(request)


@given(whole_requests)
def test_every_text_arrives_in_order(request: dict) -> None:
    response = "\n".join(json.dumps(message["content"], ensure_ascii=False) for message in in_chat(request)["messages"])

    position = 0
    for message in request["messages"]:
        results = [block for block in blocks_of(message) if block["type"] == "tool_result"]
        others = [block for block in blocks_of(message) if block["type"] == "text"]
        for block in [*(inner for result in results for inner in blocks_of(result)), *others]:
            if block["type"] == "text":
                escaped = json.dumps(block["text"], ensure_ascii=False)[1:-1]
                position = response.index(escaped, position) + len(escaped)


@given(whole_requests)
def test_calls_and_results_keep_their_ids_names_and_inputs(request: dict) -> None:
    response = in_chat(request)["messages"]

    blocks = [block for message in request["messages"] for block in blocks_of(message)]
    sent = [
        {
            "type": "tool_use",
            "id": call["id"],
            "name": call["function"]["name"],
            "input": json.loads(call["function"]["arguments"]),
        }
        for message in response
        for call in message.get("tool_calls", [])
    ]
    assert sent == [block for block in blocks if block["type"] == "tool_use"]
    assert [message["tool_call_id"] for message in response if message["role"] == "tool"] == [
        block["tool_use_id"] for block in blocks if block["type"] == "tool_result"
    ]


@given(whole_requests)
def test_every_image_is_replaced_in_place(request: dict) -> None:
    parsed_request = parse(request)
    for number, slot in enumerate(parsed_request.images):
        slot.replace(b"data:image/png;base64,%04d" % number)

    response = json.loads(parsed_request.to_upstream().body)["messages"]

    count = sum(block["type"] == "image" for message in request["messages"] for block in inner_blocks(message))
    sent = [
        int(part["image_url"]["url"].removeprefix("data:image/png;base64,"))
        for message in response
        for part in (message["content"] if isinstance(message["content"], list) else [])
        if part["type"] == "image_url"
    ]
    assert sent == list(range(count))


@given(whole_requests)
def test_an_upstream_that_speaks_messages_gets_the_same_request(request: dict) -> None:
    sent = json.loads(with_images(parse(request)).to_upstream({"messages"}).body)

    expected = copy.deepcopy(request)
    for message in expected["messages"]:
        for block in inner_blocks(message):
            if block["type"] == "image":
                block["source"] = {"type": "base64", "media_type": "image/jpeg", "data": "UFJFUA=="}
    assert sent == expected


FULL = a_request(
    user(text("look", cache_control={"type": "ephemeral"}), image(transformations={"oversized_image": "downsize"})),
    assistant({"type": "thinking", "thinking": "hm", "signature": "s"}, text("a"), tool_use(word="x")),
    user(tool_result("toolu_1", text("r"), image(), is_error=False), text("so?")),
    system=[text("be brief")],
    stream=True,
    temperature=1,
    stop_sequences=["END"],
    metadata={"user_id": "u"},
    tools=[a_tool(description="d", strict=True)],
    tool_choice={"type": "tool", "name": "look_up", "disable_parallel_tool_use": True},
    thinking={"type": "enabled", "budget_tokens": 2000, "display": "summarized"},
    output_config={"effort": "low", "format": {"type": "json_schema", "schema": {}}},
    context_management={"edits": [{"type": "clear_thinking_20251015"}]},
)


def nodes(value: Any) -> list[tuple[Any, Any]]:
    """Every value in a request: the object or array that holds it, and its key."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    return [node for key in keys for node in [(value, key), *nodes(value[key])]]


def check_translated_or_rejected(body: bytes) -> None:
    """Check that an upstream of either kind gets strict JSON, or the caller a 400."""
    for dialects in ({"chat"}, {"chat", "messages"}):
        try:
            sent = with_images(parse(body)).to_upstream(dialects).body
        except ObscuraError as error:
            assert error.status == 400
            assert error.message
        else:
            strictly_read(sent)


STRANGE: tuple[object, ...] = (
    None,
    True,
    -1,
    1e308,
    "",
    "x",
    [],
    {},
    [[]],
    [None],
    {"type": "image"},
    {"type": "text"},
    [{"type": []}],
)


@pytest.mark.parametrize("number", range(len(nodes(FULL))))
def test_a_strange_value_anywhere_is_translated_or_rejected(number: int) -> None:
    for strange in STRANGE:
        request = copy.deepcopy(FULL)
        holder, key = nodes(request)[number]
        holder[key] = strange

        check_translated_or_rejected(json.dumps(request).encode())


@given(st.integers(0, len(nodes(FULL)) - 1), values)
def test_any_value_anywhere_is_translated_or_rejected(number: int, sub_tree: object) -> None:
    request = copy.deepcopy(FULL)
    holder, key = nodes(request)[number]
    holder[key] = sub_tree

    check_translated_or_rejected(json.dumps(request).encode())


@given(values, styles)
def test_any_json_is_translated_or_rejected(value: object, style: Random) -> None:
    check_translated_or_rejected(written(value, style).encode())


def test_a_request_with_every_field_is_translated() -> None:
    assert set(in_chat(FULL)) == {
        *("model", "messages", "max_tokens", "temperature", "stop", "user", "reasoning_effort", "response_format"),
        *("tools", "tool_choice", "parallel_tool_calls", "stream", "stream_options"),
    }
