"""Videos in chat: for authenticated callers, fetched by the guard, detected by their bytes, replaced in place."""

import httpx
import pytest

from tests.support.anonymous import anonymous_client
from tests.support.fake_upstream import answers
from tests.support.gateway import Gateway, chat_request, image_part, running_gateway, text
from tests.support.image_urls import a_data_url, data_url, image_in
from tests.support.loopback_server import LoopbackServer, Received, Wire, loopback_server

MP4 = b"\x00\x00\x00\x18ftypmp42" + bytes(2000)
MOV = b"\x00\x00\x00\x14ftypqt  " + bytes(2000)
WEBM = b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm" + bytes(2000)
AVI = b"RIFF\x00\x00\x00\x00AVI LIST" + bytes(2000)


def video(url: str) -> dict:
    return {"type": "video_url", "video_url": {"url": url}}


@pytest.mark.parametrize(("sent", "media_type"), [(MP4, "video/mp4"), (MOV, "video/quicktime"), (WEBM, "video/webm")])
async def test_a_video_goes_upstream_whole_under_the_type_that_its_bytes_have(
    sent: bytes, media_type: str, upstream: LoopbackServer, gateway: Gateway
) -> None:
    response = await gateway.chat(chat_request(text("what happens?"), video(data_url(sent, "video/lies"))))

    passed = upstream.received[0].json()["messages"][0]["content"][1]["video_url"]["url"]
    assert response.status_code == 200
    assert passed.startswith(f"data:{media_type};base64,")
    assert image_in(passed) == sent


async def test_a_video_by_url_is_fetched_by_the_guard() -> None:
    async def respond(request: Received, wire: Wire) -> None:
        if request.method == "GET":
            await wire.answer(200, MP4, "text/plain")
        else:
            await answers()(request, wire)

    async with loopback_server(respond) as outside:
        async with running_gateway(upstream_url=outside.v1, fetch_allow=(outside.origin,)) as gateway:
            response = await gateway.chat(chat_request(video(f"{outside.origin}/a.mp4")))
            rejected = await gateway.chat(chat_request(video("http://127.0.0.1:9/a.mp4")))

            assert response.status_code == 200
            assert image_in(outside.received[1].json()["messages"][0]["content"][0]["video_url"]["url"]) == MP4
            assert rejected.json()["error"]["code"] == "unsafe_image_url"
            assert rejected.json()["error"]["param"] == "messages[0].content[0].video_url.url"


@pytest.mark.parametrize(
    ("sent", "code"),
    [(AVI, "invalid_request"), (b"\x00\x00\x00\x18ftyp" + bytes(25 * 1024 * 1024), "image_too_large")],
    ids=["avi", "over 25 MiB"],
)
async def test_other_formats_and_large_videos_are_rejected(
    sent: bytes, code: str, upstream: LoopbackServer, gateway: Gateway
) -> None:
    response = await gateway.chat(chat_request(video(data_url(sent, "video/mp4"))))

    assert (response.status_code, response.json()["error"]["code"]) == (400, code)
    assert response.json()["error"]["param"] == "messages[0].content[0].video_url.url"
    assert response.json()["error"]["message"].startswith("The video ")
    assert upstream.received == []


async def test_anonymous_callers_may_send_no_video() -> None:
    async with running_gateway() as gateway, httpx.AsyncClient(base_url=gateway.url, trust_env=False) as client:
        response = await client.post(
            "/v1/chat/completions",
            json=chat_request(video(data_url(MP4, "video/mp4"))),
            headers={"x-free-tier": "true"},
        )

        assert (response.status_code, response.json()["error"]["code"]) == (400, "video_anon_blocked")


AUDIO = {"type": "input_audio", "input_audio": {"data": "UklGRiQAAABXQVZFZm10IBAAAAA=", "format": "wav"}}


async def test_what_was_not_moderated_is_named_in_the_response(upstream: LoopbackServer, gateway: Gateway) -> None:
    parts = [AUDIO, video(data_url(MP4, "video/mp4")), AUDIO, text("what happens?")]

    response = await gateway.chat(chat_request(*parts))
    with_image = await gateway.chat(chat_request(image_part(a_data_url(8, 8))))

    assert (response.status_code, response.headers["x-unmoderated"]) == (200, "input_audio,video_url")
    assert (with_image.status_code, with_image.headers.get("x-unmoderated")) == (200, None)
    assert upstream.received[0].json()["messages"][0]["content"][0] == AUDIO


@pytest.mark.gateway(unmoderated_media="refuse")
@pytest.mark.parametrize("part", [AUDIO, video(data_url(MP4, "video/mp4"))], ids=["audio", "video"])
async def test_a_deployment_may_refuse_what_cannot_be_moderated(
    part: dict, upstream: LoopbackServer, gateway: Gateway
) -> None:
    response = await gateway.chat(chat_request(text("hear"), part))

    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (400, "unsupported_operation")
    assert error["param"] == "messages[0].content[1]"
    assert upstream.received == []


async def test_anonymous_callers_may_send_no_audio() -> None:
    async with running_gateway() as gateway, anonymous_client(gateway) as anonymous:
        response = await anonymous.chat(chat_request(AUDIO))

    assert (response.status_code, response.json()["error"]["code"]) == (400, "unsupported_operation")


@pytest.mark.parametrize("brand", [b"avif", b"heic", b"mif1"])
async def test_an_image_in_the_container_of_a_video_is_no_video(
    brand: bytes, upstream: LoopbackServer, gateway: Gateway
) -> None:
    image = b"\0\0\0\x18ftyp" + brand + bytes(2000)

    response = await gateway.chat(chat_request(video(data_url(image, "video/mp4"))))

    assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_request")
    assert upstream.received == []


@pytest.mark.gateway(free_tier_requests=0)
async def test_without_a_free_tier_anonymous_callers_are_rejected(demo_gateway: Gateway) -> None:
    async with httpx.AsyncClient(base_url=demo_gateway.url, trust_env=False) as client:
        response = await client.post("/v1/chat/completions", json=chat_request("hi"), headers={"x-free-tier": "1"})

    assert (response.status_code, response.json()["error"]["code"]) == (401, "missing_credentials")
