"""The ``uuid`` by which vLLM finds an image again: the SHA-256 of the prepared bytes, never a caller's own."""

import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_upstream import answers
from tests.support.gateway import chat_request, image_part, running_gateway, text
from tests.support.image_urls import data_url
from tests.support.loopback_server import LoopbackServer, loopback_server
from tests.support.upstream_groups import answering, served_group
from tests.support.upstream_kinds import VLLM
from tests.unit.imaging.images import a_photograph

PHOTO = data_url(a_photograph(120, 80, "JPEG"), "image/jpeg")
SOURCE = {"type": "base64", "media_type": "image/jpeg", "data": PHOTO.partition(",")[2]}
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": chat_request(text("hi"), image_part(PHOTO) | {"uuid": "mine"}),
    "/v1/messages": {
        "max_tokens": 9,
        "messages": [{"role": "user", "content": [{"type": "image", "source": SOURCE, "uuid": "mine"}, text("hi")]}],
    },
    "/v1/responses": {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": PHOTO}]}]},
}


def image_of(server: LoopbackServer) -> dict[str, Any]:
    """The image part of the last request."""
    parts = server.received[-1].json()["messages"][-1]["content"]
    [image] = [part for part in parts if part["type"] == "image_url"]
    return image


def sha256_of(image: dict[str, Any]) -> str:
    return hashlib.sha256(base64.b64decode(image["image_url"]["url"].partition(",")[2])).hexdigest()


@pytest.mark.parametrize("path", BODIES)
async def test_each_image_carries_the_hash_of_its_prepared_bytes(path: str, tmp_path: Path) -> None:
    async with loopback_server(answers()) as server:
        catalog = tmp_path / "models.toml"
        catalog.write_text(VLLM.catalog(server.v1))
        async with running_gateway(models=catalog) as gateway:
            uuids = []
            for _ in range(2):
                response = await gateway.client.post(path, json=BODIES[path] | {"model": "m"})
                assert response.status_code == 200, response.text
                image = image_of(server)
                assert image["uuid"] == sha256_of(image)
                uuids.append(image["uuid"])
            assert uuids[0] == uuids[1]

            await gateway.client.post(path, json=BODIES[path] | {"model": "m"}, headers={"x-zero-retention": "true"})
            assert "uuid" not in image_of(server)
            assert sha256_of(image_of(server)) == uuids[0]


@pytest.mark.parametrize(("first", "second"), [({"limits": "vllm"}, {}), ({}, {"kind": "vllm"})])
async def test_only_the_members_that_are_vllm_get_it(
    first: dict[str, Any], second: dict[str, Any], tmp_path: Path
) -> None:
    upstreams = {"a": first | {"responds": answers({}, 500)}, "b": second | {"responds": answering("b")}}
    async with served_group(tmp_path, upstreams) as group:
        response = await group.gateway.chat(BODIES["/v1/chat/completions"])

        assert response.headers["x-obscura-upstream"] == "b"
        for name, fields in (("a", first), ("b", second)):
            image = image_of(group.upstreams[name])
            assert image.get("uuid") == (sha256_of(image) if fields else None)
