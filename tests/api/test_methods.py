"""Methods and paths as HTTP has them: Allow, OPTIONS, HEAD, and the slash at a path's end."""

import pytest

from tests.support.gateway import Gateway

POST = "POST"
READ = "GET, HEAD"
ALLOWED = {
    "/v1/chat/completions": POST,
    "/v1/messages": POST,
    "/v1/messages/count_tokens": POST,
    "/responses": POST,
    "/v1/files": "GET, HEAD, POST",
    "/files/file_1": "DELETE, GET, HEAD",
    "/v1/files/file_1/content": READ,
    "/v1/uploads/upload_1/parts": POST,
    "/v1/models": READ,
    "/v1/models/a/b": READ,
    "/api/models": READ,
    "/healthz": READ,
    "/openapi.json": READ,
}


@pytest.mark.parametrize("path", ALLOWED)
async def test_a_method_not_allowed_lists_every_one_that_is(path: str, demo_gateway: Gateway) -> None:
    response = await demo_gateway.client.patch(path)

    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (405, "method_not_allowed")
    assert response.headers["allow"] == ALLOWED[path]
    assert ALLOWED[path] in error["message"]


@pytest.mark.parametrize("path", ALLOWED)
async def test_options_is_answered_without_credentials(path: str, demo_gateway: Gateway) -> None:
    response = await demo_gateway.client.options(path, headers={"authorization": ""})

    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["allow"] == ALLOWED[path]
    assert response.headers["x-request-id"].startswith("req_")


async def test_options_of_a_path_that_is_not_served_is_a_404(demo_gateway: Gateway) -> None:
    assert (await demo_gateway.client.options("/nowhere")).status_code == 404


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/obscura-demo", "/v1/files", "/healthz", "/openapi.json"])
async def test_head_is_get_without_its_content(path: str, demo_gateway: Gateway) -> None:
    got, head = await demo_gateway.client.get(path), await demo_gateway.client.head(path)

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == got.headers["content-length"]
    assert head.headers["content-type"] == got.headers["content-type"]


async def test_head_needs_what_get_needs(demo_gateway: Gateway) -> None:
    response = await demo_gateway.client.head("/v1/models", headers={"authorization": ""})

    assert response.status_code == 401
    assert (await demo_gateway.client.head("/v1/messages")).status_code == 405


@pytest.mark.parametrize("path", [*ALLOWED, "/v1/models/obscura-demo"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
async def test_a_slash_at_the_end_is_a_404_everywhere(method: str, path: str, demo_gateway: Gateway) -> None:
    response = await demo_gateway.client.request(method, f"{path}/")

    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (404, "not_found")
    assert "slash" in error["message"]
