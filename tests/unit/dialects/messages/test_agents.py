"""What coding agents send in Messages: parallel calls, empty fields, system messages in between, thinking."""

import pytest

from obscura.errors import TooManyContentParts
from tests.unit.dialects.messages.conversations import a_request, assistant, in_chat, parse, text, user


def a_call(number: int) -> dict:
    return {"type": "tool_use", "id": f"t{number}", "name": "look_up", "input": {"n": number}}


def a_result(number: int) -> dict:
    return {"type": "tool_result", "tool_use_id": f"t{number}", "content": "done"}


THINKING = {"type": "thinking", "thinking": "Hm.", "signature": "c2lnbmVk"}


def test_seventeen_parallel_calls_and_their_results_are_ordinary() -> None:
    calls = [THINKING, *map(a_call, range(17))]

    _, called, *results = in_chat(a_request(user("go"), assistant(*calls), user(*map(a_result, range(17)))))["messages"]

    assert len(called["tool_calls"]) == 17
    assert [message["role"] for message in results] == ["tool"] * 17


def test_other_blocks_beside_them_are_counted() -> None:
    texts = [text("a")] * 16

    parse(a_request(user(a_result(0), *texts)))
    with pytest.raises(TooManyContentParts, match="17 parts"):
        parse(a_request(user(a_result(0), *texts, text("b"))))


@pytest.mark.parametrize("field", [{"citations": []}, {"citations": None}, {"x_vendor": {}}, {"x_vendor": []}])
def test_an_empty_field_of_a_block_is_none(field: dict) -> None:
    assert in_chat(a_request(user(text("a", **field)))) == in_chat(a_request(user(text("a"))))


def test_a_system_message_in_mid_conversation_stays_in_its_place() -> None:
    conversation = a_request(user("a"), assistant("b"), {"role": "system", "content": [text("Be brief.")]}, user("c"))

    chat = in_chat(conversation)

    assert [message["role"] for message in chat["messages"]] == ["user", "assistant", "system", "user"]
    assert "Be brief." in parse(conversation).texts


def test_signed_thinking_and_cache_markers_are_left_out() -> None:
    marked = a_request(
        user(text("a", cache_control={"type": "ephemeral"})), assistant(THINKING, text("b")), user("c"),
        thinking={"type": "adaptive"}, output_config={"effort": "max"},
    )  # fmt: skip

    chat = in_chat(marked)

    assert chat["messages"][1] == {"role": "assistant", "content": "b"}
    assert "ephemeral" not in str(chat)
    assert chat["reasoning_effort"] == "high"
