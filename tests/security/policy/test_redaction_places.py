"""What a policy redacts reaches neither moderation nor the model, wherever in a request it stands."""

import json
from typing import Any

import pytest

from obscura.dialects.data_url import encode_data_url
from tests.support.fake_upstream import answers, verdict
from tests.support.gateway import running_gateway
from tests.support.loopback_server import loopback_server
from tests.support.pdfs import a_pdf
from tests.support.policies import save

VALUE = "ann@example.com"
TEXT = f"write to {VALUE} now"
USER = {"role": "user", "content": "hi"}
SCHEMA = {"type": "object", "description": TEXT, "properties": {VALUE: {"enum": [TEXT], "default": {"a": [TEXT]}}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": json.dumps({"to": VALUE})}}
TOOL_USE = {"type": "tool_use", "id": "t1", "name": "f", "input": {"to": VALUE, VALUE: [{"a": TEXT}]}}

CHAT: list[dict[str, Any]] = [
    {"messages": [{"role": "system", "content": TEXT}, {"role": "user", "name": "ann", "content": TEXT}]},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": TEXT}, {"type": "text", "text": TEXT * 400}]}]},
    {"messages": [USER, {"role": "assistant", "content": None, "tool_calls": [CALL]},
                  {"role": "tool", "tool_call_id": "c1", "content": TEXT}]},
    {"messages": [USER],
     "tools": [{"type": "function", "function": {"name": "f", "description": TEXT, "parameters": SCHEMA}}]},
    {"messages": [USER], "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA}}},
    {"messages": [USER], "stop": [TEXT], "prediction": {"type": "content", "content": TEXT}},
    {"messages": [USER], "an_unknown_field": {"deep": [{"er": TEXT, VALUE: 1}]}},
    {"messages": [USER | {"content": "\\u0061nn@example.com"}]},
]  # fmt: skip
MESSAGES: list[dict[str, Any]] = [
    {"messages": [USER | {"content": TEXT}], "system": TEXT},
    {"messages": [USER | {"content": [{"type": "text", "text": TEXT}]}], "system": [{"type": "text", "text": TEXT}]},
    {"messages": [USER, {"role": "assistant", "content": [TOOL_USE]}, {"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": TEXT}]}]}]},
    {"messages": [USER], "tools": [{"name": "f", "description": TEXT, "input_schema": SCHEMA}]},
    {"messages": [USER], "stop_sequences": [TEXT]},
    {"messages": [{"role": "user", "content": [
        {"type": "document", "title": TEXT, "context": TEXT,
         "source": {"type": "text", "media_type": "text/plain", "data": TEXT}}]}]},
]  # fmt: skip
RESPONSES: list[dict[str, Any]] = [
    {"input": TEXT, "instructions": TEXT},
    {"input": [{"role": "user", "content": [{"type": "input_text", "text": TEXT}]}]},
    {"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": json.dumps({"to": VALUE})},
               {"type": "function_call_output", "call_id": "c", "output": TEXT}]},
    {"input": "hi", "tools": [{"type": "function", "name": "f", "description": TEXT, "parameters": SCHEMA}]},
    {"input": "hi", "text": {"format": {"type": "json_schema", "name": "s", "schema": SCHEMA}}},
]  # fmt: skip
CASES = [
    *(("/policy/v1/chat/completions", body) for body in CHAT),
    *(("/policy/v1/messages", {"max_tokens": 9} | body) for body in MESSAGES),
    *(("/policy/v1/responses", body) for body in RESPONSES),
]


@pytest.mark.parametrize("native", [True, False], ids=["native", "translated"])
async def test_no_redacted_value_leaves_the_gateway(native: bool) -> None:
    async with loopback_server(answers(verdict())) as moderation, loopback_server(answers()) as upstream:
        dialects = frozenset({"chat", "messages", "responses"} if native else {"chat"})
        async with running_gateway(
            upstream_url=upstream.v1, upstream_dialects=dialects, moderation="openai",
            moderation_url=moderation.v1, moderation_key="sk",
        ) as gateway:  # fmt: skip
            await save(gateway, rules={"redact_pii": True})
            for path, body in CASES:
                seen = len(upstream.received)
                response = await gateway.client.post(path, json={"model": "m", "policy_id": "p1"} | body)

                refused = response.status_code == 400 and response.json()["error"]["code"] == "unsupported_field"
                assert refused or len(upstream.received) == seen + 1, (path, body, response.text)
            for request in (*upstream.received, *moderation.received):
                assert "ann@example" not in json.dumps(request.json()).lower(), request.body
                assert b"ann@" not in request.body
            assert sum(b"{EMAIL_1}" in request.body for request in upstream.received) >= len(CASES) - 4


async def test_the_name_of_a_document_and_its_pages_text_are_redacted() -> None:
    async with loopback_server(answers()) as upstream, running_gateway(upstream_url=upstream.v1) as gateway:
        await save(gateway, rules={"redact_pii": True})
        url = encode_data_url(a_pdf([TEXT]), "application/pdf").decode()
        file = {
            "type": "file",
            "file": {
                "filename": f"{VALUE}.pdf",
                "file_data": url,
            },
        }
        body = {"model": "m", "policy_id": "p1", "messages": [{"role": "user", "content": [file]}]}

        response = await gateway.client.post("/policy/v1/chat/completions", json=body)

        assert response.status_code == 200, response.text
        [request] = upstream.received
        texts = [part["text"] for part in request.json()["messages"][0]["content"] if part["type"] == "text"]
        assert "{EMAIL_1}" in texts[0]
        assert VALUE not in json.dumps(texts)
