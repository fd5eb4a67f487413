"""What the upstream's account holds is shared by all projects, so that its ids are refused unless they are allowed."""

from pathlib import Path
from typing import Any

import pytest

from tests.security.upstream_state.catalogs import catalog_gateway, refusal
from tests.support.gateway import Gateway
from tests.support.image_urls import a_data_url
from tests.support.loopback_server import LoopbackServer

REASONING = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "eight"}]}
RUN = {"type": "code_interpreter_call", "id": "ci_1", "container_id": "cntr_1", "code": "1", "outputs": []}
COMPARED = {"comparison_response_id": "resp_1"}
FILE = {"type": "file", "file": {"file_id": "file-abc"}}
STATE: list[tuple[str, dict[str, Any], str]] = [
    ("responses", {"previous_response_id": "resp_1"}, "previous_response_id"),
    ("responses", {"conversation": "conv_1"}, "conversation"),
    ("responses", {"conversation": {"id": "conv_1"}}, "conversation"),
    ("responses", {"prompt": {"id": "pmpt_1"}}, "prompt.id"),
    (
        "responses",
        {"prompt_cache_options": COMPARED},
        "prompt_cache_options.comparison_response_id",
    ),
    ("responses", {"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0].id"),
    ("responses", {"input": [{"id": "msg_1"}]}, "input[0].id"),
    ("responses", {"input": [REASONING]}, "input[0].id"),
    ("responses", {"input": [{"type": "image_generation_call", "id": "ig_1"}]}, "input[0].id"),
    ("responses", {"input": [RUN]}, "input[0].container_id"),
    ("responses", {"tools": [{"type": "code_interpreter", "container": "cntr_1"}]}, "tools[0].container"),
    ("responses", {"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]}, "tools[0].vector_store_ids[0]"),
    ("responses", {"tools": [{"type": "mcp", "server_label": "s", "tunnel_id": "t_1"}]}, "tools[0].tunnel_id"),
    (
        "responses",
        {"tools": [{"type": "shell", "environment": {"type": "container_reference", "container_id": "c_1"}}]},
        "tools[0].environment.container_id",
    ),
    ("messages", {"container": "c_1"}, "container"),
    ("messages", {"container": {"id": "c_1"}}, "container.id"),
    ("messages", {"container": {"skills": [{"type": "custom", "skill_id": "s_1"}]}}, "container.skills[0].skill_id"),
    ("messages", {"thread": {"type": "continue", "previous_message_id": "m_1"}}, "thread.previous_message_id"),
    ("messages", {"diagnostics": {"previous_message_id": "m_1"}}, "diagnostics.previous_message_id"),
    ("chat", {"messages": [{"role": "assistant", "audio": {"id": "audio_1"}}]}, "messages[0].audio.id"),
    ("chat", {"cached_content": "cachedContents/a"}, "cached_content"),
    ("chat", {"kv_transfer_params": {"remote_block_ids": [1]}}, "kv_transfer_params"),
    ("chat", {"session_params": {"id": "s"}}, "session_params"),
]
HARMLESS: list[tuple[str, dict[str, Any]]] = [
    ("responses", {"input": [REASONING | {"encrypted_content": "gAAAA"}, {"role": "user", "content": "hi"}]}),
    ("responses", {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}], "store": True}),
    ("responses", {"previous_response_id": None, "conversation": None}),
    ("messages", {"container": {"skills": [{"type": "anthropic", "skill_id": "pptx"}]}}),
    ("chat", {"store": True, "prompt_cache_key": "k", "user": "u"}),
]


async def test_ids_of_the_account_are_refused_with_the_way_out(tmp_path: Path, upstream: LoopbackServer) -> None:
    async with catalog_gateway(upstream, tmp_path) as gateway:
        found = [await refusal(gateway, dialect, fields) for dialect, fields, _ in STATE]
        response = await gateway.client.post("/v1/responses", json={"model": "m", "previous_response_id": "resp_1"})

    assert found == [(400, "unsupported_operation", param) for *_, param in STATE]
    assert upstream.received == []
    message = response.json()["error"]["message"]
    assert "OBSCURA_UPSTREAM_STATE" in message
    assert "OBSCURA_STORE_RESPONSES" in message


@pytest.mark.parametrize("allowed", ["setting", "model"])
async def test_the_operator_may_allow_them(allowed: str, tmp_path: Path, upstream: LoopbackServer) -> None:
    settings = {"upstream_state": "allow"} if allowed == "setting" else {}
    of_model = "account_state = true" if allowed == "model" else ""
    async with catalog_gateway(upstream, tmp_path, of_model=of_model, **settings) as gateway:
        found = {await refusal(gateway, dialect, fields) for dialect, fields, _ in STATE}

    assert found == {(200, "", "")}
    assert len(upstream.received) == len(STATE)


async def test_what_names_no_state_goes_on(tmp_path: Path, upstream: LoopbackServer) -> None:
    async with catalog_gateway(upstream, tmp_path) as gateway:
        assert {await refusal(gateway, dialect, fields) for dialect, fields in HARMLESS} == {(200, "", "")}


async def test_a_file_of_the_account_needs_more_than_a_passed_type(tmp_path: Path, upstream: LoopbackServer) -> None:
    fields = {"messages": [{"role": "user", "content": [FILE]}]}
    async with catalog_gateway(upstream, tmp_path, of_model='pass_types = ["file"]') as gateway:
        found = await refusal(gateway, "chat", fields)

    assert found == (400, "unsupported_operation", "messages[0].content[0].file.file_id")


async def test_over_chat_the_field_is_not_translatable_as_before(gateway: Gateway) -> None:
    code = "unsupported_field"

    assert await refusal(gateway, "responses", {"previous_response_id": "r"}) == (400, code, "previous_response_id")
    assert (await refusal(gateway, "responses", {"input": [REASONING, {"role": "user", "content": "hi"}]}))[0] == 200


@pytest.mark.parametrize("stream", [False, True])
async def test_a_callers_cache_key_never_reaches_the_upstream(
    stream: bool, tmp_path: Path, upstream: LoopbackServer
) -> None:
    url = a_data_url(28, 28)
    image = {"type": "image_url", "image_url": {"url": url, "uuid": "inner"}, "uuid": "another callers image"}
    embeds = {"type": "image_embeds", "image_embeds": "AAAA", "uuid": "e"}
    untyped = {"image_url": {"url": url}, "uuid": "x"}
    native = {"type": "input_image", "image_url": url, "uuid": "n"}
    async with catalog_gateway(upstream, tmp_path, of_model='pass_types = ["image_embeds"]') as gateway:
        chat = {"messages": [{"role": "user", "content": [image, embeds, untyped]}], "stream": stream}
        await refusal(gateway, "chat", chat)
        await refusal(gateway, "responses", {"input": [{"role": "user", "content": [native]}]})

    assert len(upstream.received) == 2
    assert all(b"uuid" not in request.body for request in upstream.received)
