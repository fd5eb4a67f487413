"""Custom tools, namespaces, the client's search of tools and hosted tools over chat, there and back."""

import json
from typing import Any

import pytest

from obscura.dialects.chat_options import ChatOptions
from obscura.errors import InvalidRequest, UnsupportedField
from tests.support.fake_upstream import chunk
from tests.support.response_stream_grammar import STREAM_END, events_of
from tests.unit.dialects.responses.requests import (
    FUNCTION,
    a_request,
    as_chat,
    call,
    completion,
    messages_of,
    output,
    parsed,
    translated,
)

PATCH = {
    "type": "custom",
    "name": "apply_patch",
    "description": "Edits files.",
    "format": {"type": "grammar", "syntax": "lark", "definition": 'start: "a"\n'},
}
AGENTS = {
    "type": "namespace",
    "name": "agents",
    "description": "Sub-agents.",
    "tools": [FUNCTION | {"name": "spawn", "description": "Spawns one."}, FUNCTION],
}
SEARCH = {
    "type": "tool_search",
    "execution": "client",
    "description": "Finds tools.",
    "parameters": {"type": "object", "properties": {"query": {"type": "string"}}},
}
WEB = {"type": "web_search"}
DROPPING = ChatOptions(drops_hosted_tools=True)
NATIVE_CUSTOM = ChatOptions(custom_tools=True)


def chat_with(options: ChatOptions, **fields: object) -> dict:
    return json.loads(parsed(a_request(**fields)).to_upstream(("chat",), options).body)


def tool_names(chat: dict) -> list[str]:
    return [tool["function"]["name"] for tool in chat["tools"]]


def called(name: str, arguments: str) -> bytes:
    function = {"name": name, "arguments": arguments}
    calls = [{"id": "call_a", "type": "function", "function": function}]
    return completion({"content": None, "tool_calls": calls}, "tool_calls")


LIKELY_TOKEN = {
    "token": "A",
    "bytes": [65],
    "logprob": -0.5,
    "top_logprobs": [{"token": "A", "bytes": [65], "logprob": -0.5}],
}
LIKELY = completion(
    choices=[
        {
            "index": 0,
            "message": {"role": "assistant", "content": "A"},
            "finish_reason": "stop",
            "logprobs": {"content": [LIKELY_TOKEN]},
        }
    ]
)


def stream_of(request: dict, *deltas: dict) -> list[dict]:
    translator = parsed(request).to_upstream().translator.stream(())
    pieces = [chunk(delta) for delta in deltas] + [chunk({}, "tool_calls"), b"data: [DONE]\n\n"]
    sent = b"".join(map(translator.feed, pieces)) + translator.finish()
    assert sent.endswith(STREAM_END)
    return events_of(sent)


def a_delta(name: str | None, arguments: str) -> dict:
    function = {"name": name, "arguments": arguments} if name else {"arguments": arguments}
    return {"tool_calls": [{"index": 0, "id": "call_a" if name else None, "function": function}]}


def test_a_custom_tool_is_a_function_of_one_text_with_its_grammar_described() -> None:
    (tool,) = as_chat(a_request(tools=[PATCH]))["tools"]

    assert tool["function"]["parameters"]["required"] == ["input"]
    assert tool["function"]["description"] == 'Edits files.\n\nThe input follows this lark grammar:\nstart: "a"\n'


def test_a_custom_tool_stays_one_for_a_model_that_takes_it() -> None:
    (tool,) = chat_with(NATIVE_CUSTOM, tools=[PATCH])["tools"]

    grammar = {key: PATCH["format"][key] for key in ("definition", "syntax")}
    custom = {"name": "apply_patch", "description": "Edits files.", "format": {"type": "grammar", "grammar": grammar}}
    assert tool == {"type": "custom", "custom": custom}


@pytest.mark.parametrize("arguments", ['{"input":"*** a\\n"}', '{ "input" : "*** a\\n" }'])
def test_a_call_of_it_has_the_text_as_its_input(arguments: str) -> None:
    response = translated(a_request(tools=[PATCH]), called("apply_patch", arguments))

    (item,) = response["output"]
    assert (item["type"], item["name"], item["input"]) == ("custom_tool_call", "apply_patch", "*** a\n")


def test_arguments_that_are_no_such_object_are_the_input_themselves() -> None:
    (item,) = translated(a_request(tools=[PATCH]), called("apply_patch", "*** a"))["output"]

    assert item["input"] == "*** a"


def test_a_call_that_chat_calls_custom_is_one() -> None:
    calls = [{"id": "call_a", "type": "custom", "custom": {"name": "apply_patch", "input": "*** a"}}]

    (item,) = translated(a_request(tools=[PATCH]), completion({"content": None, "tool_calls": calls}))["output"]

    assert (item["type"], item["input"]) == ("custom_tool_call", "*** a")


def test_a_streamed_call_of_it_comes_when_its_text_is_whole() -> None:
    events = stream_of(a_request(tools=[PATCH]), a_delta("apply_patch", '{"inp'), a_delta(None, 'ut":"ab"}'))

    kinds = [event["type"].removeprefix("response.") for event in events]
    assert kinds[2:-1] == [
        *("output_item.added", "custom_tool_call_input.delta", "custom_tool_call_input.done", "output_item.done"),
    ]
    assert events[3]["delta"] == events[4]["input"] == events[5]["item"]["input"] == "ab"


def test_a_past_call_of_it_goes_back_as_the_function_that_it_was() -> None:
    past = {"type": "custom_tool_call", "call_id": "c", "name": "apply_patch", "input": 'a"\n'}
    result = {"type": "custom_tool_call_output", "call_id": "c", "output": "done"}

    _, assistant, tool = messages_of({"role": "user", "content": "go"}, past, result, tools=[PATCH])

    function = assistant["tool_calls"][0]["function"]
    assert (function["name"], json.loads(function["arguments"])) == ("apply_patch", {"input": 'a"\n'})
    assert tool == {"role": "tool", "tool_call_id": "c", "content": "done"}


def test_tools_of_a_namespace_have_names_of_both_and_come_back_apart() -> None:
    request = a_request(tools=[FUNCTION, AGENTS])
    chat = as_chat(request)

    assert tool_names(chat) == ["look", "agents__spawn", "agents__look"]
    assert chat["tools"][1]["function"]["description"] == "Sub-agents.\n\nSpawns one."
    (item,) = translated(request, called("agents__look", "{}"))["output"]
    assert (item["name"], item["namespace"]) == ("look", "agents")
    (plain,) = translated(request, called("look", "{}"))["output"]
    assert "namespace" not in plain


def test_a_past_call_in_a_namespace_has_the_same_name_again() -> None:
    (message,) = messages_of(call("c", "spawn", namespace="agents"), tools=[AGENTS])[:1]
    (untold,) = messages_of(call("c", "spawn", namespace="agents"))[:1]

    assert message["tool_calls"][0]["function"]["name"] == "agents__spawn"
    assert untold == message


@pytest.mark.parametrize(
    "tools",
    [
        [AGENTS | {"name": "a", "tools": [FUNCTION | {"name": "b__c"}]},
         AGENTS | {"name": "a__b", "tools": [FUNCTION | {"name": "c"}]}],
        [FUNCTION | {"name": "agents__look"}, AGENTS],
        [AGENTS | {"name": "n" * 70}, AGENTS | {"name": "n" * 71}],
        [AGENTS | {"name": "a.b"}, AGENTS | {"name": "a b"}],
    ],
    ids=["joined alike", "a plain one", "too long", "other characters"],
)  # fmt: skip
def test_names_are_unambiguous_and_such_as_chat_takes(tools: list[dict]) -> None:
    request = a_request(tools=tools)
    names = tool_names(as_chat(request))

    assert len(set(names)) == len(names)
    assert all(len(name) <= 64 and name.replace("_", "").replace("-", "").isalnum() for name in names)
    back = [translated(request, called(name, "{}"))["output"][0] for name in names]
    inner = [(tool.get("name"), one["name"]) for tool in tools for one in tool.get("tools", ())]
    assert [(item["namespace"], item["name"]) for item in back if "namespace" in item] == inner


def test_the_clients_search_of_tools_is_a_function_and_its_call_a_search() -> None:
    request = a_request(tools=[SEARCH])

    assert tool_names(as_chat(request)) == ["tool_search"]
    response = translated(request, called("tool_search", '{"query":"agents"}'))
    (item,) = response["output"]
    assert (item["type"], item["execution"], item["arguments"]) == ("tool_search_call", "client", {"query": "agents"})


def test_what_a_search_found_is_read_and_offered() -> None:
    deferred = AGENTS | {"tools": [FUNCTION | {"defer_loading": True}]}
    items = [
        {"type": "tool_search_call", "call_id": "c", "execution": "client", "arguments": {"query": "a"}},
        {"type": "tool_search_output", "call_id": "c", "execution": "client", "tools": [deferred]},
    ]

    chat = as_chat(a_request(items, tools=[SEARCH]))

    assert json.loads(chat["messages"][0]["tool_calls"][0]["function"]["arguments"]) == {"query": "a"}
    assert json.loads(chat["messages"][1]["content"]) == {"tools": [deferred]}
    assert tool_names(chat) == ["tool_search", "agents__look"]


@pytest.mark.parametrize("choice", [{}, {"tool_choice": "auto"}])
@pytest.mark.parametrize("kind", ["web_search", "code_interpreter", "image_generation", "tool_search"])
def test_optional_hosted_tools_are_left_out_where_the_catalog_says_so(kind: str, choice: dict) -> None:
    request = {"tools": [FUNCTION, {"type": kind}]} | choice

    assert tool_names(chat_with(DROPPING, **request)) == ["look"]
    with pytest.raises(UnsupportedField, match="hosted_tools") as refused:
        chat_with(ChatOptions(), **request)
    assert refused.value.param == "tools[1].type"


def test_a_response_does_not_repeat_a_tool_that_was_left_out() -> None:
    translator = parsed(a_request(tools=[FUNCTION, WEB])).to_upstream(("chat",), DROPPING).translator

    response = json.loads(translator.translate(completion(), ()))

    assert [tool["type"] for tool in response["tools"]] == ["function"]


@pytest.mark.parametrize("choice", ["required", {"type": "function", "name": "look"}, {"type": "web_search_preview"}])
def test_hosted_tools_that_are_not_optional_are_refused_all_the_same(choice: Any) -> None:
    with pytest.raises(UnsupportedField):
        chat_with(DROPPING, tools=[FUNCTION, WEB], tool_choice=choice)


def test_a_custom_tool_can_be_chosen_by_its_type_and_name() -> None:
    chosen = {"type": "custom", "name": "apply_patch"}

    assert chat_with(NATIVE_CUSTOM, tools=[PATCH], tool_choice=chosen)["tool_choice"] == {
        "type": "custom",
        "custom": {"name": "apply_patch"},
    }
    assert as_chat(a_request(tools=[PATCH], tool_choice=chosen))["tool_choice"]["type"] == "function"
    with pytest.raises(InvalidRequest):
        as_chat(a_request(tools=[PATCH], tool_choice={"type": "function", "name": "apply_patch"}))


def test_every_text_of_such_tools_and_calls_is_moderated() -> None:
    items = [
        {"type": "custom_tool_call", "call_id": "c", "name": "n1", "input": "n2", "namespace": "n3 n3"},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "n4"},
        {"type": "tool_search_call", "call_id": "d", "execution": "client", "arguments": {"n5": "n6"}},
        {"type": "tool_search_output", "call_id": "d", "execution": "client",
         "tools": [AGENTS | {"description": "n7", "tools": [FUNCTION | {"description": "n8"}]}]},
        output("e", "n9"),
    ]  # fmt: skip
    tools = [PATCH, AGENTS, SEARCH | {"description": "n10"}]
    metadata = {"client_metadata": {"session": "n11 n11", "turn": "01a21fb6-e702-7263"}}

    texts = "\n".join(parsed(a_request(items, tools=tools, **metadata)).texts)

    expected = [f"n{number}" for number in range(1, 12)] + ["Edits files.", 'start: "a"', "Sub-agents.", "Spawns one."]
    assert [text for text in expected if text not in texts] == []
    assert "01a21fb6" not in texts


def test_metadata_of_the_client_is_a_hint_over_chat() -> None:
    metadata = {"client_metadata": {"session": "s", "more": '{"a":"b"}'}}

    assert as_chat(a_request(**metadata)) == as_chat(a_request())


def test_log_probabilities_are_requested_and_come_back() -> None:
    request = a_request(top_logprobs=2, include=["message.output_text.logprobs"])

    response = translated(request, LIKELY)

    assert {key: as_chat(request)[key] for key in ("logprobs", "top_logprobs")} == {"logprobs": True, "top_logprobs": 2}
    assert response["output"][0]["content"][0]["logprobs"] == [LIKELY_TOKEN]
    assert response["top_logprobs"] == 2


@pytest.mark.parametrize("logprobs", [{"content": "x"}, [], "x", {"content": [{"token": 1}]}, None])
def test_malformed_log_probabilities_are_none(logprobs: object) -> None:
    chosen = {"index": 0, "message": {"role": "assistant", "content": "A"}, "finish_reason": "stop"}

    response = translated(a_request(), completion(choices=[chosen | {"logprobs": logprobs}]))

    assert response["output"][0]["content"][0]["logprobs"] == []


@pytest.mark.parametrize("count", [21, -1, "2", 1.5])
def test_a_malformed_count_of_them_is_refused(count: object) -> None:
    with pytest.raises(InvalidRequest, match="from 0 to 20"):
        as_chat(a_request(top_logprobs=count))


def test_empty_fields_are_no_fields() -> None:
    empty = {"top_logprobs": 0, "context_management": [], "moderation": {}, "conversation": None}

    assert as_chat(a_request(**empty)) == as_chat(a_request())


def test_original_detail_is_high_over_chat_and_its_own_natively() -> None:
    part = {"type": "input_image", "image_url": "https://x.test/a.png", "detail": "original"}
    request = a_request([{"role": "user", "content": [part]}])

    (chat_part,) = as_chat(request)["messages"][0]["content"]
    assert chat_part["image_url"]["detail"] == "high"
    assert parsed(request).images[0].detail == "high"
    native = json.loads(parsed(request).to_upstream(("chat", "responses")).body)
    assert native["input"][0]["content"][0]["detail"] == "original"
