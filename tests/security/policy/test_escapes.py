"""Escapes of JSON inside a string, as in a tool call's arguments, hide no term and no value from a policy."""

import json
from typing import Any

import pytest

from obscura.policy.escapes import unescaped
from tests.support.gateway import Gateway
from tests.support.loopback_server import LoopbackServer
from tests.support.policies import save

CHAT = "/policy/v1/chat/completions"


def asked(arguments: str) -> dict[str, Any]:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "ok"},
    ]
    return {"model": "m", "messages": messages, "policy_id": "p1"}


def escaped(text: str) -> str:
    return "".join(f"\\u{ord(character):04x}" for character in text)


async def test_a_term_in_escapes_is_found(gateway: Gateway) -> None:
    await save(gateway, rules={"denylist": ["wire transfer"]})

    response = await gateway.client.post(CHAT, json=asked(f'{{"q": "{escaped("wire transfer")}"}}'))

    assert response.json()["policy"]["denylist_hits"] == ["wire transfer"]


async def test_a_value_in_escapes_is_redacted_also_under_a_key_that_is_there_twice(
    gateway: Gateway, upstream: LoopbackServer
) -> None:
    await save(gateway, rules={"redact_pii": True})

    hidden = f'{{"to": "{escaped("ann@example.com")}", "to": "none"}}'
    response = await gateway.client.post(CHAT, json=asked(hidden))

    assert response.json()["policy"]["decision"] == "redact"
    sent = upstream.received[0].json()["messages"][1]["tool_calls"][0]["function"]["arguments"]
    assert sent == '{"to": "{EMAIL_1}", "to": "none"}'


@pytest.mark.parametrize(
    "text", [r'{"a": "\u0022\\\u0041\n\u0007\ud83d\ude00\/"}', r'"\\u0041"', r'"\ud83d"', "no escapes", "\\"]
)
def test_a_text_without_escapes_is_the_same_json(text: str) -> None:
    try:
        assert json.loads(unescaped(text)) == json.loads(text)
    except json.JSONDecodeError:
        assert unescaped(text) == text
