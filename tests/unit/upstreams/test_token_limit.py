"""The name of the token limit: what is known of hosts and models, and which refusals are of the name."""

import json

import pytest

from obscura.upstreams.token_limit import MAX_LEARNED, LearnedFields, known_field, refuses_field

OPENAI = "https://api.openai.com/v1"
OTHER = "http://10.0.0.7:8000/v1"


@pytest.mark.parametrize("model", ["gpt-5", "gpt-5.5-mini", "openai/gpt-5", "o1", "o3-mini", "azure/o4-mini"])
def test_openais_models_of_reasoning_take_the_living_name_anywhere(model: str) -> None:
    assert known_field(OTHER, model) == "max_completion_tokens"


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-oss-20b", "o1x", "qwen2.5-vl", "gpt-50", "claude-opus-4-6", ""])
def test_any_other_model_takes_what_old_servers_know(model: str) -> None:
    assert known_field(OTHER, model) == "max_tokens"


def test_openai_itself_takes_the_living_name_for_every_model() -> None:
    assert known_field(OPENAI, "gpt-4o") == known_field("https://eu.api.openai.com/v1", "x") == "max_completion_tokens"
    assert known_field("https://api.openai.com.evil.test/v1", "gpt-4o") == "max_tokens"


REFUSALS = [
    (400, "max_tokens", {"message": "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
                         "'max_completion_tokens' instead.", "param": "max_tokens", "code": "unsupported_parameter"}),
    (400, "max_completion_tokens", {"message": "Unrecognized request argument supplied: max_completion_tokens"}),
    (400, "max_tokens", {"message": "no", "param": "max_tokens", "code": "unsupported_parameter"}),
]  # fmt: skip


@pytest.mark.parametrize(("status", "field", "error"), REFUSALS)
def test_a_refusal_of_the_name_is_one(status: int, field: str, error: dict) -> None:
    assert refuses_field(status, json.dumps({"error": error}).encode(), field)


def test_a_validation_error_that_names_the_field_is_a_refusal() -> None:
    body = b'{"detail":[{"type":"extra_forbidden","loc":["body","max_completion_tokens"],"msg":"Extra inputs"}]}'

    assert refuses_field(422, body, "max_completion_tokens")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b'{"error":{"message":"max_tokens is too large: 9","param":"max_tokens","code":"invalid_value"}}'),
        (400, b'{"error":{"message":"This model does not support images","param":"messages"}}'),
        (500, b'{"error":{"message":"max_tokens is not supported","param":"max_tokens"}}'),
        (400, b'{"error":{"message":"max_tokens_to_sample is unknown"}}'),
        (400, b"\xff max"),
    ],
)
def test_any_other_error_is_none(status: int, body: bytes) -> None:
    assert not refuses_field(status, body, "max_tokens")


def test_what_was_learned_is_bounded() -> None:
    learned = LearnedFields()
    for number in range(MAX_LEARNED + 1):
        learned.learn(f"m{number}", "max_tokens")

    assert learned.get("m0") is None
    assert learned.get(f"m{MAX_LEARNED}") == "max_tokens"
