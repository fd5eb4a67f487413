"""Uploads in parts over HTTP: begun, filled, completed into a file or cancelled, within their bounds."""

import asyncio
import hashlib
from typing import Any

import httpx
import pytest

from tests.support.forms import kept_in
from tests.support.gateway import Gateway
from tests.unit.imaging.images import a_photograph

PHOTO = a_photograph(900, 600, "JPEG")
THIRDS = [PHOTO[:10_000], PHOTO[10_000:20_000], PHOTO[20_000:]]


async def begin(gateway: Gateway, declared_bytes: int = len(PHOTO), **fields: Any) -> httpx.Response:
    defaults = {"filename": "a.jpg", "bytes": declared_bytes, "mime_type": "image/jpeg", "purpose": "vision"}
    return await gateway.client.post("/v1/uploads", json=defaults | fields)


async def add(gateway: Gateway, upload_id: str, content: bytes, **more: Any) -> httpx.Response:
    return await gateway.client.post(f"/v1/uploads/{upload_id}/parts", files={"data": content}, **more)


async def complete(gateway: Gateway, upload_id: str, part_ids: list[str], **fields: Any) -> httpx.Response:
    return await gateway.client.post(f"/v1/uploads/{upload_id}/complete", json={"part_ids": part_ids} | fields)


async def an_upload_with(gateway: Gateway, *parts: bytes, declared_bytes: int = len(PHOTO)) -> tuple[str, list[str]]:
    upload_id = (await begin(gateway, declared_bytes)).json()["id"]
    return upload_id, [(await add(gateway, upload_id, content)).json()["id"] for content in parts]


async def test_parts_become_a_file_in_the_named_order_and_are_deleted(demo_gateway: Gateway) -> None:
    upload_id, (third, first, second) = await an_upload_with(demo_gateway, THIRDS[2], THIRDS[0], THIRDS[1])

    response = (await complete(demo_gateway, upload_id, [first, second, third])).json()

    file_id = response["file"]["id"]
    assert (response["object"], response["id"], response["status"]) == ("upload", upload_id, "completed")
    assert (response["file"]["bytes"], response["file"]["mime_type"]) == (len(PHOTO), "image/jpeg")
    assert (await demo_gateway.client.get(f"/v1/files/{file_id}/content")).content == PHOTO
    assert (await demo_gateway.client.get(f"/v1/files/{file_id}")).json() == response["file"]
    assert kept_in(demo_gateway.data_dir) == [f"originals/{file_id}"]


async def test_an_upload_and_its_parts_are_those_of_openais_api(demo_gateway: Gateway) -> None:
    upload = (await begin(demo_gateway, expires_after={"anchor": "created_at", "seconds": 7200})).json()
    part = (await add(demo_gateway, upload["id"], THIRDS[0])).json()

    assert upload["expires_at"] - upload["created_at"] == 3600
    assert upload == {
        "id": upload["id"],
        "object": "upload",
        "bytes": len(PHOTO),
        "created_at": upload["created_at"],
        "expires_at": upload["expires_at"],
        "filename": "a.jpg",
        "purpose": "vision",
        "status": "pending",
        "file": None,
    }
    assert (part["object"], part["upload_id"], part["id"][:5]) == ("upload.part", upload["id"], "part_")
    assert part["created_at"] >= upload["created_at"]


async def test_the_file_of_an_upload_has_the_requested_lifetime(demo_gateway: Gateway) -> None:
    upload = (await begin(demo_gateway, expires_after={"anchor": "created_at", "seconds": 7200})).json()
    part_id = (await add(demo_gateway, upload["id"], PHOTO)).json()["id"]

    file = (await complete(demo_gateway, upload["id"], [part_id])).json()["file"]

    assert file["expires_at"] - file["created_at"] == 7200


async def test_a_cancelled_upload_stores_nothing_and_takes_no_part(demo_gateway: Gateway) -> None:
    upload_id, part_ids = await an_upload_with(demo_gateway, *THIRDS)

    response = await demo_gateway.client.post(f"/v1/uploads/{upload_id}/cancel")

    assert response.json()["status"] == "cancelled"
    assert kept_in(demo_gateway.data_dir) == []
    for more in (await add(demo_gateway, upload_id, b"x"), await complete(demo_gateway, upload_id, part_ids)):
        assert (more.status_code, more.json()["error"]["param"]) == (400, "upload_id")
        assert "cancelled" in more.json()["error"]["message"]


async def test_completing_an_upload_again_fails_and_names_its_file(demo_gateway: Gateway) -> None:
    upload_id, part_ids = await an_upload_with(demo_gateway, PHOTO)
    file_id = (await complete(demo_gateway, upload_id, part_ids)).json()["file"]["id"]

    again = await complete(demo_gateway, upload_id, part_ids)

    assert again.status_code == 400
    assert file_id in again.json()["error"]["message"]


async def test_of_concurrent_requests_one_completes_the_upload(demo_gateway: Gateway) -> None:
    upload_id, part_ids = await an_upload_with(demo_gateway, *THIRDS)

    responses = await asyncio.gather(*[complete(demo_gateway, upload_id, part_ids) for _ in range(6)])

    (file_id,) = [response.json()["file"]["id"] for response in responses if response.status_code == 200]
    assert {response.status_code for response in responses} == {200, 400}
    assert kept_in(demo_gateway.data_dir) == [f"originals/{file_id}"]
    assert [file["id"] for file in (await demo_gateway.client.get("/v1/files")).json()["data"]] == [file_id]


@pytest.mark.parametrize(
    ("chosen", "fields", "param"),
    [
        ([0, 1], {}, "part_ids"),
        ([0, 1, 2, 2], {}, "part_ids"),
        ([0, 1, "part_0", 2], {}, "part_ids[2]"),
        ([], {}, "part_ids"),
        ([0, 1, 7], {}, "part_ids"),
        ([0, 1, 2], {"md5": hashlib.md5(b"another").hexdigest()}, "md5"),  # noqa: S324 the API's checksum
        ([0, 1, 2], {"md5": 5}, "md5"),
        ([0, 1, 2], {"sha256": "00"}, "sha256"),
        ([2, 1, 0], {}, "file"),
    ],
)
async def test_parts_other_than_declared_are_rejected_and_the_upload_is_pending(
    chosen: list[Any], fields: dict[str, Any], param: str, demo_gateway: Gateway
) -> None:
    upload_id, part_ids = await an_upload_with(demo_gateway, *THIRDS)
    named: list[str] = [part_ids[one] if isinstance(one, int) and one < 3 else one for one in chosen]

    rejected = await complete(demo_gateway, upload_id, named, **fields)
    completed = await complete(demo_gateway, upload_id, part_ids, md5=hashlib.md5(PHOTO).hexdigest())  # noqa: S324

    assert (rejected.status_code, rejected.json()["error"]["param"]) == (400, param)
    assert completed.status_code == 200


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"bytes": 15 * 1024 * 1024 + 1}, "bytes", "image_too_large"),
        ({"bytes": 0}, "bytes", "invalid_request"),
        ({"bytes": -1}, "bytes", "invalid_request"),
        ({"bytes": 1.5}, "bytes", "invalid_request"),
        ({"bytes": "9"}, "bytes", "invalid_request"),
        ({"bytes": None}, "bytes", "invalid_request"),
        ({"bytes": 10**300}, "bytes", "invalid_request"),
        ({"filename": ""}, "filename", "invalid_request"),
        ({"filename": "../a.jpg"}, "filename", "invalid_request"),
        ({"filename": "a\nb"}, "filename", "invalid_request"),
        ({"filename": "x" * 256}, "filename", "invalid_request"),
        ({"mime_type": 1}, "mime_type", "invalid_request"),
        ({"purpose": "batch"}, "purpose", "invalid_request"),
        ({"expires_after": 5}, "expires_after", "invalid_request"),
        ({"expires_after": {"anchor": "created_at"}}, "expires_after.seconds", "invalid_request"),
        ({"expires_after": {"seconds": 3600}}, "expires_after.anchor", "invalid_request"),
        ({"expires_after": {"anchor": "created_at", "seconds": 1}}, "expires_after.seconds", "invalid_request"),
        ({"colour": "red"}, "colour", "unsupported_field"),
    ],
)
async def test_an_invalid_upload_is_rejected_before_its_first_part(
    fields: dict[str, Any], param: str, code: str, demo_gateway: Gateway
) -> None:
    response = await begin(demo_gateway, **fields)

    assert response.status_code == 400
    assert (response.json()["error"]["param"], response.json()["error"]["code"]) == (param, code)


async def test_a_part_over_six_mebibytes_is_rejected(demo_gateway: Gateway) -> None:
    upload_id, _ = await an_upload_with(demo_gateway, declared_bytes=15 * 1024 * 1024)

    fits = await add(demo_gateway, upload_id, bytes(6 * 1024 * 1024))
    too_large = [await add(demo_gateway, upload_id, bytes(6 * 1024 * 1024 + more)) for more in (1, 1_000_000)]

    assert fits.status_code == 200
    for response in too_large:
        assert (response.status_code, response.json()["error"]["param"]) == (413, "data")
    assert len(kept_in(demo_gateway.data_dir)) == 1


async def test_an_upload_takes_at_most_twice_its_bytes(demo_gateway: Gateway) -> None:
    upload_id, _ = await an_upload_with(demo_gateway, bytes(100), bytes(100), declared_bytes=100)

    response = await add(demo_gateway, upload_id, b"x")

    assert (response.status_code, response.json()["error"]["param"]) == (400, "data")
    assert len(kept_in(demo_gateway.data_dir)) == 2


async def test_another_projects_upload_is_not_found(demo_gateway: Gateway) -> None:
    upload_id, part_ids = await an_upload_with(demo_gateway, PHOTO)
    demo_gateway.client.headers.update(await demo_gateway.headers_of("another"))

    responses = [
        await add(demo_gateway, upload_id, b"x"),
        await complete(demo_gateway, upload_id, part_ids),
        await demo_gateway.client.post(f"/v1/uploads/{upload_id}/cancel"),
        await demo_gateway.client.post("/v1/uploads/upload_%2e%2e/cancel"),
    ]

    assert {(response.status_code, response.json()["error"]["code"]) for response in responses} == {
        (404, "file_not_found")
    }
