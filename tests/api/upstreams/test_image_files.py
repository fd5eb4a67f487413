"""Repeated images by the ids of the upstream's files: inline twice, then the id; never across projects or retention."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.anonymous import FREE_TIER
from tests.support.files_server import FilesServer
from tests.support.gateway import Gateway, running_gateway, text
from tests.support.image_urls import data_url
from tests.support.loopback_server import Received, loopback_server
from tests.support.upstream_groups import toml_table
from tests.unit.imaging.images import a_photograph

PHOTO = data_url(a_photograph(120, 80, "JPEG"), "image/jpeg")
SOURCE = {"type": "base64", "media_type": "image/jpeg", "data": PHOTO.partition(",")[2]}
BETA = "files-api-2025-04-14"
RESPONSES = {
    "model": "m",
    "input": [{"role": "user", "content": [{"type": "input_image", "image_url": PHOTO, "detail": "low"}]}],
}
MESSAGES = {
    "model": "m",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": [{"type": "image", "source": SOURCE}, text("hi")]}],
}


@dataclass
class Served:
    gateway: Gateway
    server: FilesServer
    path: str
    body: dict[str, Any]

    async def ask(self, **headers: str) -> Any:
        """Send the request, and return its image as it arrived upstream."""
        response = await self.gateway.client.post(self.path, json=self.body, headers=headers)
        assert response.status_code == 200, response.text
        await self.settled()
        return image_of(self.server.asked[-1])

    async def settled(self) -> None:
        """Wait until nothing is under way in the background: uploads end within a few turns of the loop."""
        async with asyncio.timeout(5):
            while any(task.get_coro().__qualname__.startswith("ImageFiles.") for task in asyncio.all_tasks()):
                await asyncio.sleep(0.005)


def image_of(request: Received) -> Any:
    body = request.json()
    if "input" in body:
        return body["input"][0]["content"][0]
    part = body["messages"][0]["content"][0]
    return part.get("source", part)


def is_inline(image: Any) -> bool:
    return "file_id" not in image and ("data" in image or image["image_url"].startswith("data:"))


def prepared_sha256(image: Any) -> str:
    encoded = image.get("data") or image["image_url"].partition(",")[2]
    return hashlib.sha256(base64.b64decode(encoded)).hexdigest()


@asynccontextmanager
async def serving(
    folder: Path,
    kind: str = "openai",
    server: FilesServer | None = None,
    *,
    model: dict[str, Any] | None = None,
    **more: Any,
) -> AsyncIterator[Served]:
    server = server or FilesServer()
    dialect = "responses" if kind == "openai" else "messages"
    async with loopback_server(server.respond) as loopback:
        fields = {"url": loopback.v1, "kind": kind, "dialects": [dialect], "image_files": True, "key_env": "FILES_KEY"}
        path = folder / "models.toml"
        tables = [toml_table("upstreams", name=name, **fields) for name in ("u", "v")]
        tables.append(toml_table("models", id="m", **(model or {"upstream": "u"})))
        path.write_text("\n".join(tables))
        async with running_gateway(models=path, **more) as gateway:
            yield Served(gateway, server, f"/v1/{dialect}", RESPONSES if kind == "openai" else MESSAGES)


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FILES_KEY", "sk-ant-api-1")


async def test_openai_gets_inline_inline_and_then_the_id(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        first, second, third, fourth = [await served.ask() for _ in range(4)]
        assert is_inline(first)
        assert first == second
        assert third == fourth == {"type": "input_image", "detail": "low", "file_id": "file-1"}
        assert hashlib.sha256(served.server.files["file-1"]).hexdigest() == prepared_sha256(first)
        [upload] = served.server.uploads
        assert upload.headers["authorization"] == "Bearer sk-ant-api-1"
        for name, value in (("purpose", "vision"), ("expires_after[anchor]", "created_at")):
            assert f'name="{name}"\r\n\r\n{value}\r\n'.encode() in upload.body
        assert b'name="expires_after[seconds]"\r\n\r\n86400\r\n' in upload.body
        assert b'filename="obscura-image.jpeg"\r\nContent-Type: image/jpeg\r\n\r\n\xff\xd8' in upload.body
    assert served.server.deleted == ["file-1"]  # when the gateway ends


async def test_anthropic_gets_the_id_with_its_beta_beside_the_callers(tmp_path: Path) -> None:
    async with serving(tmp_path, "anthropic") as served:
        first, second = [await served.ask() for _ in range(2)]
        third = await served.ask(**{"anthropic-beta": "interleaved-thinking-2025-05-14"})
        assert is_inline(first)
        assert first == second
        assert third == {"type": "file", "file_id": "file-1"}
        *inline, by_id = served.server.asked
        assert by_id.headers["anthropic-beta"] == f"interleaved-thinking-2025-05-14,{BETA}"
        assert all("anthropic-beta" not in request.headers for request in inline)
        [upload] = served.server.uploads
        assert upload.headers["anthropic-beta"] == BETA
        assert upload.headers["x-api-key"] == "sk-ant-api-1"
        assert upload.headers["anthropic-version"] == "2023-06-01"
        assert hashlib.sha256(served.server.files["file-1"]).hexdigest() == prepared_sha256(first)

        counted = await served.gateway.client.post("/v1/messages/count_tokens", json=MESSAGES)
        assert counted.status_code == 200, counted.text
        assert is_inline(image_of(served.server.asked[-1]))


@pytest.mark.parametrize(
    ("kind", "missing"),
    [
        ("openai", (404, "No such File object: {id}")),
        ("openai", (400, "{id} was not found")),
        ("anthropic", (404, "Not found")),
    ],
)
async def test_a_missing_file_is_forgotten_and_the_image_sent_inline(
    kind: str, missing: tuple[int, str], tmp_path: Path
) -> None:
    async with serving(tmp_path, kind, FilesServer(missing=missing)) as served:
        first, *_ = [await served.ask() for _ in range(3)]
        served.server.files.clear()
        assert await served.ask() == first  # answered, by one request more
        assert len(served.server.asked) == 5
        assert [await served.ask() for _ in range(2)] == [first, first]
        assert not is_inline(await served.ask())
        assert len(served.server.uploads) == 2


async def test_another_400_is_the_callers(tmp_path: Path) -> None:
    async with serving(tmp_path, server=FilesServer(missing=(400, "Too long"))) as served:
        for _ in range(3):
            await served.ask()
        served.server.files.clear()
        response = await served.gateway.client.post(served.path, json=served.body)
        assert response.status_code == 400
        assert response.json()["error"]["message"] == "Too long"
        assert len(served.server.asked) == 4


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
async def test_zero_retention_neither_makes_nor_uses_files(kind: str, tmp_path: Path) -> None:
    async with serving(tmp_path, kind) as served:
        for _ in range(4):
            assert is_inline(await served.ask(**{"x-zero-retention": "true"}))
        assert is_inline(await served.ask())  # the first one that counts
        assert not served.server.uploads
        for _ in range(2):
            await served.ask()
        assert not is_inline(image_of(served.server.asked[-1]))
        assert is_inline(await served.ask(**{"x-zero-retention": "true"}))


async def test_the_free_tier_neither_makes_nor_uses_files(tmp_path: Path) -> None:
    async with serving(tmp_path, free_tier_requests=9) as served:
        del served.gateway.client.headers["authorization"]
        for _ in range(4):
            assert is_inline(await served.ask(**FREE_TIER))
        assert not served.server.uploads


async def test_no_project_gets_the_file_of_another(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        for _ in range(3):
            await served.ask()
        assert not is_inline(await served.ask())
        other = await served.gateway.headers_of("other")
        assert [is_inline(await served.ask(**other)) for _ in range(3)] == [True, True, False]
        assert image_of(served.server.asked[-1])["file_id"] == "file-2"
        assert (await served.ask())["file_id"] == "file-1"


async def test_a_file_that_would_expire_at_once_is_never_used(tmp_path: Path) -> None:
    async with serving(tmp_path, server=FilesServer(expires_in_s=600)) as served:
        assert all([is_inline(await served.ask()) for _ in range(5)])
        assert len(served.server.uploads) == 1  # and none soon after it
        assert served.server.deleted == ["file-1"]


async def test_an_upload_that_fails_fails_no_request(tmp_path: Path) -> None:
    async with serving(tmp_path, server=FilesServer(upload_status=500)) as served:
        assert all([is_inline(await served.ask()) for _ in range(5)])
        assert len(served.server.uploads) == 1


async def test_no_request_and_no_end_waits_for_an_upload(tmp_path: Path) -> None:
    server = FilesServer(gate=asyncio.Event())
    async with serving(tmp_path, server=server) as served:
        async with asyncio.timeout(5):
            for _ in range(4):
                response = await served.gateway.client.post(served.path, json=served.body)
                assert response.status_code == 200
                assert is_inline(image_of(server.asked[-1]))
    assert len(server.uploads) == 1


async def test_only_images_that_are_known_go_by_their_ids(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        for _ in range(3):
            await served.ask()
        other = {"type": "input_image", "image_url": data_url(a_photograph(90, 60, "PNG"), "image/png")}
        [message] = RESPONSES["input"]
        parts = [*message["content"], other, *message["content"]]
        response = await served.gateway.client.post(
            served.path, json={"model": "m", "input": [{"role": "user", "content": parts}]}
        )
        assert response.status_code == 200, response.text
        sent = served.server.asked[-1].json()["input"][0]["content"]
        assert [is_inline(image) for image in sent] == [False, True, False]


async def test_what_is_translated_and_what_a_group_gets_is_inline(tmp_path: Path) -> None:
    chat = {
        "model": "m",
        "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": PHOTO}}]}],
    }
    async with serving(tmp_path) as served:
        for _ in range(4):
            assert (await served.gateway.chat(chat)).status_code == 200
            assert image_of(served.server.asked[-1])["image_url"]["url"].startswith("data:")
        assert not served.server.uploads
    async with serving(tmp_path, model={"upstreams": ["u", "v"]}) as served:
        for _ in range(4):
            assert is_inline(await served.ask())
    assert not served.server.uploads


@pytest.mark.parametrize("model", [{"upstream": "u", "account_state": True}, {"upstream": "u"}])
async def test_what_the_upstream_may_be_asked_to_continue_has_no_ids(model: dict[str, Any], tmp_path: Path) -> None:
    more: dict[str, Any] = {} if "account_state" in model else {"upstream_state": "allow"}
    async with serving(tmp_path, model=model, **more) as served:
        for _ in range(4):
            assert is_inline(await served.ask())
        assert not served.server.uploads


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
async def test_it_holds_under_a_policy_and_for_streams(kind: str, tmp_path: Path) -> None:
    async with serving(tmp_path, kind) as served:
        served.path, served.body = served.path.replace("/v1", "/policy"), served.body | {"stream": True}
        assert [is_inline(await served.ask()) for _ in range(3)] == [True, True, False]
        served.server.files.clear()
        assert is_inline(await served.ask())
