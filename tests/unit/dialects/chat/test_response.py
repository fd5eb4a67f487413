"""What chat upstreams answer, in the spellings that servers differ in."""

import json

import pytest

from obscura.dialects.chat.response import ChunkParser, read_completion
from obscura.errors import UpstreamError

ANSWER = {"id": "c1", "model": "m", "created": 5, "choices": [{"index": 0, "message": {"content": "Hello"}}]}
CALL = {"id": "call_1", "function": {"name": "look", "arguments": {"x": [1.50, None]}}}


def read(**changed: object):
    return read_completion(json.dumps(ANSWER | changed).encode())


def test_a_completion_is_read_with_its_first_choice_and_message() -> None:
    answer, choice, said = read()

    assert (answer.id, answer.model, answer.created_at) == ("c1", "m", 5)
    assert choice.index == 0
    assert said.content == "Hello"


@pytest.mark.parametrize("name", ["id", "model", "created", "usage"])
def test_a_field_that_is_null_is_as_one_that_is_not_there(name: str) -> None:
    answer, _, said = read(**{name: None})

    assert getattr(answer, name) is None
    assert said.content == "Hello"


@pytest.mark.parametrize("index", [None, 0])
def test_a_choice_without_an_index_is_the_first(index: int | None) -> None:
    _, _, said = read(
        choices=[{"index": 1, "message": {"content": "no"}}, {"index": index, "message": {"content": "yes"}}]
    )

    assert said.content == "yes"


def test_numbers_may_be_floats_and_counts_null() -> None:
    answer, _, _ = read(created=5.0, usage={"prompt_tokens": 7.0, "completion_tokens": None})

    assert answer.created_at == 5
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.cached_tokens) == (7, 0, 0)


def test_content_may_be_a_list_of_parts() -> None:
    parts = [{"type": "text", "text": "Hel"}, {"type": "thinking", "thinking": []}, {"type": "text", "text": "lo"}]

    _, _, said = read(choices=[{"message": {"content": parts}}])

    assert said.content == "Hello"


def test_arguments_may_be_an_object() -> None:
    _, _, said = read(choices=[{"message": {"content": None, "tool_calls": [CALL]}}])

    assert said.content == ""
    assert said.tool_calls is not None
    assert said.tool_calls[0].function is not None
    assert json.loads(said.tool_calls[0].function.arguments) == {"x": [1.5, None]}


@pytest.mark.parametrize("choices", [None, [], [{"index": 0}], [{"index": 1, "message": {"content": "x"}}]])
def test_an_answer_without_a_first_message_is_the_upstreams_error(choices: object) -> None:
    with pytest.raises(UpstreamError):
        read(choices=choices)


def test_what_comes_after_done_is_not_read() -> None:
    reader = ChunkParser()

    chunks = list(reader.feed(b'data: {"id":"c1"}\n\ndata: [DONE]\n\ndata: oops\n\n'))

    assert [chunk.id for chunk in chunks] == ["c1"]
    assert reader.done
    assert list(reader.feed(b"data: oops\n\n")) == []
