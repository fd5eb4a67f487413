"""Turns of coding agents as they send them, shortened: Codex and Claude Code, each with an image."""

import base64
import json
from pathlib import Path
from typing import Any

from obscura.moderation.demo import MARKER_WORD
from tests.support.fake_upstream import answers, chunk, in_turn, streams
from tests.support.gateway import Gateway, running_gateway
from tests.support.loopback_server import LoopbackServer
from tests.support.response_stream_grammar import events_of
from tests.unit.imaging.images import a_plain, opened

CODEX: dict[str, Any] = {
    "model": "m",
    "stream": True,
    "store": False,
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "reasoning": {"effort": "medium"},
    "include": ["reasoning.encrypted_content"],
    "prompt_cache_key": "01a21f9f-526b-77e0-8cf2-8b4dbe433720",
    "text": {"verbosity": "low"},
    "client_metadata": {"turn_id": "01a21f9f-52a1-7d81", "x-codex-turn-metadata": '{"sandbox":"none"}'},
    "tools": [
        {"type": "function", "name": "exec_command", "strict": False, "parameters": {"type": "object"}},
        {"type": "custom", "name": "apply_patch",
         "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"}},
        {"type": "namespace", "name": "multi_agent_v1", "description": "Sub-agents.",
         "tools": [{"type": "function", "name": "spawn_agent", "strict": False, "parameters": {"type": "object"}}]},
        {"type": "tool_search", "execution": "client", "parameters": {"type": "object"}},
        {"type": "web_search", "external_web_access": True, "search_content_types": ["text", "image"]},
    ],
}  # fmt: skip
CLAUDE_CODE: dict[str, Any] = {
    "model": "m",
    "max_tokens": 64000,
    "stream": True,
    "metadata": {"user_id": '{"device_id":"031a9c23","account_uuid":"","session_id":"82d9b043"}'},
    "thinking": {"type": "adaptive"},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    "output_config": {"effort": "high"},
    "system": [{"type": "text", "text": "You help.", "cache_control": {"type": "ephemeral"}}],
    "tools": [{"name": "Read", "description": "Reads.", "input_schema": {"type": "object"}}],
}


def a_png() -> str:
    return base64.b64encode(a_plain(64, 48, "PNG")).decode()


def codex_input() -> list[dict]:
    image = {"type": "input_image", "image_url": f"data:image/png;base64,{a_png()}", "detail": "original"}
    return [{"type": "message", "role": "user", "content": [image, {"type": "input_text", "text": "What is it?"}]}]


def catalog(folder: Path, upstream: LoopbackServer) -> Path:
    path = folder / "models.toml"
    path.write_text(
        f'[[upstreams]]\nname = "u"\nurl = "{upstream.v1}"\nhosted_tools = "drop"\n'
        '[[models]]\nid = "m"\nupstream = "u"\n'
    )
    return path


async def test_a_turn_of_codex_with_an_image_and_a_call_in_a_namespace(
    upstream: LoopbackServer, tmp_path: Path
) -> None:
    function = {"name": "multi_agent_v1__spawn_agent", "arguments": '{"message":"go"}'}
    upstream.respond = streams(
        chunk({"role": "assistant", "tool_calls": [{"index": 0, "id": "c", "type": "function", "function": function}]}),
        chunk({}, "tool_calls"),
        b"data: [DONE]\n\n",
    )
    async with running_gateway(models=catalog(tmp_path, upstream)) as gateway:
        response = await gateway.client.post("/v1/responses", json=CODEX | {"input": codex_input()})

    sent = upstream.received[0].json()
    assert [tool["function"]["name"] for tool in sent["tools"]] == [
        *("exec_command", "apply_patch", "multi_agent_v1__spawn_agent", "tool_search"),
    ]
    image, _ = sent["messages"][0]["content"]
    assert image["image_url"]["detail"] == "high"
    assert opened(base64.b64decode(image["image_url"]["url"].partition(",")[2])).size == (64, 48)
    assert b"x-codex" not in upstream.received[0].body
    (item,) = events_of(response.content)[-1]["response"]["output"]
    assert (item["type"], item["name"], item["namespace"]) == ("function_call", "spawn_agent", "multi_agent_v1")
    assert response.content.endswith(b"data: [DONE]\n\n")


async def test_without_the_catalogs_word_codex_hears_which_tool_it_is(gateway: Gateway) -> None:
    response = await gateway.client.post("/v1/responses", json=CODEX | {"input": codex_input()})

    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, "unsupported_field", "tools[4].type")
    assert "hosted_tools" in error["message"]


async def test_text_in_the_metadata_of_codex_is_moderated(upstream: LoopbackServer, tmp_path: Path) -> None:
    metadata = {"client_metadata": {"note": f"a {MARKER_WORD} b"}}
    async with running_gateway(models=catalog(tmp_path, upstream), moderation="demo") as gateway:
        response = await gateway.client.post("/v1/responses", json=CODEX | {"input": codex_input()} | metadata)

    assert response.json()["error"]["code"] == "moderation_blocked"
    assert upstream.received == []


async def test_a_session_of_claude_code_survives_ten_turns_with_images(
    upstream: LoopbackServer, gateway: Gateway
) -> None:
    messages: list[dict] = [{"role": "user", "content": [{"type": "text", "text": "Read."}]}]
    calls = [
        streams(
            chunk({"reasoning_content": "Hm."}),
            chunk({"tool_calls": [{"index": 0, "id": f"c{turn}", "function": {"name": "Read", "arguments": "{}"}}]}),
            chunk({}, "tool_calls"),
            b"data: [DONE]\n\n",
        )
        for turn in range(10)
    ]
    upstream.respond = in_turn(*calls, answers())
    source = {"type": "base64", "media_type": "image/png", "data": a_png()}
    for turn in range(10):
        response = await gateway.client.post("/v1/messages?beta=true", json=CLAUDE_CODE | {"messages": messages})

        assert response.status_code == 200
        assert response.text.rstrip().endswith('{"type":"message_stop"}')
        thought = {"type": "thinking", "thinking": "Hm.", "signature": "c2lnbmVk" if turn % 2 else ""}
        use = {"type": "tool_use", "id": f"c{turn}", "name": "Read", "input": {"file_path": "a.png"}}
        result = {"type": "tool_result", "tool_use_id": f"c{turn}", "content": [{"type": "image", "source": source}]}
        messages += [{"role": "assistant", "content": [thought, use]}, {"role": "user", "content": [result]}]
        messages.append({"role": "system", "content": [{"type": "text", "text": "The time has changed."}]})

    last = await gateway.client.post(
        "/v1/messages?beta=true", json=CLAUDE_CODE | {"messages": messages, "stream": False}
    )

    sent = upstream.received[-1].json()["messages"]
    assert last.json()["content"] == [{"type": "text", "text": "A cat.", "citations": []}]
    assert sum("image_url" in json.dumps(message) for message in sent) == 10
    assert "Hm." not in json.dumps(sent)
