"""Zero retention, observed from outside: what a serving process opens, writes, maps and still holds in memory."""

import asyncio
import base64
import hashlib
import io
import json
import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from obscura.moderation.openai import OpenAIModerator
from tests.support.fake_upstream import answers, in_turn, stays_silent, streams, verdict
from tests.support.gateway import chat_request, image_part, text
from tests.support.image_urls import data_url, image_in
from tests.support.json_texts import data_urls_in
from tests.support.loopback_server import Received, Respond, Wire, loopback_server
from tests.support.serving_process import ServingProcess, environment, run_obscura, serving

PROMPT = "canary-prompt-c41d"
PERSISTING = ("open", "mmap.__new__", "os.rename", "os.link", "os.symlink", "os.posix_spawn", "subprocess.Popen")
"""Audit events of calls by which something may outlive the request."""
NAME = "canary-name-77.jpg"
UPLOAD = {"filename": NAME, "bytes": 9, "mime_type": "image/jpeg", "purpose": "vision"}


def a_noise_image() -> bytes:
    """An image over a megabyte, which Starlette would spool to disk; it is decoded and encoded."""
    noise = Image.frombytes("RGB", (1500, 1000), random.Random(9).randbytes(1500 * 1000 * 3))  # noqa: S311
    written = io.BytesIO()
    noise.save(written, "JPEG", quality=85)
    return written.getvalue()


PHOTO = a_noise_image()


@dataclass
class Audited:
    """A serving process under audit."""

    gateway: ServingProcess
    folder: Path
    prepared: list[bytes]
    env: dict[str, str]
    photo_url: str

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    def audited(self, *events: str) -> list[str]:
        lines = [json.loads(line) for line in (self.folder / "record").read_text().splitlines()]
        return [details[0] if details else "" for event, *details in lines if event in events]

    async def search_memory(self, needles: list[bytes]) -> list[str]:
        """Return which of the process's live objects hold a needle."""
        searches = len(self.audited("looked"))
        (self.folder / "needles").write_text("\n".join(needle.hex() for needle in needles))
        self.gateway.process.send_signal(signal.SIGUSR1)
        while len(self.audited("looked")) == searches:  # of every live object: it takes what CPU the machine has left
            assert self.gateway.process.poll() is None, "the process ended before its search"
            await asyncio.sleep(0.05)
        return self.audited("held")

    def mapped_or_open(self) -> list[str]:
        """Return files of the data and temp folders, and deleted ones, that the process has mapped or open."""
        process = Path(f"/proc/{self.gateway.process.pid}")
        mapped = [line.split(maxsplit=5)[5] for line in (process / "maps").read_text().splitlines() if line.count("/")]
        opened = [str(link.readlink()) for link in (process / "fd").iterdir()]
        ours = [path for path in mapped + opened if str(self.folder) in path or "deleted" in path or "memfd" in path]
        return sorted({path.removeprefix(f"{self.folder}/") for path in ours})

    def written(self) -> dict[str, bytes]:
        found = {"output": "".join(self.gateway.lines).encode()}
        for folder in ("data", "temp"):
            found |= {str(path): path.read_bytes() for path in (self.folder / folder).rglob("*") if path.is_file()}
        return found


@asynccontextmanager
async def audited(folder: Path, *turns: Respond) -> AsyncIterator[Audited]:
    """Serve under audit, with an upstream that responds in these turns."""
    prepared: list[bytes] = []
    upstream_turns = in_turn(*turns)

    async def respond(request: Received, wire: Wire) -> None:
        if request.path.startswith("/photo"):
            await wire.answer(200, PHOTO, "image/jpeg")
        elif request.path.endswith("/moderations"):
            await answers(verdict())(request, wire)
        else:
            prepared.extend(image_in(url) for url in data_urls_in(request.body))
            await upstream_turns(request, wire)

    (folder / "temp").mkdir()
    async with loopback_server(respond) as outside:
        env = environment(
            folder / "data",
            UPSTREAM_URL=outside.v1, MODERATION_URL=outside.v1, MODERATION_KEY="k", FETCH_ALLOW=outside.origin,
            LOG_LEVEL="DEBUG", IMAGE_CACHE_MB="64",
        ) | {"TMPDIR": str(folder / "temp"), "PYTHONDONTWRITEBYTECODE": "1"}  # fmt: skip
        run = ("-m", "tests.support.audited_process", str(folder / "record"), str(folder / "needles"))
        manager = serving(env, run=run)
        gateway = await asyncio.to_thread(manager.__enter__)
        try:
            yield Audited(gateway, folder, prepared, env, f"{outside.origin}/photo")
        finally:
            await asyncio.to_thread(manager.__exit__, None, None, None)


async def send_everything(gateway: ServingProcess, headers: dict[str, str], photo_url: str) -> list[int]:
    """Send plain, streamed, failing, multipart and rejected requests; return their statuses."""
    sent, named = image_part(data_url(PHOTO, "image/jpeg")), image_part(photo_url)
    cut = image_part(data_url(PHOTO[:-3000], "image/jpeg"))
    good = chat_request(text(PROMPT), sent, named)
    streamed = good | {"stream": True}
    bodies = [
        good,
        streamed,
        streamed,
        good,
        good,
        chat_request(text(PROMPT), cut),
        chat_request(text(PROMPT), image_part("https://[::1]/")),
    ]
    source = {"type": "base64", "media_type": "image/jpeg", "data": base64.b64encode(PHOTO).decode()}
    turn = {"role": "user", "content": [{"type": "image", "source": source}]}
    requests: list[tuple[str, dict[str, Any]]] = [("/v1/chat/completions", {"json": body}) for body in bodies]
    requests += [("/v1/messages", {"json": {"model": "m", "max_tokens": 9, "messages": [turn]}})]
    for path, field in (("/v1/files", "file"), (f"/v1/uploads/upload_{'0' * 36}/parts", "data")):
        requests += [(path, {"files": {field: (NAME, PHOTO, "image/jpeg")}})] * 2
    requests += [("/v1/uploads", {"json": UPLOAD})]
    async with httpx.AsyncClient(base_url=gateway.url, headers=headers, timeout=30, trust_env=False) as client:
        return [(await client.post(path, **sent)).status_code for path, sent in requests]


def needles_of(*images: bytes) -> list[bytes]:
    """Pieces of images and of their base64, at every alignment."""
    found = []
    for content in images:
        starts = range(2000, len(content) - 100, len(content) // 6)
        found += [content[start : start + 24] for start in starts]
        found += [base64.b64encode(content[start - start % 3 :][:48])[:40] for start in starts]
    return found


def digests_of(env: dict[str, str], *images: bytes) -> list[bytes]:
    """Digests of images, plain and under the moderation's identity, as verdicts are remembered."""
    moderator = OpenAIModerator(httpx.AsyncHTTPTransport(), env["OBSCURA_MODERATION_URL"], None)
    identity = moderator.identity.encode() + b"\0"
    digests = [hashlib.sha256(start + image).digest() for image in images for start in (b"", identity)]
    return [form for digest in digests for form in (digest, digest.hex().encode(), base64.b64encode(digest))]


@pytest.mark.timeout(300)
async def test_nothing_of_a_zero_retention_request_outlives_it(tmp_path: Path) -> None:
    broken = streams(b'data: {"x":1}\n\n', then="breaks")
    failing = answers({"error": {"message": "failed"}}, 500)
    async with audited(tmp_path, answers(), streams(), broken, failing, answers()) as process:
        create = ("keys", "create", "--project", "p", "--zero-retention")
        created = await asyncio.to_thread(run_obscura, *create, env=process.env)
        at_start = len(process.audited(*PERSISTING))

        statuses = await send_everything(process.gateway, {"x-api-key": created.stdout.strip()}, process.photo_url)
        held = await process.search_memory(needles_of(PHOTO, *process.prepared))
        open_files = process.mapped_or_open()
        opened = process.audited(*PERSISTING)[at_start:]

    assert statuses == [200, 200, 200, 502, 200, 400, 400, 200, 400, 400, 400, 400, 400]
    assert opened == []
    assert held == []
    stores = {f"data/{name}.sqlite3{end}" for name in ("obscura", "counters") for end in ("", "-wal", "-shm")}
    assert set(open_files) <= {*stores, "record"}
    canaries = needles_of(PHOTO, *process.prepared) + digests_of(process.env, PHOTO, *process.prepared)
    for path, content in process.written().items():
        for canary in [*canaries, PROMPT.encode(), NAME.encode()]:
            assert canary not in content, path


@pytest.mark.timeout(300)
async def test_the_audit_detects_stored_files_and_requests_under_way(tmp_path: Path) -> None:
    async with audited(tmp_path, answers(), stays_silent) as process:
        headers = {"x-api-key": process.gateway.key}
        async with httpx.AsyncClient(base_url=process.gateway.url, headers=headers, timeout=30) as client:
            response = await client.post("/v1/files", files={"file": (NAME, PHOTO)})
            part = {"type": "image_url", "image_url": {"file_id": response.json()["id"]}}
            await client.post("/v1/chat/completions", json=chat_request(part))
            under_way = asyncio.create_task(client.post("/v1/chat/completions", json=chat_request(part)))
            while len(process.prepared) < 2:
                await asyncio.sleep(0.01)
            held = await process.search_memory(needles_of(*process.prepared))
            under_way.cancel()
        opened = process.audited("open")

    assert held
    for kind in ("originals", "prepared"):
        assert any(path.startswith(f"{process.data_dir}/files/{kind}/") for path in opened)
    for canary in (PHOTO, process.prepared[0], digests_of(process.env, process.prepared[0])[3], NAME.encode()):
        assert any(canary in content for content in process.written().values())
