"""Zero retention over HTTP: nothing is stored, nothing stored is used, and every response says so."""

import pytest

from tests.support.fake_upstream import answers, hangs_up, streams
from tests.support.forms import kept_in
from tests.support.gateway import Gateway, chat_request
from tests.support.loopback_server import LoopbackServer, Respond
from tests.unit.imaging.images import a_photograph

PHOTO = a_photograph(300, 200, "JPEG")
ZERO = {"x-zero-retention": "true"}
UPLOAD = {"filename": "a.jpg", "bytes": 9, "mime_type": "image/jpeg", "purpose": "vision"}


@pytest.mark.parametrize("by", ["header", "key"])
async def test_a_zero_retention_request_cannot_store_anything(by: str, demo_gateway: Gateway) -> None:
    upload_id = (await demo_gateway.client.post("/v1/uploads", json=UPLOAD)).json()["id"]
    headers = ZERO if by == "header" else await demo_gateway.headers_of("tests", zero_retention=True)

    responses = [
        await demo_gateway.client.post("/v1/files", files={"file": ("a.jpg", PHOTO)}, headers=headers),
        await demo_gateway.client.post("/v1/uploads", json=UPLOAD, headers=headers),
        await demo_gateway.client.post(f"/v1/uploads/{upload_id}/parts", files={"data": b"x"}, headers=headers),
        await demo_gateway.client.post(f"/v1/uploads/{upload_id}/complete", json={"part_ids": ["p"]}, headers=headers),
    ]

    for response in responses:
        assert (response.status_code, response.json()["error"]["code"]) == (400, "retention_conflict")
        assert response.headers["x-zero-retention"] == "true"
    assert kept_in(demo_gateway.data_dir) == []


async def test_a_zero_retention_request_may_list_and_delete_but_not_use_files(demo_gateway: Gateway) -> None:
    file_id = (await demo_gateway.client.post("/v1/files", files={"file": ("a.jpg", PHOTO)})).json()["id"]

    used = await demo_gateway.client.get(f"/v1/files/{file_id}/content", headers=ZERO)
    listed = await demo_gateway.client.get("/v1/files", headers=ZERO)
    found = await demo_gateway.client.get(f"/v1/files/{file_id}", headers=ZERO)
    deleted = await demo_gateway.client.delete(f"/v1/files/{file_id}", headers=ZERO)

    assert (used.status_code, used.json()["error"]["code"]) == (400, "retention_conflict")
    assert [listed.status_code, found.status_code, deleted.status_code] == [200] * 3
    assert {response.headers["x-zero-retention"] for response in (used, listed, found, deleted)} == {"true"}


@pytest.mark.parametrize(
    ("respond", "request_body", "status"),
    [
        (answers(), chat_request("hi"), 200),
        (streams(), chat_request("hi", stream=True), 200),
        (hangs_up, chat_request("hi"), 502),
        (answers({}, 500), chat_request("hi"), 502),
        (answers(), {"model": "m"}, 400),
        (answers(), [], 400),
    ],
)
async def test_every_response_to_a_zero_retention_request_says_so(
    respond: Respond, request_body: object, status: int, upstream: LoopbackServer, gateway: Gateway
) -> None:
    upstream.respond = respond
    zero = await gateway.chat(request_body, headers=ZERO)
    plain = await gateway.chat(request_body)

    assert (zero.status_code, zero.headers.get_list("x-zero-retention")) == (status, ["true"])
    assert (plain.status_code, plain.headers.get_list("x-zero-retention")) == (status, [])
