"""Responses translated from chat completions are complete objects by the openai SDK's own types."""

import pytest

from tests.contract.fields.responses.sdk_types import strict_response
from tests.unit.dialects.responses.requests import a_request, completion, translated
from tests.unit.dialects.responses.test_response import CALLS, EVERYTHING
from tests.unit.dialects.responses.test_tools import LIKELY, PATCH, SEARCH, called


@pytest.mark.parametrize("request_fields", [a_request(), EVERYTHING], ids=["least", "everything"])
@pytest.mark.parametrize(
    ("message", "finish_reason"),
    [
        ({"content": "A cat."}, "stop"),
        ({"content": "A ca"}, "length"),
        ({"content": None, "refusal": "No."}, "stop"),
        ({"content": None, "tool_calls": CALLS}, "tool_calls"),
        ({"content": "Two.", "reasoning_content": "One, two.", "tool_calls": CALLS}, "tool_calls"),
        ({"content": None}, "content_filter"),
    ],
)
def test_every_answer_has_all_fields_of_the_schema_and_no_other(
    request_fields: dict, message: dict, finish_reason: str
) -> None:
    response = translated(request_fields, completion(message, finish_reason), (729,))

    strict_response(response)


@pytest.mark.parametrize(
    ("request_fields", "completed"),
    [
        (a_request(tools=[PATCH]), called("apply_patch", '{"input":"*** a"}')),
        (a_request(tools=[SEARCH]), called("tool_search", '{"query":"agents"}')),
        (a_request(top_logprobs=2, include=["message.output_text.logprobs"]), LIKELY),
    ],
    ids=["custom tool", "search of tools", "log probabilities"],
)
def test_calls_of_agents_and_log_probabilities_are_of_the_schema(request_fields: dict, completed: bytes) -> None:
    response = translated(request_fields, completed)

    strict_response(response)
