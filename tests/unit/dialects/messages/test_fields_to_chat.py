"""The fields of a Messages request beside its messages, as those of chat: generation, tools, thinking, formats."""

from typing import Any

import pytest

from obscura.errors import InvalidRequest, ObscuraError, UnsupportedField
from tests.unit.dialects.messages.conversations import a_request, a_tool, in_chat

PLAIN = in_chat(a_request())
SCHEMA = {"type": "object", "properties": {"colour": {"type": "string"}}}
FORMAT = {"type": "json_schema", "schema": SCHEMA}
RESPONSE_FORMAT = {
    "type": "json_schema",
    "json_schema": {"name": "output", "strict": True, "schema": SCHEMA},
}
FUNCTION: dict[str, Any] = {"type": "function", "function": {"name": "look_up", "parameters": a_tool()["input_schema"]}}


def added(**fields: object) -> dict:
    """The fields that a request's fields add to the chat request."""
    response = in_chat(a_request(**fields))
    return {key: value for key, value in response.items() if key not in PLAIN or value != PLAIN[key]}


def rejected(**fields: object) -> ObscuraError:
    with pytest.raises(ObscuraError) as caught:
        in_chat(a_request(**fields))
    assert caught.value.status == 400
    return caught.value


def test_a_request_without_any_options_is_model_messages_and_max_tokens() -> None:
    assert PLAIN == {"model": "m", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 100}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"temperature": 0.5, "top_p": 0.9, "top_k": 40}, {"temperature": 0.5, "top_p": 0.9, "top_k": 40}),
        ({"stop_sequences": ["END", "\n\n"]}, {"stop": ["END", "\n\n"]}),
        ({"stop_sequences": []}, {}),
        ({"metadata": {"user_id": "u-1"}}, {"user": "u-1"}),
        ({"metadata": {}}, {}),
        ({"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}),
        ({"stream": False}, {}),
        ({"output_config": {"format": FORMAT}}, {"response_format": RESPONSE_FORMAT}),
        ({"output_format": FORMAT}, {"response_format": RESPONSE_FORMAT}),
        ({"speed": "standard", "service_tier": "auto", "cache_control": {"type": "ephemeral"}}, {}),
        ({"context_management": {"edits": [{"type": "clear_thinking_20251015"}]}}, {}),
        ({"context_management": {"edits": [{"type": "clear_tool_uses_20250919", "keep": {"type": "all"}}]}}, {}),
        ({"mcp_servers": [], "container": None, "thread": {}, "fallbacks": []}, {}),
    ],
)
def test_options_have_their_counterparts_in_chat(fields: dict, expected: dict) -> None:
    assert added(**fields) == expected


@pytest.mark.parametrize(
    ("fields", "effort"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "low"),
        ({"thinking": {"type": "enabled", "budget_tokens": 4096}}, "medium"),
        ({"thinking": {"type": "enabled", "budget_tokens": 16384}}, "high"),
        ({"thinking": {"type": "adaptive"}}, None),
        ({"thinking": {"type": "disabled"}}, None),
        ({"output_config": {"effort": "medium"}}, "medium"),
        ({"output_config": {"effort": "max"}}, "high"),
        ({"output_config": {"effort": "low"}, "thinking": {"type": "enabled", "budget_tokens": 20000}}, "low"),
    ],
)
def test_thinking_and_effort_become_a_reasoning_effort(fields: dict, effort: str | None) -> None:
    assert added(**fields) == ({"reasoning_effort": effort} if effort else {})


def test_a_tool_becomes_a_function_with_its_schema_untouched() -> None:
    tool = a_tool(description="Looks a word up.", strict=True, cache_control={"type": "ephemeral"}, type="custom")

    response = added(tools=[tool, a_tool("count", description=None, type=None)])

    (first, second) = response["tools"]
    assert first["function"] == FUNCTION["function"] | {"description": "Looks a word up.", "strict": True}
    assert second["function"] == FUNCTION["function"] | {"name": "count"}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "auto"}, {"tool_choice": "auto"}),
        ({"type": "any"}, {"tool_choice": "required"}),
        ({"type": "none"}, {"tool_choice": "none"}),
        (
            {"type": "tool", "name": "look_up"},
            {"tool_choice": {"type": "function", "function": {"name": "look_up"}}},
        ),
        (
            {"type": "auto", "disable_parallel_tool_use": True},
            {"tool_choice": "auto", "parallel_tool_calls": False},
        ),
        ({"type": "auto", "disable_parallel_tool_use": False}, {"tool_choice": "auto"}),
        (None, {}),
    ],
)
def test_tool_choice_becomes_that_of_chat(choice: dict | None, expected: dict) -> None:
    assert added(tools=[a_tool()], tool_choice=choice) == {"tools": [FUNCTION]} | expected


@pytest.mark.parametrize("choice", [{"type": "auto"}, {"type": "none"}])
@pytest.mark.parametrize("tools", [[], None])
def test_a_tool_choice_without_tools_is_left_out(choice: dict, tools: list | None) -> None:
    assert added(tools=tools, tool_choice=choice) == {}


OPTIONAL = (
    "system", "stream", "stop_sequences", "temperature", "top_p", "top_k", "metadata", "tools", "tool_choice",
    "thinking", "output_config", "output_format", "context_management", "cache_control", "service_tier", "speed",
    "container", "mcp_servers", "inference_geo", "diagnostics", "unknown_field",
)  # fmt: skip


@pytest.mark.parametrize("field", OPTIONAL)
def test_a_null_field_counts_as_absent(field: str) -> None:
    assert added(**{field: None}) == {}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"container": "c_1"}, "container"),
        ({"mcp_servers": [{"name": "a"}]}, "mcp_servers"),
        ({"inference_geo": "us"}, "inference_geo"),
        ({"user_profile_id": "u"}, "user_profile_id"),
        ({"unknown_field": False}, "unknown_field"),
        ({"speed": "fast"}, "speed"),
        ({"metadata": {"team": "x"}}, "metadata.team"),
        ({"stop_sequences": ["a", "b", "c", "d", "e"]}, "stop_sequences"),
        ({"thinking": {"type": "between_tools"}}, "thinking.type"),
        ({"thinking": {"type": "adaptive", "depth": 3}}, "thinking.depth"),
        ({"output_config": {"task_budget": {"total": 9}}}, "output_config.task_budget"),
        ({"output_format": FORMAT, "output_config": {"format": FORMAT}}, "output_format"),
        ({"context_management": {"edits": [{"type": "compact_20260112"}]}}, "context_management.edits[0].type"),
        ({"context_management": {"edits": [7]}}, "context_management.edits[0].type"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type"),
        ({"tools": [a_tool(), a_tool(input_examples=[{}])]}, "tools[1].input_examples"),
        ({"tools": [a_tool(defer_loading=True)]}, "tools[0].defer_loading"),
        ({"tools": [a_tool(allowed_callers=["direct", "code_execution_20250825"])]}, "tools[0].allowed_callers[1]"),
        ({"tools": [a_tool()], "tool_choice": {"type": "auto", "unknown": 1}}, "tool_choice.unknown"),
    ],
)
def test_a_field_that_chat_lacks_is_rejected_by_name_with_a_hint(fields: dict, param: str) -> None:
    error = rejected(**fields)

    assert isinstance(error, UnsupportedField)
    assert error.param == param
    _, _, hint = error.message.partition("which this model's upstream speaks. ")
    assert hint


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"model": ""}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": None}, "messages"),
        ({"messages": {}}, "messages"),
        ({"system": 7}, "system"),
        ({"system": {}}, "system"),
        ({"stream": "yes"}, "stream"),
        ({"stop_sequences": "END"}, "stop_sequences"),
        ({"stop_sequences": ["END", 1]}, "stop_sequences[1]"),
        ({"metadata": {"user_id": 7}}, "metadata.user_id"),
        ({"metadata": "me"}, "metadata"),
        ({"thinking": {}}, "thinking.type"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "enabled", "budget_tokens": 0}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "adaptive", "display": "loud"}}, "thinking.display"),
        ({"output_config": {"effort": "huge"}}, "output_config.effort"),
        ({"output_config": {"format": {}}}, "output_config.format.type"),
        ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema"),
        ({"output_format": {"type": "grammar"}}, "output_format.type"),
        ({"tools": {}}, "tools"),
        ({"tools": [7]}, "tools[0]"),
        ({"tools": [{"name": "f"}]}, "tools[0].input_schema"),
        ({"tools": [{"input_schema": {}}]}, "tools[0].name"),
        ({"tools": [a_tool(strict=1)]}, "tools[0].strict"),
        ({"tools": [a_tool()], "tool_choice": {}}, "tool_choice.type"),
        ({"tools": [a_tool()], "tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"tools": [a_tool()], "tool_choice": "auto"}, "tool_choice"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
    ],
)
def test_a_malformed_value_is_an_invalid_request_with_its_path(fields: dict, param: str) -> None:
    error = rejected(**fields)

    assert isinstance(error, InvalidRequest)
    assert error.param == param


def test_a_long_unknown_name_is_cut_in_the_message() -> None:
    assert len(rejected(**{"x" * 5000: 1}).message) < 300
