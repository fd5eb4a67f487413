"""What another server says never shows a caller its credentials and addresses, in any dialect, whole or streamed."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.security.upstream_state.catalogs import NATIVE, PATHS, SMALLEST, catalog_gateway
from tests.support.fake_upstream import answers, streams, verdict
from tests.support.gateway import chat_request, image_part, running_gateway
from tests.support.loopback_server import LoopbackServer, loopback_server

WORDS = "key sk-live-AAAABBBBCCCC of http://10.1.2.3:8000/v1 (Bearer abcdefgh) at vllm-0.local:9000 " + "x" * 900
SECRET = ("AAAABBBB", "10.1.2.3", "abcdefgh", "vllm-0", "x" * 500)
ERROR = {
    "message": WORDS,
    "type": "invalid_request_error",
    "param": "http://10.1.2.3/",
    "metadata": {"raw": WORDS},
    "details": {"sk-live-AAAABBBB": WORDS},
}
EACH_KIND = pytest.mark.parametrize("of_upstream", ["", NATIVE], ids=["chat", "native"])


def shown(text: str) -> list[str]:
    return [secret for secret in SECRET if secret in text]


@pytest.mark.parametrize("dialect", PATHS)
@EACH_KIND
async def test_an_error_is_cut_and_masked(
    dialect: str, of_upstream: str, tmp_path: Path, upstream: LoopbackServer
) -> None:
    async with catalog_gateway(upstream, tmp_path, of_upstream) as gateway:
        bodies: list[dict[str, Any]] = [
            {"error": ERROR},
            {"error": WORDS},
            {"detail": WORDS},
            {"detail": [{"msg": WORDS}]},
        ]
        for body in bodies:
            upstream.respond = answers(body, 400)
            response = await gateway.client.post(PATHS[dialect], json=SMALLEST[dialect])

            assert response.status_code == 400
            assert shown(response.text) == []
            assert "[masked]" in response.json()["error"]["message"]
            assert len(response.json()["error"]["message"]) <= 500


EVENTS: dict[str, list[dict[str, Any]]] = {
    "chat": [{"error": ERROR}],
    "messages": [{"type": "error", "error": ERROR}],
    "responses": [
        {"type": "error", "sequence_number": 1, "message": WORDS, "code": "x", "param": None},
        {"type": "response.failed", "sequence_number": 2, "response": {"id": "r", "error": ERROR, "output": []}},
    ],
}


@pytest.mark.parametrize("dialect", PATHS)
@EACH_KIND
async def test_an_error_in_a_stream_is_masked(
    dialect: str, of_upstream: str, tmp_path: Path, upstream: LoopbackServer
) -> None:
    spoken = dialect if of_upstream else "chat"
    whole = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in EVENTS[spoken])
    upstream.respond = streams(whole[:40], whole[40:])
    async with catalog_gateway(upstream, tmp_path, of_upstream) as gateway:
        response = await gateway.client.post(PATHS[dialect], json=SMALLEST[dialect] | {"stream": True})

    assert response.status_code == 200
    assert shown(response.text) == []
    events = [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: {")]
    assert any("error" in (event, event.get("type", "")) or "error" in event for event in events)
    assert b"[masked]" in response.content


async def test_an_error_in_an_event_that_is_no_json_is_masked(tmp_path: Path, upstream: LoopbackServer) -> None:
    upstream.respond = streams(b'data: {"error": ' + WORDS.encode() + b"\n\n")
    async with catalog_gateway(upstream, tmp_path) as gateway:
        response = await gateway.chat(SMALLEST["chat"] | {"stream": True})

    assert shown(response.text) == []


async def test_a_failed_response_that_is_whole_is_masked(tmp_path: Path, upstream: LoopbackServer) -> None:
    upstream.respond = answers({"id": "r", "status": "failed", "output": [], "error": ERROR})
    async with catalog_gateway(upstream, tmp_path) as gateway:
        response = await gateway.client.post(PATHS["responses"], json=SMALLEST["responses"])

    assert response.status_code == 200
    assert shown(response.text) == []
    assert "[masked]" in response.json()["error"]["message"]


async def test_the_moderations_words_are_masked(upstream: LoopbackServer) -> None:
    async with loopback_server(answers(verdict({WORDS: 0.9}))) as moderation:
        settings: dict[str, Any] = {"moderation": "openai", "moderation_url": moderation.v1}
        async with running_gateway(upstream_url=upstream.v1, **settings) as gateway:
            flagged = await gateway.chat(chat_request("hi"))
            moderation.respond = answers({"error": ERROR}, 500)
            failed = await gateway.chat(chat_request("hi"))

    assert flagged.json()["error"]["code"] == "moderation_blocked"
    assert failed.json()["error"]["code"] == "moderation_unavailable"
    assert shown(flagged.text + failed.text) == []


async def test_an_image_hosts_words_are_not_shown(upstream: LoopbackServer) -> None:
    async with loopback_server(answers({"error": ERROR}, 500)) as host:
        async with running_gateway(upstream_url=upstream.v1, fetch_allow=(host.origin,)) as gateway:
            response = await gateway.chat(chat_request(image_part(f"{host.origin}/a.png")))

    assert response.json()["error"]["code"] == "image_fetch_failed"
    assert shown(response.text) == []
