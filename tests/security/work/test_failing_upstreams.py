"""Upstreams that fail at random under 64 callers: no wrong answer, none that is begun twice."""

import asyncio
import random
from pathlib import Path
from typing import Any

from tests.support.fake_upstream import chunk
from tests.support.gateway import chat_request
from tests.support.loopback_server import Received, Wire
from tests.support.upstream_groups import Group, answering, served_group

CALLERS = 64
TURNS = 2
NAMES = ("one", "two", "three")
FAULTS = ("429", "500", "hang up", "half", "head alone", "error event", "late break", "none", "none", "none")


class Chaos:
    """An upstream that names itself and repeats the question, if it does not fail."""

    def __init__(self, name: str, seed: int) -> None:
        self.name = name
        self.dice = random.Random(seed)  # noqa: S311 - faults, not secrets

    async def __call__(self, request: Received, wire: Wire) -> None:
        body = request.json()
        words = f"{self.name} of {body['model']}: {body['messages'][0]['content']}"
        fault = self.dice.choice(FAULTS)
        if fault in {"429", "500"}:
            await wire.answer(int(fault), b'{"error": {"message": "chaos"}}')
        elif fault == "hang up":
            wire.drop()
        elif body.get("stream"):
            await self._stream(words, fault, wire)
        elif fault in {"half", "late break", "head alone"}:
            await wire.head(200, content_type="application/json", content_length="500")
            await wire.write(b'{"choices": [{"message": {"content": "wro')
            wire.drop()
        else:
            await answering(words)(request, wire)

    async def _stream(self, words: str, fault: str, wire: Wire) -> None:
        await wire.head(200, content_type="text/event-stream", transfer_encoding="chunked")
        if fault in {"head alone", "half"}:
            await wire.chunk(b": waiting\n\n" if fault == "half" else b"da")
            wire.drop()
            return
        if fault == "error event":
            await wire.chunk(b'data: {"error": {"message": "chaos", "type": "server_error"}}\n\n')
        else:
            await wire.chunk(chunk({"role": "assistant", "content": "begin "}))
            if fault == "late break":
                wire.drop()
                return
            await wire.chunk(chunk({"content": words}) + chunk({}, "stop") + b"data: [DONE]\n\n")
        await wire.chunk(b"")


async def ask(group: Group, caller: int, seen: list[tuple[str, str]]) -> None:
    for turn in range(TURNS):
        question, streamed = f"question {caller}.{turn}.", (caller + turn) % 2 == 0
        response = await group.gateway.chat(chat_request(question, stream=streamed))
        name, content = response.headers.get("x-obscura-upstream"), response.text
        if response.status_code != 200:
            assert response.status_code in {429, 502, 503}, content
            assert "question" not in content
            seen.append(("failed", question))
            continue
        assert name in NAMES
        if streamed:
            assert content.count("begin ") == 1, content
            if "upstream_error" in content:  # broken after its first event: said so, and not begun again
                assert "question" not in content
                seen.append(("broken", question))
                continue
            assert content.count("[DONE]") == 1
        assert f"{name} of org/{name}: {question}" in content
        assert content.count("question") == 1
        seen.append(("answered", question))


async def test_answers_are_right_and_none_is_begun_twice(tmp_path: Path) -> None:
    upstreams: dict[str, dict[str, Any]] = {
        name: {"responds": Chaos(name, seed), "failures_to_open": 4, "open_s": 0.05} for seed, name in enumerate(NAMES)
    }
    members = [{"name": name, "model": f"org/{name}"} for name in NAMES]
    seen: list[tuple[str, str]] = []
    async with served_group(tmp_path, upstreams, members, {"mode": "weighted"}) as group:
        await asyncio.gather(*(ask(group, caller, seen) for caller in range(CALLERS)))

        outcomes = [outcome for outcome, _ in seen]
        assert len(seen) == CALLERS * TURNS
        assert outcomes.count("answered") > len(seen) / 2
        assert outcomes.count("broken") > 0
        assert sum(group.asked().values()) > len(seen)  # others were asked, and that is what is tested
