"""Canaries: nothing confidential is in the output, the data folder or the temp folder of a serving process."""

import asyncio
import base64
import io
import random
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from tests.support.fake_upstream import answers, hangs_up, in_turn, streams, verdict
from tests.support.loopback_server import Received, Wire, loopback_server
from tests.support.serving_process import environment, run_obscura, serving

PROMPT = "canary-prompt-7f3a"
ANSWER = "canary-answer-91bc"
QUERY = "canary-query-55e0"
UPSTREAM_KEY = "sk-canary-upstream-key"
MODERATION_KEY = "sk-canary-moderation-key"
TOOL = "canary-tool-argument-2d"


def a_noise_image() -> bytes:
    noise = Image.frombytes("RGB", (640, 480), random.Random(7).randbytes(640 * 480 * 3))  # noqa: S311
    written = io.BytesIO()
    noise.save(written, "JPEG", quality=90)
    return written.getvalue()


async def respond(request: Received, wire: Wire) -> None:
    if request.path.startswith("/photo"):
        await wire.answer(200, PHOTO, "image/jpeg")
    elif request.path.endswith("/moderations"):
        await answers(verdict())(request, wire)
    else:
        await upstream_turns(request, wire)


PHOTO = a_noise_image()
upstream_turns = in_turn(
    answers(),
    streams(f'data: {{"x":"{ANSWER}"}}\n\n'.encode()),
    streams(f'data: {{"x":"{ANSWER}"}}\n\n'.encode(), then="breaks"),
    answers({"error": {"message": ANSWER}}, 500),
    answers({"error": {"message": ANSWER}}, 400),
    hangs_up,
)


async def test_nothing_written_has_pixels_prompts_keys_or_url_queries(tmp_path: Path) -> None:
    temp, data = tmp_path / "temp", tmp_path / "data"
    temp.mkdir()
    async with loopback_server(respond) as outside:
        env = environment(
            data,
            UPSTREAM_URL=outside.v1, UPSTREAM_KEY=UPSTREAM_KEY, MODERATION_URL=outside.v1,
            MODERATION_KEY=MODERATION_KEY, FETCH_ALLOW=outside.origin, LOG_LEVEL="DEBUG",
        ) | {"TMPDIR": str(temp)}  # fmt: skip
        key = (await asyncio.to_thread(run_obscura, "keys", "create", "--project", "canary", env=env)).stdout.strip()
        manager = serving(env)
        gateway = await asyncio.to_thread(manager.__enter__)
        try:
            statuses = await send_everything(gateway.url, key, f"{outside.origin}/photo?token={QUERY}")
        finally:
            await asyncio.to_thread(manager.__exit__, None, None, None)

    assert statuses[:3] == [200, 200, 200]
    assert {400, 401, 413, 502} <= set(statuses)
    written = {"output": "".join(gateway.lines).replace(gateway.key, "").encode()}
    for folder in (data, temp):
        written |= {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert len(gateway.log_lines()) == len(statuses)
    for path, content in written.items():
        for canary in canaries(key):
            assert canary not in content, path


def canaries(key: str) -> list[bytes]:
    encoded = base64.b64encode(PHOTO)
    words = [PROMPT, ANSWER, QUERY, TOOL, UPSTREAM_KEY, MODERATION_KEY, key]
    pixels = [PHOTO[start : start + 24] for start in range(1000, len(PHOTO) - 100, 9000)]
    return (
        [word.encode() for word in words] + pixels + [encoded[start : start + 32] for start in range(900, 30000, 4096)]
    )


async def send_everything(url: str, key: str, photo_url: str) -> list[int]:
    """Send plain, streamed, failing and rejected requests, each full of canaries; return their statuses."""
    data_url = "data:image/jpeg;base64," + base64.b64encode(PHOTO).decode()
    good, cut = content(data_url, photo_url), content(data_url[:-4000], photo_url)
    bodies: list[dict[str, Any]] = [
        {"messages": good},
        {"messages": good, "stream": True},
        {"messages": good, "stream": True},
        *[{"messages": good}] * 3,
        {"messages": cut},
        {"messages": content(f"https://127.0.0.1/secret?{QUERY}", photo_url)},
        {"messages": content(f"https://user:{QUERY}@example.com/", photo_url)},
        {"messages": PROMPT},
        {"messages": good, "padding": PROMPT * 3_000_000},
    ]
    statuses = []
    async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as client:
        for body in bodies:
            response = await client.post(
                "/v1/chat/completions",
                json={"model": "m", "tools": [{"x": TOOL}]} | body,
                headers={"authorization": f"Bearer {key}"},
            )
            statuses.append(response.status_code)
        for headers in ({"authorization": f"Bearer {key[:-1]}"}, {"x-api-key": PROMPT}):
            response = await client.post("/v1/chat/completions", json={"messages": good}, headers=headers)
            statuses.append(response.status_code)
        response = await client.post(f"/v1/{PROMPT}?x={QUERY}", content=PROMPT, headers={"x-api-key": key})
        statuses.append(response.status_code)
        response = await client.post("/v1/chat/completions", content=PROMPT, headers={"x-api-key": key})
        statuses.append(response.status_code)
    return statuses


def content(first_url: str, second_url: str) -> list[dict[str, Any]]:
    parts = [
        {"type": "text", "text": PROMPT},
        {"type": "image_url", "image_url": {"url": first_url}},
        {"type": "image_url", "image_url": {"url": second_url}},
    ]
    return [{"role": "user", "content": parts}]
