"""Hash lists: an image on one is refused on every route as any blocked image is, and the log has an event."""

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from obscura.api.app import create_app
from obscura.imaging.pdq import pdq_hash
from obscura.settings import ConfigurationError, Settings
from tests.support.anonymous import anonymous_client
from tests.support.fake_upstream import answers
from tests.support.gateway import Gateway, chat_request, image_part, running_gateway, text
from tests.support.image_urls import data_url
from tests.support.loopback_server import loopback_server
from tests.unit.imaging.images import a_photograph, a_plain, opened, saved

PHOTO = a_photograph(400, 300, "JPEG")
OTHER = saved(opened(PHOTO).transpose(Image.Transpose.ROTATE_90), "JPEG")
COPY = saved(opened(PHOTO).resize((360, 270)), "JPEG", quality=60)
PDQ, SHA256 = f"{pdq_hash(PHOTO)}", hashlib.sha256(PHOTO).hexdigest()


def a_list(folder: Path, *lines: str, options: str = "?category=sexual/minors") -> str:
    path = folder / "list.txt"
    path.write_text("\n".join(lines))
    return f"{path}{options}"


async def asked(gateway: Gateway, image: bytes, media_type: str = "image/jpeg") -> tuple[int, str | None]:
    response = await gateway.chat(chat_request(text("what?"), image_part(data_url(image, media_type))))
    return response.status_code, response.json().get("error", {}).get("code")


BLOCKED, SERVED = (400, "moderation_blocked"), (200, None)


async def test_an_image_on_a_list_is_refused_before_any_moderation_and_others_are_not(tmp_path: Path) -> None:
    async with loopback_server(answers()) as moderation:
        setting: dict[str, Any] = {"moderation": "openai", "moderation_url": moderation.v1, "moderation_key": "k"}
        async with running_gateway(blocked_hashes=(a_list(tmp_path, f"pdq {PDQ}"),), **setting) as gateway:
            refused = await gateway.chat(chat_request(image_part(data_url(COPY, "image/jpeg"))))

    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["category"]) == (400, "moderation_blocked", "sexual/minors")
    assert error["param"] == "messages[0].content[0].image_url.url"
    assert error["message"] == (
        "The image was blocked by moderation (category: sexual/minors). Change it and send the request again."
    )
    assert not any(b"image_url" in received.body for received in moderation.received)


@pytest.mark.parametrize(
    ("line", "image", "seen"),
    [
        (f"pdq {PDQ}", PHOTO, BLOCKED),
        (f"pdq {PDQ}", COPY, BLOCKED),
        (f"pdq {PDQ}", OTHER, SERVED),
        (f"sha256 {SHA256}", PHOTO, BLOCKED),
        (f"sha256 {SHA256}", COPY, SERVED),
    ],
)
async def test_the_source_and_the_prepared_image_are_compared(
    line: str, image: bytes, seen: tuple[int, str | None], tmp_path: Path
) -> None:
    async with running_gateway(blocked_hashes=(a_list(tmp_path, line),)) as gateway:
        assert await asked(gateway, image) == seen


async def test_turned_copies_are_found_where_the_list_says_so(tmp_path: Path) -> None:
    listed = a_list(tmp_path, PDQ, options="?dihedral=yes")
    async with running_gateway(blocked_hashes=(listed,)) as gateway:
        assert await asked(gateway, OTHER) == BLOCKED


async def test_the_prepared_bytes_are_compared_too(tmp_path: Path) -> None:
    kept = a_plain(40, 30, "PNG")
    async with running_gateway(
        blocked_hashes=(a_list(tmp_path, hashlib.sha256(kept).hexdigest(), options="?type=sha256"),)
    ) as gateway:
        assert await asked(gateway, kept, "image/png") == BLOCKED


async def test_every_dialect_and_an_image_from_the_cache_are_compared(tmp_path: Path) -> None:
    source = {"type": "base64", "media_type": "image/jpeg", "data": data_url(PHOTO).partition(",")[2]}
    message = {"role": "user", "content": [{"type": "image", "source": source}]}
    part = {"type": "input_image", "image_url": data_url(PHOTO, "image/jpeg")}
    async with running_gateway(
        blocked_hashes=(a_list(tmp_path, SHA256, options="?type=sha256"),), image_cache_mb=8
    ) as gateway:
        for _ in range(2):
            messages = await gateway.client.post(
                "/v1/messages", json={"model": "m", "max_tokens": 9, "messages": [message]}
            )
            responses = await gateway.client.post(
                "/v1/responses", json={"model": "m", "input": [{"role": "user", "content": [part]}]}
            )
            assert [messages.json()["error"]["code"], responses.json()["error"]["code"]] == ["moderation_blocked"] * 2
            assert await asked(gateway, PHOTO) == BLOCKED


async def test_a_stored_file_is_compared_at_every_use_also_one_of_a_time_without_lists(tmp_path: Path) -> None:
    stored = tmp_path / "data"
    async with running_gateway(folder=stored) as gateway:
        file_id = (await gateway.client.post("/v1/files", files={"file": ("a.jpg", PHOTO)})).json()["id"]
        headers = dict(gateway.client.headers)
        part = {"type": "image_url", "image_url": {"file_id": file_id}}
        assert (await gateway.chat(chat_request(part))).status_code == 200

    listed = a_list(tmp_path, SHA256, options="?type=sha256")
    async with running_gateway(folder=stored, blocked_hashes=(listed,)) as gateway:
        for _ in range(2):
            used = await gateway.chat(chat_request(part), headers={"authorization": headers["authorization"]})
            assert used.json()["error"]["code"] == "moderation_blocked"


async def test_the_event_names_the_list_and_no_hash_and_the_free_request_is_used_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    listed = a_list(tmp_path, PDQ)
    body = chat_request(image_part(data_url(PHOTO, "image/jpeg")))
    with caplog.at_level(logging.INFO, "obscura"):
        async with running_gateway(blocked_hashes=(listed,)) as gateway, anonymous_client(gateway) as anonymous:
            first = await anonymous.chat(body)
            second = await anonymous.chat(chat_request("hi"))

    assert (first.json()["error"]["code"], second.status_code) == ("moderation_blocked", 429)
    [event] = [getattr(record, "fields", {}) for record in caplog.records if record.msg == "hash_match"]
    assert event == {
        "request_id": first.headers["x-request-id"], "project": "free tier", "list": listed.partition("?")[0],
        "category": "sexual/minors", "hash_type": "pdq", "distance": event["distance"],
    }  # fmt: skip
    assert event["distance"] <= 10
    written = json.dumps([getattr(record, "fields", {}) for record in caplog.records])
    assert PDQ not in written
    assert SHA256 not in written


@pytest.mark.parametrize(
    ("content", "options", "reason"),
    [
        (None, "", "No such file"),
        ("no hash here\n123", "", "Line 2"),
        (PDQ, "?distance=99", "distance"),
        (PDQ, "?type=md5", "type"),
    ],
)
async def test_a_list_that_cannot_be_used_ends_the_start(
    content: str | None, options: str, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "list.txt"
    if content is not None:
        path.write_text(content)

    with pytest.raises(ConfigurationError, match=rf"OBSCURA_BLOCKED_HASHES: .*{reason}"):
        create_app(Settings(blocked_hashes=(f"{path}{options}",), data_dir=tmp_path))
