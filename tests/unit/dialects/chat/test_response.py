"""Chat responses parsed, in all the variants that servers send."""

import json

import pytest

from obscura.dialects.chat.response import ChatCompletion, ChatMessage, Choice, ChunkParser, parse_completion
from obscura.errors import UpstreamError

COMPLETION = {"id": "c1", "model": "m", "created": 5, "choices": [{"index": 0, "message": {"content": "Hello"}}]}
CALL = {"id": "call_1", "function": {"name": "look", "arguments": {"x": [1.50, None]}}}


def parsed(**changed: object) -> tuple[ChatCompletion, Choice, ChatMessage]:
    return parse_completion(json.dumps(COMPLETION | changed).encode())


def test_a_completion_is_parsed_with_its_first_choice_and_message() -> None:
    completion, choice, message = parsed()

    assert (completion.id, completion.model, completion.created_at) == ("c1", "m", 5)
    assert choice.index == 0
    assert message.content == "Hello"


@pytest.mark.parametrize("name", ["id", "model", "created", "usage"])
def test_a_null_field_counts_as_absent(name: str) -> None:
    completion, _, message = parsed(**{name: None})

    assert getattr(completion, name) is None
    assert message.content == "Hello"


@pytest.mark.parametrize("index", [None, 0])
def test_a_choice_without_an_index_is_the_first(index: int | None) -> None:
    _, _, message = parsed(
        choices=[{"index": 1, "message": {"content": "no"}}, {"index": index, "message": {"content": "yes"}}]
    )

    assert message.content == "yes"


def test_numbers_may_be_floats_and_counts_null() -> None:
    completion, _, _ = parsed(created=5.0, usage={"prompt_tokens": 7.0, "completion_tokens": None})

    assert completion.created_at == 5
    assert completion.usage is not None
    assert (completion.usage.input_tokens, completion.usage.output_tokens, completion.usage.cached_tokens) == (7, 0, 0)


def test_content_may_be_a_list_of_parts() -> None:
    parts = [{"type": "text", "text": "Hel"}, {"type": "thinking", "thinking": []}, {"type": "text", "text": "lo"}]

    _, _, message = parsed(choices=[{"message": {"content": parts}}])

    assert message.content == "Hello"


def test_arguments_may_be_an_object() -> None:
    _, _, message = parsed(choices=[{"message": {"content": None, "tool_calls": [CALL]}}])

    assert message.content == ""
    assert message.tool_calls is not None
    assert message.tool_calls[0].function is not None
    assert json.loads(message.tool_calls[0].function.arguments) == {"x": [1.5, None]}


@pytest.mark.parametrize("choices", [None, [], [{"index": 0}], [{"index": 1, "message": {"content": "x"}}]])
def test_a_completion_without_a_first_message_is_an_upstream_error(choices: object) -> None:
    with pytest.raises(UpstreamError):
        parsed(choices=choices)


def test_chunks_after_done_are_not_parsed() -> None:
    parser = ChunkParser()

    chunks = list(parser.feed(b'data: {"id":"c1"}\n\ndata: [DONE]\n\ndata: oops\n\n'))

    assert [chunk.id for chunk in chunks] == ["c1"]
    assert parser.done
    assert list(parser.feed(b"data: oops\n\n")) == []
