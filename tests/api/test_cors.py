"""CORS at the served gateway: preflights before admission, and the headers of every kind of response."""

import httpx
import pytest

from obscura.api.cors import EXPOSED_HEADERS, MAX_AGE_S
from tests.support.fake_upstream import answers, streams
from tests.support.gateway import Gateway, chat_request
from tests.support.loopback_server import LoopbackServer
from tests.support.raw_http import raw_client

APP = "https://app.example.com"
PATHS = [
    "/v1/chat/completions", "/chat/completions", "/v1/messages", "/v1/messages/count_tokens", "/v1/responses",
    "/v1/files", "/v1/files/file_1/content", "/v1/uploads", "/v1/models", "/v1/models/a/b", "/api/models",
    "/policy/v1/chat/completions", "/healthz", "/openapi.json", "/no/such/path",
]  # fmt: skip

listed = pytest.mark.gateway(cors_origins=(APP, "http://localhost:5173"))
any_origin = pytest.mark.gateway(cors_origins=("*",))
SHOWN_TO_ALL = {
    "content-type",
    "content-length",
    "cache-control",
    "date",
}  # Fetch Standard, "CORS-safelisted", and ours


async def preflight(gateway: Gateway, path: str, origin: str = APP, **more: str) -> httpx.Response:
    asked = {"origin": origin, "access-control-request-method": "POST", **more}
    asked |= {"access-control-request-headers": "authorization,content-type"}
    return await gateway.client.options(path, headers=asked | {"authorization": "Bearer obs_no_such_key"})


@listed
@pytest.mark.parametrize("path", PATHS)
async def test_every_path_answers_a_preflight_before_admission(gateway: Gateway, path: str) -> None:
    response = await preflight(gateway, path)

    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["access-control-allow-origin"] == APP
    assert response.headers["access-control-allow-credentials"] == "true"
    assert response.headers["access-control-allow-headers"] == "authorization,content-type"
    assert {"POST", "GET", "DELETE"} <= set(response.headers["access-control-allow-methods"].split(", "))
    assert response.headers["access-control-max-age"] == str(MAX_AGE_S)
    assert "origin" in response.headers["vary"]


@listed
@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "https://app.example.com.evil.example", f"{APP}:444", "null", "http://app.example.com"],
)
async def test_another_origin_gets_no_permission(gateway: Gateway, upstream: LoopbackServer, origin: str) -> None:
    asked = await preflight(gateway, "/v1/chat/completions", origin)
    sent = await gateway.chat(chat_request("Hi"), headers={"origin": origin})

    assert asked.status_code == 403
    assert asked.json()["error"]["code"] == "permission_denied"
    assert "OBSCURA_CORS_ORIGINS" in asked.json()["error"]["message"]
    assert sent.status_code == 200
    for response in (asked, sent):
        assert not [name for name in response.headers if name.startswith("access-control-")]
        assert response.headers["vary"] == "origin"


async def test_without_the_setting_no_response_has_a_header_of_cors(gateway: Gateway) -> None:
    asked = await preflight(gateway, "/v1/chat/completions")
    sent = await gateway.chat(chat_request("Hi"), headers={"origin": APP})

    assert (asked.status_code, asked.headers["allow"], sent.status_code) == (204, "POST", 200)
    for response in (asked, sent):
        assert not [name for name in response.headers if name.startswith("access-control-") or name == "vary"]


@any_origin
async def test_any_origin_is_allowed_without_credentials(gateway: Gateway) -> None:
    asked = await preflight(gateway, "/v1/files", "null")
    sent = await gateway.chat(chat_request("Hi"), headers={"origin": "https://a.example"})

    assert (asked.status_code, sent.status_code) == (204, 200)
    for response in (asked, sent):
        assert response.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in response.headers


@pytest.mark.gateway(cors_origins=(APP,), max_body_bytes=2000)
@pytest.mark.parametrize(
    ("method", "path", "content", "headers", "status"),
    [
        ("POST", "/v1/chat/completions", b"{}", {"authorization": "Bearer obs_no_such_key"}, 401),
        ("POST", "/v1/chat/completions", b" " * 3000, {}, 413),
        ("POST", "/v1/messages", b"{", {}, 400),
        ("GET", "/no/such/path", b"", {}, 404),
        ("GET", "/v1/files/file_x", b"", {}, 404),
        ("GET", "/v1/chat/completions", b"", {}, 405),
    ],
)
async def test_a_refusal_can_be_read_by_the_page(
    gateway: Gateway, method: str, path: str, content: bytes, headers: dict[str, str], status: int
) -> None:
    response = await gateway.client.request(method, path, content=content, headers={"origin": APP, **headers})

    assert response.status_code == status
    assert_readable(response)


@pytest.mark.gateway(cors_origins=(APP,), key_requests_per_minute=1)
async def test_a_rate_limit_can_be_read_by_the_page(gateway: Gateway) -> None:
    await gateway.client.get("/v1/models", headers={"origin": APP})
    response = await gateway.client.get("/v1/models", headers={"origin": APP})

    assert response.status_code == 429
    assert "retry-after" in response.headers
    assert_readable(response)


@listed
async def test_an_upstream_that_fails_can_be_read_by_the_page(gateway: Gateway, upstream: LoopbackServer) -> None:
    upstream.respond = answers(b"no", status=500, access_control_allow_origin="https://evil.example")

    response = await gateway.chat(chat_request("Hi"), headers={"origin": APP})

    assert response.status_code >= 500
    assert_readable(response)


@listed
async def test_an_exception_of_a_route_can_be_read_by_the_page(gateway: Gateway) -> None:
    gateway.database.close()

    response = await gateway.client.get("/v1/files", headers={"origin": APP})

    assert response.status_code >= 500
    assert_readable(response)


@listed
async def test_a_stream_and_its_headers_can_be_read(gateway: Gateway, upstream: LoopbackServer) -> None:
    upstream.respond = streams()

    response = await gateway.chat(chat_request("Hi", stream=True), headers={"origin": APP})

    assert response.status_code == 200
    assert response.text.endswith("data: [DONE]\n\n")
    assert_readable(response)


INVALID = {
    "no host": b"POST /v1/chat/completions HTTP/1.1\r\nOrigin: %b\r\n\r\n",
    "a bad line": b"GET /v1/models HTTP/1.1\r\nHost: a\r\norigin: %b\r\nno colon\r\n\r\n",
    "two hosts": b"POST /v1/files HTTP/1.1\r\nHost: a\r\nHost: b\r\nOrigin: %b\r\nContent-Length: 1\r\n\r\n",
}


@listed
@pytest.mark.parametrize("head", INVALID.values(), ids=INVALID)
async def test_a_refusal_of_invalid_http_can_be_read_by_a_listed_page_alone(gateway: Gateway, head: bytes) -> None:
    async def refused(origin: str) -> httpx.Headers:
        async with raw_client(gateway.url) as client:
            await client.send(head % origin.encode())
            response = await client.response()
        assert response.status == 400
        lines = [line.split(": ", 1) for line in response.head.decode().split("\r\n")[1:] if line]
        return httpx.Headers([(name, value) for name, value in lines])

    shown = await refused(APP)
    assert shown["access-control-allow-origin"] == APP
    assert shown["access-control-expose-headers"] == ", ".join(EXPOSED_HEADERS)
    for origin in ("https://evil.example", f"{APP}\r\nOrigin: {APP}"):
        hidden = await refused(origin)
        assert "access-control-allow-origin" not in hidden
        assert hidden["vary"] == "origin"


@any_origin
async def test_without_an_origin_a_refusal_of_invalid_http_allows_any(gateway: Gateway) -> None:
    async with raw_client(gateway.url) as client:
        await client.send(b"no http\r\n\r\n")
        response = await client.response()

    assert b"access-control-allow-origin: *\r\n" in response.head


@listed
async def test_preflights_take_no_quota(gateway: Gateway) -> None:
    before = await gateway.client.get("/v1/models")
    for _ in range(3):
        await preflight(gateway, "/v1/models", authorization=f"Bearer {gateway.key}")
    after = await gateway.client.get("/v1/models")

    left = [int(response.headers["x-ratelimit-remaining-requests"]) for response in (before, after)]
    assert left[0] - left[1] == 1


@listed
@pytest.mark.parametrize("requested", ["x" * 5000, "x-a: 1"])
async def test_what_is_no_list_of_header_names_is_not_echoed(gateway: Gateway, requested: str) -> None:
    asked = {"origin": APP, "access-control-request-method": "POST", "access-control-request-headers": requested}

    response = await gateway.client.options("/v1/chat/completions", headers=asked)

    assert "access-control-allow-headers" not in response.headers


def assert_readable(response: httpx.Response) -> None:
    assert response.headers.get_list("access-control-allow-origin") == [APP]
    assert response.headers["access-control-expose-headers"] == ", ".join(EXPOSED_HEADERS)
    cors = {name for name in response.headers if name.startswith("access-control-")}
    hidden = set(response.headers) - cors - set(EXPOSED_HEADERS) - SHOWN_TO_ALL
    assert hidden <= {"vary", "transfer-encoding", "x-accel-buffering", "connection", "server"}
