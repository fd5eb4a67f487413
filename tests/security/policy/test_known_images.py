"""A policy's own lists of images: every kind of hash is compared, wherever the image comes from."""

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from obscura.imaging.pdq import pdq_hash
from tests.support.gateway import Gateway, chat_request, image_part, running_gateway, text
from tests.support.image_urls import data_url
from tests.support.policies import save
from tests.unit.imaging.images import a_photograph, a_plain, opened, saved

CHAT = "/policy/v1/chat/completions"
PHOTO = a_photograph(400, 300, "JPEG")
COPY = saved(opened(PHOTO).resize((360, 270)), "JPEG", quality=60)
OTHER = saved(opened(PHOTO).rotate(90, expand=True), "JPEG")
PLAIN = a_plain(40, 30, "PNG")
PDQ, SHA256 = f"{pdq_hash(PHOTO)}", hashlib.sha256(PHOTO).hexdigest()
PLAIN_PDQ, PLAIN_SHA256 = f"{pdq_hash(PLAIN)}", hashlib.sha256(PLAIN).hexdigest()


async def rule_of(gateway: Gateway, part: dict[str, Any]) -> str | None:
    response = await gateway.client.post(CHAT, json=chat_request(text("what?"), part, policy_id="p1"))
    assert response.status_code in {200, 400}, response.text
    rule: str | None = response.json()["policy"]["rule"]
    return rule


def part_of(image: bytes) -> dict[str, Any]:
    return image_part(data_url(image, "image/png" if image is PLAIN else "image/jpeg"))


@pytest.mark.parametrize(
    ("entry", "distance", "image", "listed"),
    [
        (f"sha256:{SHA256}", 31, PHOTO, True),
        (f"sha256:{SHA256}", 31, COPY, False),
        (f"sha256:{PLAIN_SHA256}", 31, PLAIN, True),
        (f"pdq:{PDQ}", 31, PHOTO, True),
        (f"pdq:{PDQ}", 31, COPY, True),
        (f"pdq:{PDQ.upper()}", 31, COPY, True),
        (f"pdq:{PDQ}", 31, OTHER, False),
        (f"pdq:{int(PDQ, 16) ^ (2**32 - 1):064x}", 31, PHOTO, False),
        (f"pdq:{int(PDQ, 16) ^ 1:064x}", 0, PHOTO, False),
        (PDQ, 31, COPY, True),
        (SHA256, 31, PHOTO, True),
        (f"pdq:{PLAIN_PDQ}", 31, PLAIN, False),  # of a quality below 50
    ],
)
@pytest.mark.parametrize("rule", ["blocked_hashes", "allowed_hashes"])
async def test_an_image_is_compared_by_every_kind_of_hash(
    gateway: Gateway, rule: str, entry: str, distance: int, image: bytes, *, listed: bool
) -> None:
    await save(gateway, images={rule: [entry], "max_hash_distance": distance})

    fires = listed == (rule == "blocked_hashes")
    assert await rule_of(gateway, part_of(image)) == (f"policy.images.{rule}" if fires else None)


async def test_an_image_from_the_cache_and_a_stored_one_are_compared_too(tmp_path: Path) -> None:
    async with running_gateway(image_cache_mb=8, folder=tmp_path) as gateway:
        uploaded = await gateway.client.post("/v1/files", files={"file": ("a.jpg", PHOTO)})
        by_id = {"type": "image_url", "image_url": {"file_id": uploaded.json()["id"]}}
        for part in (by_id, part_of(PHOTO)):  # prepared before any policy asks for its hashes
            assert (await gateway.chat(chat_request(part))).status_code == 200
        for entry in (f"sha256:{SHA256}", f"pdq:{PDQ}"):
            await save(gateway, images={"blocked_hashes": [entry]})
            for part in (by_id, by_id, part_of(PHOTO)):
                assert await rule_of(gateway, part) == "policy.images.blocked_hashes"


async def test_a_match_has_an_event_without_bytes_or_hashes(gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    await save(gateway, images={"blocked_hashes": [f"pdq:{PDQ}"]})
    caplog.set_level(logging.INFO, logger="obscura")

    await rule_of(gateway, part_of(COPY))

    [line] = [record for record in caplog.records if record.message == "hash_match"]
    fields = vars(line)["fields"]
    assert fields["list"] == "policy p1@1"
    assert fields["hash_type"] == "pdq"
    assert 0 < fields["distance"] <= 31
    assert PDQ not in json.dumps(fields)


@pytest.mark.parametrize("list_type", ["pdq", "sha256"])
async def test_the_gateways_own_lists_hold_under_every_policy(tmp_path: Path, list_type: str) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text({"pdq": PDQ, "sha256": SHA256}[list_type])
    source = f"{listed}?category=sexual/minors&type={list_type}"
    async with running_gateway(blocked_hashes=(source,)) as gateway:
        await save(gateway, images={"allowed_hashes": [PDQ]}, rollout={"shadow": {"enabled": True}})
        for fields in ({}, {"policy_id": "p1"}):
            response = await gateway.client.post(CHAT, json=chat_request(part_of(PHOTO), **fields))

            error = response.json()["error"]
            assert (response.status_code, error["category"]) == (400, "sexual/minors")
