"""Zero retention reaches the upstream: what it would keep is refused, hints are taken off, ``store`` is false."""

import base64
from pathlib import Path
from typing import Any

import pytest

from tests.security.upstream_state.catalogs import PATHS, SMALLEST, ZERO, catalog_gateway, refusal
from tests.support.gateway import Gateway, running_gateway
from tests.support.image_urls import a_data_url
from tests.support.loopback_server import LoopbackServer
from tests.support.pdfs import a_pdf

EPHEMERAL = {"type": "ephemeral"}
FILE = {"type": "file", "file": {"file_id": "file-abc"}}
INPUT_FILE = {"type": "input_file", "file_id": "file-abc"}
UPLOADED = {"type": "container_upload", "file_id": "file_011"}
DOCUMENT = {"type": "document", "source": {"type": "file", "file_id": "file_011"}}
KEPT: list[tuple[str, dict[str, Any], str]] = [
    ("chat", {"store": True}, "store"),
    ("chat", {"deferred": True}, "deferred"),
    ("chat", {"prompt_cache_retention": "24h"}, "prompt_cache_retention"),
    ("chat", {"prompt_cache_options": {"ttl": "12h"}}, "prompt_cache_options.ttl"),
    ("chat", {"cached_content": "cachedContents/a"}, "cached_content"),
    ("chat", {"extra_body": {"google": {"cached_content": "cachedContents/a"}}}, "extra_body.google.cached_content"),
    ("chat", {"messages": [{"role": "user", "content": [FILE]}]}, "messages[0].content[0].file.file_id"),
    ("chat", {"messages": [{"role": "assistant", "audio": {"id": "audio_1"}}]}, "messages[0].audio.id"),
    ("responses", {"store": True}, "store"),
    ("responses", {"background": True}, "background"),
    ("responses", {"previous_response_id": "resp_1"}, "previous_response_id"),
    ("responses", {"conversation": "conv_1"}, "conversation"),
    ("responses", {"conversation": {"id": "conv_1"}}, "conversation"),
    ("responses", {"prompt_cache_retention": "in_memory"}, "prompt_cache_retention"),
    ("responses", {"prompt_cache_options": {"ttl": "12h"}}, "prompt_cache_options.ttl"),
    ("responses", {"prompt_cache_options": {"prewarm": True}}, "prompt_cache_options.prewarm"),
    ("responses", {"input": [{"role": "user", "content": [INPUT_FILE]}]}, "input[0].content[0].file_id"),
    ("responses", {"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0].id"),
    ("responses", {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}, "tools[0]"),
    ("responses", {"tools": [{"type": "shell", "environment": {"type": "container_auto"}}]}, "tools[0].environment"),
    ("messages", {"container": "c_1"}, "container"),
    ("messages", {"container": {"skills": [{"type": "anthropic", "skill_id": "pptx"}]}}, "container"),
    ("messages", {"thread": {"type": "create"}}, "thread"),
    ("messages", {"cache_control": EPHEMERAL | {"ttl": "1h"}}, "cache_control.ttl"),
    ("messages", {"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]}, "tools[0]"),
    ("messages", {"messages": [{"role": "user", "content": [UPLOADED]}]}, "messages[0].content[0].file_id"),
    ("messages", {"messages": [{"role": "user", "content": [DOCUMENT]}]}, "messages[0].content[0].source.file_id"),
]


@pytest.fixture
def native(tmp_path: Path, upstream: LoopbackServer) -> Any:
    return catalog_gateway(upstream, tmp_path, of_model="account_state = true")


async def test_what_the_upstream_would_keep_is_a_retention_conflict(native: Any, upstream: LoopbackServer) -> None:
    async with native as gateway:
        found = [await refusal(gateway, dialect, fields, **ZERO) for dialect, fields, _ in KEPT]

    assert found == [(400, "retention_conflict", param) for *_, param in KEPT]
    assert upstream.received == []


async def test_a_zero_retention_key_is_as_good_as_the_header(gateway: Gateway, upstream: LoopbackServer) -> None:
    headers = await gateway.headers_of("p", zero_retention=True)

    for dialect in ("chat", "responses"):
        assert await refusal(gateway, dialect, {"store": True}, **headers) == (400, "retention_conflict", "store")
    assert upstream.received == []


async def test_without_zero_retention_each_of_them_goes_on(native: Any, upstream: LoopbackServer) -> None:
    files = ("file_id",)
    async with native as gateway:
        codes = {
            code
            for dialect, fields, param in KEPT
            if not param.endswith(files)
            for _, code, _ in [await refusal(gateway, dialect, fields)]
        }

    # The upstream's answer is a chat completion, which native responses pass on.
    assert codes == {""}


@pytest.mark.parametrize("dialect", PATHS)
@pytest.mark.parametrize("of_upstream", ["", 'dialects = ["chat", "messages", "responses"]'], ids=["chat", "native"])
async def test_store_false_is_written_in_where_the_dialect_has_it(
    dialect: str, of_upstream: str, tmp_path: Path, upstream: LoopbackServer
) -> None:
    async with catalog_gateway(upstream, tmp_path, of_upstream) as gateway:
        for fields in ({}, {"stream": True}, {"store": False}, {"store": None}):
            sent_fields = {} if dialect == "messages" and "store" in fields else fields
            body = SMALLEST[dialect] | sent_fields
            response = await gateway.client.post(PATHS[dialect], json=body, headers=ZERO)
            assert response.headers["x-zero-retention"] == "true"
        await gateway.client.post(PATHS[dialect], json=SMALLEST[dialect])

    *zero, ordinary = [request.json() for request in upstream.received]
    natively = dialect == "messages" and of_upstream
    assert [sent.get("store") for sent in zero] == [None if natively else False] * 4
    assert "store" not in ordinary


async def test_an_upstream_that_refuses_the_field_is_not_sent_it(tmp_path: Path, upstream: LoopbackServer) -> None:
    async with catalog_gateway(upstream, tmp_path, "store_field = false") as gateway:
        for fields in ({}, {"store": False}):
            await gateway.client.post(PATHS["chat"], json=SMALLEST["chat"] | fields, headers=ZERO)

    assert [request.json() for request in upstream.received] == [SMALLEST["chat"]] * 2


async def test_hints_for_the_cache_are_taken_off(tmp_path: Path, upstream: LoopbackServer) -> None:
    image = {"type": "image_url", "image_url": {"url": a_data_url(28, 28)}, "uuid": "u-1"}
    block = {"type": "text", "text": "hi", "cache_control": EPHEMERAL}
    tool = {"name": "f", "input_schema": {"type": "object"}, "cache_control": EPHEMERAL | {"ttl": "5m"}}
    part = {"type": "input_text", "text": "hi", "prompt_cache_breakpoint": {"mode": "explicit"}}
    requests: list[tuple[str, dict[str, Any]]] = [
        ("chat", {"prompt_cache_key": "k", "messages": [{"role": "user", "content": [block, image]}]}),
        ("responses", {"prompt_cache_key": "k", "input": [{"role": "user", "content": [part]}]}),
        ("messages", {"system": [block], "tools": [tool], "messages": [{"role": "user", "content": [block]}]}),
    ]
    async with catalog_gateway(upstream, tmp_path) as gateway:
        for dialect, fields in requests:
            await gateway.client.post(PATHS[dialect], json=SMALLEST[dialect] | fields, headers=ZERO)
        for dialect, fields in requests:
            await gateway.client.post(PATHS[dialect], json=SMALLEST[dialect] | fields)

    zero, ordinary = upstream.received[:3], upstream.received[3:]
    assert len(ordinary) == 3
    for request in zero:
        assert not any(word in request.body for word in (b"cache", b"uuid"))
    assert zero[2].json()["tools"] == [{"name": "f", "input_schema": {"type": "object"}}]
    assert all(b"cache" in request.body and b"uuid" not in request.body for request in ordinary)


async def test_the_pages_of_a_document_carry_no_hint_either(tmp_path: Path, upstream: LoopbackServer) -> None:
    source = {"type": "base64", "media_type": "application/pdf", "data": base64.b64encode(a_pdf()).decode()}
    document = {"type": "document", "source": source, "cache_control": EPHEMERAL}
    body = SMALLEST["messages"] | {"messages": [{"role": "user", "content": [document]}]}
    async with catalog_gateway(upstream, tmp_path) as gateway:
        await gateway.client.post(PATHS["messages"], json=body, headers=ZERO)
        await gateway.client.post(PATHS["messages"], json=body)

    zero, ordinary = upstream.received
    assert b"cache_control" not in zero.body
    assert b"cache_control" in ordinary.body


async def test_without_a_catalog_the_key_is_taken_off_and_store_is_false(upstream: LoopbackServer) -> None:
    body = SMALLEST["responses"] | {"prompt_cache_key": "k"}
    async with running_gateway(upstream_url=upstream.v1) as gateway:
        await gateway.client.post(PATHS["responses"], json=body, headers=ZERO)

    sent = upstream.received[0].json()
    assert (sent["store"], "prompt_cache_key" in sent) == (False, False)
