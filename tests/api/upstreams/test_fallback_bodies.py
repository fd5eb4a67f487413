"""What each upstream of a group gets: the same as if it were the only one."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_upstream import answers
from tests.support.image_urls import a_data_url
from tests.support.upstream_groups import served_group


def a_message(**fields: Any) -> dict[str, Any]:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": a_data_url(40, 40)[22:]}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "found"}, image]}
    return {
        "model": "m",
        "max_tokens": 5,
        "system": [{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}],
        "tools": [{"name": "look", "input_schema": {"type": "object"}}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "look"}, image]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "look", "input": {"a": 1}}]},
            {"role": "user", "content": [result]},
        ],
    } | fields


def a_response_request(**fields: Any) -> dict[str, Any]:
    image = {"type": "input_image", "image_url": a_data_url(40, 40)}
    return {
        "model": "m",
        "max_output_tokens": 50,
        "instructions": "be brief",
        "tools": [{"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": False}],
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "look"}, image]},
            {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
            {
                "type": "function_call_output",
                "call_id": "c1",
                "output": [{"type": "input_text", "text": "found"}, image],
            },
        ],
    } | fields


@pytest.mark.parametrize("zero_retention", ["true", "false"])
@pytest.mark.parametrize("native_first", [True, False], ids=["native first", "translated first"])
@pytest.mark.parametrize(
    ("path", "dialect", "body"),
    [("/v1/messages", "messages", a_message()), ("/v1/responses", "responses", a_response_request())],
    ids=["messages", "responses"],
)
async def test_each_upstream_gets_what_it_would_get_alone(
    path: str, dialect: str, body: dict, native_first: bool, zero_retention: str, tmp_path: Path
) -> None:
    upstreams: dict[str, dict[str, Any]] = {
        "one": {"responds": answers({}, 500)},
        "two": {"responds": answers({}, 500)},
    }
    upstreams["one" if native_first else "two"]["dialects"] = ["chat", dialect]
    headers = {"x-zero-retention": zero_retention}
    async with served_group(tmp_path, upstreams) as group:
        for model in ("m", "one-alone", "two-alone"):
            response = await group.gateway.client.post(path, json=body | {"model": model}, headers=headers)
            assert response.status_code == 502, response.text
        for server in group.upstreams.values():
            together, alone = (request.json() | {"model": "m"} for request in server.received)

            assert [request.path for request in server.received] == [server.received[0].path] * 2
            assert together == alone
