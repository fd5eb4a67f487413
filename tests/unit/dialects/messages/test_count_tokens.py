"""Counting tokens: what the estimate counts, and the request to an upstream that counts by itself."""

import json

import pytest

from obscura.dialects.base import ContentLimits, RequestHead
from obscura.dialects.json.raw import RawJson
from obscura.dialects.messages.request import CountTokensDialect, CountTokensRequest
from obscura.errors import InvalidRequest, UnsupportedField
from tests.unit.dialects.messages.conversations import (
    a_request,
    a_tool,
    assistant,
    image,
    text,
    tool_result,
    tool_use,
    user,
    with_images,
)


def a_count(*messages: dict, **fields: object) -> CountTokensRequest:
    request = {key: value for key, value in a_request(*messages, **fields).items() if key != "max_tokens"}
    return CountTokensDialect().parse(RequestHead(), RawJson(json.dumps(request).encode()), ContentLimits())


def estimated(*messages: dict, image_tokens: tuple[int, ...] = (), **fields: object) -> int:
    response = json.loads(a_count(*messages, **fields).estimate(image_tokens))
    assert response == {"input_tokens": response["input_tokens"], "estimate": True}
    return response["input_tokens"]


def test_an_estimate_is_a_token_for_4_bytes_and_4_for_each_message() -> None:
    assert estimated(user("12345678")) == 4 + 2
    assert estimated(user("123456789")) == 4 + 3
    assert estimated(user("日本")) == 4 + 2
    assert estimated(user("1234"), assistant("1234"), user("1234")) == 12 + 3


def test_images_count_with_the_tokens_they_have_for_the_model() -> None:
    assert estimated(user(text("1234"), image(), image()), image_tokens=(729, 16)) == 4 + 1 + 745


@pytest.mark.parametrize(
    "longer",
    [
        {"system": "be brief and kind"},
        {"system": [text("be brief and kind")]},
        {"tools": [a_tool(description="Looks a word up.")]},
    ],
)
def test_system_and_tools_count(longer: dict) -> None:
    assert estimated(**longer) > estimated()


def test_tool_calls_and_results_count() -> None:
    short = [user("hi"), assistant(tool_use()), user(tool_result("toolu_1", "ok"))]
    long_input = [short[0], assistant(tool_use(word="of many letters")), short[2]]
    long_result = [short[0], short[1], user(tool_result("toolu_1", "of many letters"))]

    assert estimated(*long_input) > estimated(*short)
    assert estimated(*long_result) > estimated(*short)


def test_tools_and_calls_count_once_as_the_json_that_they_are() -> None:
    tools = [a_tool(description="Looks a word up.", input_schema={"type": "object", "properties": {"word": {}}})]
    call = tool_use(word="camera obscura")
    request = [user("hello"), assistant(call), user(tool_result("toolu_1", "A dark box."))]

    json_bytes = sum(len(json.dumps(node)) for node in (tools, call["name"], call["input"]))
    text_bytes = len("hello" + "A dark box." + "Be brief.")

    assert estimated(*request, tools=tools, system="Be brief.") == 3 * 4 + -(-(json_bytes + text_bytes) // 4)


def test_a_request_that_could_not_be_sent_is_not_counted_either() -> None:
    with pytest.raises(UnsupportedField) as caught:
        a_count(container="c_1").check_translatable({"chat"})

    assert caught.value.param == "container"


def test_a_count_needs_messages() -> None:
    with pytest.raises(InvalidRequest):
        a_count(messages=[])


def test_an_upstream_that_speaks_messages_counts_the_prepared_images() -> None:
    parsed_request = with_images(a_count(user(image())))

    to_upstream = parsed_request.to_upstream({"chat", "messages"})

    assert parsed_request.upstream_can_count({"chat", "messages"})
    assert (to_upstream.dialect, to_upstream.counts_tokens, to_upstream.streamed) == ("messages", True, False)
    assert json.loads(to_upstream.body)["messages"][0]["content"][0]["source"]["data"] == "UFJFUA=="


def test_an_upstream_that_speaks_chat_does_not_count() -> None:
    assert not a_count().upstream_can_count({"chat", "responses"})
