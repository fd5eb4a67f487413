"""Files over HTTP: stored, shown, returned, listed, deleted for good, and never another project's."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
import httpx
import pytest

from obscura.stores.dynamodb.database import DynamoDb
from obscura.stores.dynamodb.tables import create_missing_tables
from obscura.stores.sqlite.database import open_database
from obscura.stores.sqlite.files import SqliteFileRepository
from tests.support.aws_server import aws_server
from tests.support.file_stores import create_bucket
from tests.support.forms import kept_in
from tests.support.gateway import Gateway, chat_request, running_gateway
from tests.unit.imaging.images import a_photograph, a_plain

PHOTO = a_photograph(900, 600, "JPEG")
DAY_S = 24 * 3600


async def store(gateway: Gateway, content: bytes = PHOTO, headers: dict | None = None, **fields: str) -> httpx.Response:
    files = {"file": ("photo.jpg", content)}
    return await gateway.client.post("/v1/files", files=files, data=fields, headers=headers)


def by_id(file_id: str, **fields: object) -> dict:
    return {"type": "image_url", "image_url": {"file_id": file_id, **fields}}


@asynccontextmanager
async def served_on_this_machine() -> AsyncIterator[tuple[Gateway, Callable[[], list[str]]]]:
    async with running_gateway() as gateway:
        yield gateway, lambda: kept_in(gateway.data_dir)


@asynccontextmanager
async def served_on_aws() -> AsyncIterator[tuple[Gateway, Callable[[], list[str]]]]:
    def keys() -> list[str]:
        return sorted(item["Key"] for item in boto3.client("s3").list_objects_v2(Bucket="kept").get("Contents", []))

    with aws_server():
        await asyncio.to_thread(create_bucket, "kept")
        database = DynamoDb("kept")
        await create_missing_tables(database)
        database.close()
        async with running_gateway(table="kept", bucket="kept") as gateway:
            yield gateway, keys


@pytest.mark.parametrize("serve", [served_on_this_machine, served_on_aws])
async def test_a_file_is_stored_used_and_deleted_and_no_byte_of_it_is_left(serve: Callable[..., Any]) -> None:
    async with serve() as (gateway, kept):
        stored = (await store(gateway)).json()
        used = await gateway.chat(chat_request(by_id(stored["id"])) | {"model": "obscura-demo"})
        used_small = await gateway.chat(chat_request(by_id(stored["id"], detail="low")) | {"model": "obscura-demo"})
        names = await asyncio.to_thread(kept)
        deleted = await gateway.client.delete(f"/v1/files/{stored['id']}")

        assert [used.status_code, used_small.status_code] == [200, 200]
        assert "900 x 600" in used.text
        assert "768 x 512" in used_small.text
        file_id = stored["id"]
        assert names == [f"originals/{file_id}", f"prepared/{file_id}/auto", f"prepared/{file_id}/low"]
        assert deleted.json() == {"id": file_id, "object": "file", "deleted": True}
        assert await asyncio.to_thread(kept) == []
        assert (await gateway.chat(chat_request(by_id(file_id)))).json()["error"]["code"] == "file_not_found"


async def test_a_stored_file_is_returned_as_openais_file_object(demo_gateway: Gateway) -> None:
    before_s = int(datetime.now(UTC).timestamp())
    stored = (await store(demo_gateway)).json()

    assert stored.pop("id").startswith("file_")
    assert 0 <= stored["created_at"] - before_s <= 10
    assert stored.pop("expires_at") - stored.pop("created_at") == DAY_S
    assert stored == {
        "object": "file",
        "bytes": len(PHOTO),
        "filename": "photo.jpg",
        "purpose": "user_upload",
        "mime_type": "image/jpeg",
        "status": "processed",
    }


async def test_a_files_content_is_returned_as_sent_and_no_browser_sniffs_it(demo_gateway: Gateway) -> None:
    png = a_plain(30, 20, "PNG")
    file_id = (await store(demo_gateway, png)).json()["id"]

    given = await demo_gateway.client.get(f"/v1/files/{file_id}/content")

    assert given.content == png
    assert given.headers["content-type"] == "image/png"
    assert given.headers["x-content-type-options"] == "nosniff"
    assert given.headers["content-disposition"] == "attachment"


async def test_files_are_listed_page_by_page(demo_gateway: Gateway) -> None:
    ids = [(await store(demo_gateway, purpose=purpose)).json()["id"] for purpose in ("vision", "user_data", "vision")]

    async def listed(**query: Any) -> tuple[list[str], bool]:
        response = (await demo_gateway.client.get("/v1/files", params=query)).json()
        found = [file["id"] for file in response["data"]]
        assert response["object"] == "list"
        assert (response["first_id"], response["last_id"]) == ((found[0], found[-1]) if found else ("", ""))
        return found, response["has_more"]

    assert await listed() == (ids[::-1], False)
    assert await listed(limit=2) == ([ids[2], ids[1]], True)
    assert await listed(limit=2, after=ids[1]) == ([ids[0]], False)
    assert await listed(order="asc", limit=1) == ([ids[0]], True)
    assert await listed(purpose="user_data") == ([ids[1]], False)


@pytest.mark.parametrize(
    ("param", "value"),
    [
        ("limit", "0"),
        ("limit", "10001"),
        ("limit", "-1"),
        ("limit", "x"),
        ("limit", "²"),
        ("order", "up"),
        ("after", "../x"),
        ("purpose", "holiday"),
    ],
)
async def test_an_invalid_page_query_is_rejected(param: str, value: str | int, demo_gateway: Gateway) -> None:
    response = await demo_gateway.client.get("/v1/files", params={param: value})

    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize(
    ("seconds", "ttl_s"), [("3600", 3600), ("604800", 604800), ("3599", None), ("604801", None), ("1e5", None)]
)
async def test_a_file_expires_after_an_hour_to_seven_days(
    seconds: str, ttl_s: int | None, demo_gateway: Gateway
) -> None:
    fields: dict[str, Any] = {"expires_after[anchor]": "created_at", "expires_after[seconds]": seconds}
    response = await store(demo_gateway, **fields)

    if ttl_s is None:
        assert (response.status_code, response.json()["error"]["param"]) == (400, "expires_after[seconds]")
        assert kept_in(demo_gateway.data_dir) == []
    else:
        assert response.json()["expires_at"] - response.json()["created_at"] == ttl_s


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"purpose": "batch"}, "purpose"),
        ({"purpose": ""}, "purpose"),
        ({"expires_after[seconds]": "3600"}, "expires_after[anchor]"),
        ({"expires_after[anchor]": "created_at"}, "expires_after[seconds]"),
        ({"expires_after[anchor]": "last_used", "expires_after[seconds]": "3600"}, "expires_after[anchor]"),
        ({"expires_in": "3600"}, "expires_in"),
    ],
)
async def test_a_form_field_that_is_not_valid_is_named(fields: dict, param: str, demo_gateway: Gateway) -> None:
    response = await store(demo_gateway, **fields)

    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "invalid_image"),
        (b"%PDF-1.7 no objects", "invalid_document"),
        (a_photograph(300, 200, "JPEG")[:-5000], "invalid_image"),
        (a_plain(401, 2, "PNG"), "unsupported_image_dimensions"),
        (a_plain(300, 300, "PNG"), "image_too_many_pixels"),
        (PHOTO + bytes(100_001 - len(PHOTO)), "image_too_large"),
        (bytes(1_000_000), "image_too_large"),
    ],
)
@pytest.mark.gateway(max_pixels=80_000, max_image_bytes=100_000)
async def test_each_file_is_checked_like_any_image_and_kept_only_if_valid(
    content: bytes, code: str, demo_gateway: Gateway
) -> None:
    response = await store(demo_gateway, content)

    assert response.status_code == 400
    assert (response.json()["error"]["code"], response.json()["error"]["param"]) == (code, "file")
    assert kept_in(demo_gateway.data_dir) == []


@pytest.mark.parametrize("path", ["/v1/files/{}", "/v1/files/{}/content"])
async def test_another_projects_file_is_neither_found_nor_deleted(path: str, demo_gateway: Gateway) -> None:
    file_id = (await store(demo_gateway)).json()["id"]
    another = await demo_gateway.headers_of("another")

    seen = await demo_gateway.client.get(path.format(file_id), headers=another)
    deleted = await demo_gateway.client.delete(f"/v1/files/{file_id}", headers=another)
    used = await demo_gateway.chat(chat_request(by_id(file_id)), headers=another)
    listed = await demo_gateway.client.get("/v1/files", headers=another)

    for response in (seen, deleted, used):
        assert (response.status_code, response.json()["error"]["code"]) == (404, "file_not_found")
    assert listed.json()["data"] == []
    assert (await demo_gateway.client.get(path.format(file_id))).status_code == 200


@pytest.mark.parametrize(
    "file_id", ["file_0", "file_" + "0" * 36, "file_" + "../" * 12, "%2e%2e%2f", "upload_" + "0" * 36, "é" * 41, "\x00"]
)
async def test_an_unknown_id_is_not_found(file_id: str, demo_gateway: Gateway) -> None:
    seen = await demo_gateway.client.get("/v1/files/" + quote(file_id, safe=""))
    used = await demo_gateway.chat(chat_request(by_id(file_id)))

    assert (used.status_code, used.json()["error"]["code"]) == (404, "file_not_found")
    assert used.json()["error"]["param"] == "messages[0].content[0].image_url.file_id"
    assert (seen.status_code, seen.json()["error"]["code"]) in {(404, "file_not_found"), (404, "not_found")}


async def test_anonymous_callers_neither_store_nor_list_nor_read_files(demo_gateway: Gateway) -> None:
    file_id = (await store(demo_gateway)).json()["id"]
    del demo_gateway.client.headers["authorization"]
    calls = [("POST", "/v1/files"), ("GET", "/v1/files"), ("GET", f"/v1/files/{file_id}"), ("POST", "/v1/uploads")]
    calls += [("DELETE", f"/v1/files/{file_id}"), ("GET", f"/v1/files/{file_id}/content")]
    for method, path in calls:
        response = await demo_gateway.client.request(method, path, headers={"x-free-tier": "true"})

        assert (response.status_code, response.json()["error"]["code"]) == (401, "missing_credentials"), path


async def test_expired_files_are_not_found_and_purged_at_the_next_upload(tmp_path: Path) -> None:
    async with running_gateway(folder=tmp_path) as gateway:
        file_id = (await store(gateway)).json()["id"]
        await expire_all(tmp_path)

        seen = await gateway.client.get(f"/v1/files/{file_id}")
        used = await gateway.chat(chat_request(by_id(file_id)))
        second = (await store(gateway)).json()["id"]

        assert [seen.json()["error"]["code"], used.json()["error"]["code"]] == ["file_not_found", "file_not_found"]
        assert kept_in(tmp_path) == [f"originals/{second}"]


async def expire_all(data_dir: Path) -> None:
    """Let a day pass for all files, in the store itself."""
    with closing(open_database(data_dir)) as database:
        files = SqliteFileRepository(database)
        for file in await files.list_all():
            await files.expire(file.project, file.id, file.created_at)


async def test_of_concurrent_deletions_of_a_file_one_succeeds(demo_gateway: Gateway) -> None:
    file_id = (await store(demo_gateway)).json()["id"]

    responses = await asyncio.gather(*[demo_gateway.client.delete(f"/v1/files/{file_id}") for _ in range(10)])

    assert sorted(response.status_code for response in responses) == [200] + [404] * 9


async def test_the_paths_without_v1_serve_too(demo_gateway: Gateway) -> None:
    stored = await demo_gateway.client.post("/files", files={"file": ("a.jpg", PHOTO)})

    assert (await demo_gateway.client.get(f"/files/{stored.json()['id']}")).json() == stored.json()


@pytest.mark.parametrize("purpose", ["assistants", "batch", "fine-tune", "evals", "fine-tune-results"])
async def test_a_list_takes_the_purposes_of_openais_api(purpose: str, demo_gateway: Gateway) -> None:
    response = await demo_gateway.client.get("/v1/files", params={"purpose": purpose})

    assert (response.status_code, response.json()["data"]) == (200, [])


@pytest.mark.parametrize("name", ["ids", "before_id", "scope_id"])
async def test_a_filter_that_would_be_ignored_is_named(name: str, demo_gateway: Gateway) -> None:
    response = await demo_gateway.client.get("/v1/files", params={name: "x"})

    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, "unsupported_field", name)
