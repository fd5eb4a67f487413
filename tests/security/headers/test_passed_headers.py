"""Headers pass by one table: what a dialect needs goes on, and nothing that shows who the caller is, either way."""

import re
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from obscura.bootstrap import validate_settings
from obscura.settings import ConfigurationError, Settings
from obscura.upstreams.headers import (
    CHOICES,
    CHOSEN_REQUEST_HEADERS,
    NEVER_PASSED,
    PASSED_REQUEST_HEADERS,
    PASSED_RESPONSE_HEADERS,
    PASSED_RESPONSE_PREFIX,
)
from tests.security.upstream_state.catalogs import PATHS, SMALLEST, ZERO, catalog_gateway
from tests.support.fake_upstream import ANSWER, answers, streams
from tests.support.gateway import Gateway, chat_request, running_gateway
from tests.support.loopback_server import LoopbackServer

PAGE = Path("docs/reference/headers.md")
ASKED = {
    "anthropic-beta": "files-api-2025-04-14,context-1m-2025-08-07",
    "anthropic-version": "2024-10-22",
    "OpenAI-Beta": "assistants=v2",
    "Idempotency-Key": "once",
    "OpenAI-Organization": "org-1",
    "OpenAI-Project": "proj_1",
    "Cookie": "session=1",
    "X-Forwarded-For": "203.0.113.9",
    "Forwarded": "for=203.0.113.9",
    "X-Real-IP": "203.0.113.9",
    "User-Agent": "secret-agent/1",
    "Referer": "https://intranet.example/",
    "X-Stainless-Lang": "python",
}
ALWAYS = {"host", "content-type", "content-length", "accept", "accept-encoding"}


async def sent(
    upstream: LoopbackServer, gateway: Gateway, dialect: str, query: str = "", **more: str
) -> dict[str, str]:
    await gateway.client.post(PATHS[dialect] + query, json=SMALLEST[dialect], headers=ASKED | more)
    return {name: value for name, value in upstream.received[-1].headers.items() if name not in ALWAYS}


async def test_native_messages_pass_version_betas_and_the_beta_query(upstream: LoopbackServer, tmp_path: Path) -> None:
    async with catalog_gateway(upstream, tmp_path) as gateway:
        headers = await sent(upstream, gateway, "messages", "?beta=true&secret=1")

    assert headers == {name: ASKED[name] for name in ("anthropic-beta", "anthropic-version")}
    assert upstream.received[-1].path == "/v1/messages?beta=true"


async def test_without_a_version_the_known_one_is_sent(upstream: LoopbackServer, tmp_path: Path) -> None:
    async with catalog_gateway(upstream, tmp_path) as gateway:
        await gateway.client.post(PATHS["messages"], json=SMALLEST["messages"])

    assert upstream.received[-1].headers["anthropic-version"] == "2023-06-01"
    assert upstream.received[-1].path == "/v1/messages"


@pytest.mark.parametrize("dialect", ["chat", "responses"])
async def test_openais_headers_pass_by_choice_alone(dialect: str, upstream: LoopbackServer, tmp_path: Path) -> None:
    async with catalog_gateway(upstream, tmp_path) as gateway:
        assert await sent(upstream, gateway, dialect) == {}

    async with catalog_gateway(upstream, tmp_path, pass_headers=frozenset(CHOICES)) as gateway:
        headers = await sent(upstream, gateway, dialect)

    key = sha256(b"tests\nonce").hexdigest()
    assert headers == {
        "openai-beta": "assistants=v2",
        "idempotency-key": key,
        "openai-organization": "org-1",
        "openai-project": "proj_1",
    }


async def test_an_idempotency_key_is_kept_back_from_zero_retention(upstream: LoopbackServer, tmp_path: Path) -> None:
    async with catalog_gateway(upstream, tmp_path, pass_headers=frozenset(CHOICES)) as gateway:
        headers = await sent(upstream, gateway, "chat", **ZERO)

    assert "idempotency-key" not in headers


@pytest.mark.parametrize("dialect", ["messages", "responses"])
async def test_a_translated_request_passes_no_header(dialect: str, upstream: LoopbackServer) -> None:
    async with running_gateway(upstream_url=upstream.v1, pass_headers=frozenset(CHOICES)) as gateway:
        assert await sent(upstream, gateway, dialect, "?beta=true") == {}

    assert upstream.received[-1].path == "/v1/chat/completions"


async def test_a_value_that_is_no_header_text_is_a_400(upstream: LoopbackServer, tmp_path: Path) -> None:
    async with catalog_gateway(upstream, tmp_path) as gateway:
        response = await gateway.client.post(
            PATHS["messages"], json=SMALLEST["messages"], headers={"anthropic-beta": "x" * 2001}
        )

    assert (response.status_code, response.json()["error"]["param"]) == (400, "anthropic-beta")
    assert upstream.received == []


SAID: dict[str, Any] = {
    "request_id": "up_1",
    "x_request_id": "up_2",
    "openai_processing_ms": "12",
    "retry_after_ms": "40",
    "anthropic_ratelimit_tokens_remaining": "7",
    "anthropic_ratelimit_requests_limit": "1000000",
    "x_ratelimit_limit_requests": "1000000",
    "x_ratelimit_remaining_tokens": "5",
    "set_cookie": "a=b",
    "openai_organization": "org-operator",
    "server": "vllm-0.internal",
    "x_internal": "10.0.0.1",
}


@pytest.mark.parametrize("respond", [answers(ANSWER, **SAID), answers({}, 429, **SAID)], ids=["answer", "error"])
@pytest.mark.parametrize("dialect", PATHS)
async def test_responses_carry_what_clients_read(dialect: str, respond: Any, upstream: LoopbackServer) -> None:
    upstream.respond = respond
    async with running_gateway(upstream_url=upstream.v1, key_requests_per_minute=9) as gateway:
        response = await gateway.client.post(PATHS[dialect], json=SMALLEST[dialect])

    shown = response.headers
    assert shown["openai-processing-ms"] == "12"
    assert (shown["retry-after-ms"], shown["anthropic-ratelimit-tokens-remaining"]) == ("40", "7")
    assert (shown["x-upstream-request-id"], shown["x-ratelimit-remaining-tokens"]) == ("up_2", "5")
    assert shown["x-request-id"].startswith("req_")
    assert shown["request-id"] == (shown["x-request-id"] if dialect == "messages" else "up_1")
    assert shown["x-ratelimit-limit-requests"] == "9"
    assert shown.get("anthropic-ratelimit-requests-limit") == ("9" if dialect == "messages" else None)
    assert not {"set-cookie", "openai-organization", "x-internal"} & shown.keys()
    assert "vllm" not in str(shown)


async def test_a_stream_carries_them_too(upstream: LoopbackServer) -> None:
    respond = streams()

    async def with_headers(request: Any, wire: Any) -> None:
        head = wire.head

        async def more(status: int, **headers: str) -> None:
            await head(status, **headers, openai_processing_ms="12")

        wire.head = more
        await respond(request, wire)

    upstream.respond = with_headers
    async with running_gateway(upstream_url=upstream.v1) as gateway:
        response = await gateway.chat(chat_request("hi", stream=True))

    assert response.headers["openai-processing-ms"] == "12"


@pytest.mark.parametrize("name", NEVER_PASSED)
def test_no_choice_passes_what_never_passes(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"PASS_HEADERS: {name}"):
        validate_settings(Settings(pass_headers=frozenset({name})))


def test_the_page_has_the_table_of_the_code() -> None:
    rows = {
        kind: set(re.findall(r"`([a-z-]+\*?)`", names))
        for names, kind in re.findall(r"^\| (`[^|]*) \| ([^|]*?) \|", PAGE.read_text(), re.MULTILINE)
    }

    assert rows["passed"] == {name for names in PASSED_REQUEST_HEADERS.values() for name in names}
    assert rows["by choice"] == {name for names in CHOSEN_REQUEST_HEADERS.values() for name in names}
    assert rows["never"] == set(NEVER_PASSED)
    back = {name.decode() for name in PASSED_RESPONSE_HEADERS} | {f"{PASSED_RESPONSE_PREFIX.decode()}*"}
    assert rows["back"] == back
