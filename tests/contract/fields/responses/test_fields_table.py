"""The tables in the docs name every field of the SDK and say what the code does with it."""

from collections.abc import Callable

import pytest
from openai.types.responses import Response, ResponseInputItemParam
from openai.types.responses import response_create_params as params
from openai.types.responses.response_input_audio_param import ResponseInputAudioParam
from openai.types.responses.response_input_content_param import ResponseInputContentParam
from openai.types.responses.response_output_refusal_param import ResponseOutputRefusalParam
from openai.types.responses.response_output_text_param import ResponseOutputTextParam
from openai.types.responses.response_text_config_param import ResponseTextConfigParam
from openai.types.responses.tool_param import ToolParam
from openai.types.shared_params import Reasoning

from obscura.errors import UnsupportedField, UnsupportedOperation
from tests.contract.fields.responses.field_examples import BUILDERS, DESCRIBED, ITEMS, PARTS, in_part, in_request
from tests.contract.fields.responses.field_tables import by_kind, fields_of, fields_with, members_of, table
from tests.unit.dialects.responses.requests import (
    FUNCTION,
    PREPARED,
    a_request,
    as_chat,
    completion,
    to_upstream,
    translated,
)
from tests.unit.dialects.responses.test_response import EVERYTHING

RESPONSES = "fields-responses.md"
PENALTIES = {"presence_penalty", "frequency_penalty"}
"""Fields of Open Responses that OpenAI's own API does not have."""
BEYOND_THE_SDK = {"client_metadata"}
FILES = ("input_file",)
IMAGES = ("input_image.image_url", "input_image.file_id")


def each(word: str, but: tuple[str, ...] = ()) -> list:
    """Every field with this word and its builder; types and modes are tested with the fields that need them."""
    return [
        pytest.param(build, field, id=f"{heading}: {field}")
        for heading, build in BUILDERS.items()
        for field in fields_with(word, RESPONSES, heading)
        if not field.endswith(".type") and field not in but and not (heading == "Tool choice" and "." in field)
    ]


def test_the_table_of_the_request_is_complete() -> None:
    nested = {
        "reasoning": Reasoning,
        "text": ResponseTextConfigParam,
        "stream_options": params.StreamOptions,
        "prompt_cache_options": params.PromptCacheOptions,
    }

    expected = fields_of(params.ResponseCreateParamsBase) | fields_of(params.ResponseCreateParamsStreaming)
    expected |= {f"{holder}.{field}" for holder, inner in nested.items() for field in fields_of(inner)}
    assert set(table(RESPONSES, "Request")) == expected | BEYOND_THE_SDK | PENALTIES


def test_the_tables_of_items_parts_tools_and_choices_are_complete() -> None:
    parts = [
        *members_of(ResponseInputContentParam),
        ResponseInputAudioParam,
        ResponseOutputTextParam,
        ResponseOutputRefusalParam,
    ]
    choices = by_kind(members_of(params.ToolChoice), {"function", "custom", "allowed_tools"}) | {
        "none",
        "auto",
        "required",
    }

    assert set(table(RESPONSES, "Input items")) == by_kind(members_of(ResponseInputItemParam), set(ITEMS))
    assert set(table(RESPONSES, "Content parts")) == by_kind(parts, set(PARTS))
    assert set(table(RESPONSES, "Tools")) == by_kind(members_of(ToolParam), {"function"})
    assert set(table(RESPONSES, "Tool choice")) == choices


@pytest.mark.parametrize(("build", "field"), each("refused"))
def test_a_rejected_field_is_named_by_its_path(build: Callable[[str], tuple[dict, dict, str]], field: str) -> None:
    _, sent, path = build(field)

    with pytest.raises((UnsupportedField, UnsupportedOperation)) as raised:
        to_upstream(sent)

    assert raised.value.param == path


@pytest.mark.parametrize(("build", "field"), each("ignored"))
def test_an_ignored_field_changes_nothing(build: Callable[[str], tuple[dict, dict, str]], field: str) -> None:
    without, sent, _ = build(field)

    assert as_chat(sent, FILES) == as_chat(without, FILES)


@pytest.mark.parametrize(("build", "field"), each("carried", but=IMAGES))
def test_a_carried_field_reaches_the_upstream(build: Callable[[str], tuple[dict, dict, str]], field: str) -> None:
    without, sent, _ = build(field)

    assert as_chat(sent, FILES) != as_chat(without, FILES)


@pytest.mark.parametrize("field", IMAGES)
def test_an_image_reaches_the_upstream_as_it_was_checked(field: str) -> None:
    _, sent, _ = in_part(field)

    (part,) = as_chat(sent)["messages"][0]["content"]
    assert part["image_url"]["url"] == PREPARED.decode()


@pytest.mark.parametrize("field", fields_with("passed", RESPONSES, "Request"))
def test_a_passed_field_keeps_its_name_and_value(field: str) -> None:
    _, sent, _ = in_request(field)

    response = as_chat(sent)

    holder = field.partition(".")[0]
    assert response[holder] == sent[holder]


@pytest.mark.parametrize("choice", fields_with("passed", RESPONSES, "Tool choice"))
def test_a_passed_choice_keeps_its_name(choice: str) -> None:
    assert as_chat(a_request(tools=[FUNCTION], tool_choice=choice))["tool_choice"] == choice


def test_the_table_of_the_answer_is_complete() -> None:
    assert set(table(RESPONSES, "The response")) == set(Response.model_fields) | {"store"} | PENALTIES


def test_each_field_of_the_answer_comes_from_where_the_table_says() -> None:
    everything = EVERYTHING | {"tools": [DESCRIBED]}
    other = completion({"content": "B"}, "length", model="other", created=5, usage=None)

    least, most = translated(a_request()), translated(everything, other)

    assert [
        field for field in fields_with("repeated", RESPONSES, "The response") if most[field] != everything[field]
    ] == []
    assert [field for field in fields_with("fixed", RESPONSES, "The response") if least[field] != most[field]] == []
    unchanged = set(fields_with("translated", RESPONSES, "The response")) - {
        key for key in least if least[key] != most[key]
    }
    assert unchanged == {"error"}
