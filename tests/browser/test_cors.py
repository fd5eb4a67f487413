"""Pages of another origin, in a real browser: what a listed one may do, and what one that is not listed may not."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Page

from tests.support.fake_upstream import answers, streams
from tests.support.gateway import Gateway, chat_request, running_gateway
from tests.support.loopback_server import LoopbackServer, loopback_server

BLANK = b'<!doctype html><html lang="en"><title>Another origin</title></html>'
FETCH = """async ([url, key, body]) => {
  try {
    const response = await fetch(url, {method: "POST", credentials: "include", body: JSON.stringify(body),
      headers: {"content-type": "application/json", authorization: `Bearer ${key}`, "x-stainless-lang": "js"}});
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    const pieces = [];
    for (let read = await reader.read(); !read.done; read = await reader.read()) pieces.push(read.value);
    return {status: response.status, text: pieces.join(""), headers: Object.fromEntries(response.headers)};
  } catch (error) {
    return {error: error.name};
  }
}"""


@pytest_asyncio.fixture(loop_scope="session")
async def elsewhere() -> AsyncIterator[LoopbackServer]:
    """A server of blank pages, whose origin is not the gateway's."""
    async with loopback_server(answers(BLANK, content_type="text/html")) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def open_gateway(upstream: LoopbackServer, elsewhere: LoopbackServer) -> AsyncIterator[Gateway]:
    """A gateway that allows the pages of ``elsewhere``, and no body above 2,000 bytes."""
    async with running_gateway(
        upstream_url=upstream.v1, cors_origins=(elsewhere.origin,), max_body_bytes=2000
    ) as served:
        yield served


async def fetched(page: Page, gateway: Gateway, body: dict, key: str | None = None) -> dict:
    return await page.evaluate(FETCH, [f"{gateway.url}/v1/chat/completions", key or gateway.key, body])


async def test_a_listed_page_sends_json_and_reads_the_headers(
    page: Page, open_gateway: Gateway, elsewhere: LoopbackServer
) -> None:
    await page.goto(elsewhere.origin)

    response = await fetched(page, open_gateway, chat_request("Hi"))

    assert response["status"] == 200
    assert "A cat." in response["text"]
    assert response["headers"]["x-request-id"].startswith("req_")
    assert response["headers"]["x-ratelimit-remaining-requests"].isdigit()


async def test_a_listed_page_reads_a_stream(
    page: Page, open_gateway: Gateway, elsewhere: LoopbackServer, upstream: LoopbackServer
) -> None:
    upstream.respond = streams()
    await page.goto(elsewhere.origin)

    response = await fetched(page, open_gateway, chat_request("Hi", stream=True))

    assert response["headers"]["content-type"].startswith("text/event-stream")
    assert response["text"].endswith("data: [DONE]\n\n")


@pytest.mark.parametrize(
    ("words", "key", "status", "code"),
    [("Hi", "obs_no_such_key", 401, "invalid_api_key"), ("x" * 3000, None, 413, "request_too_large")],
)
async def test_a_listed_page_reads_errors(
    page: Page, open_gateway: Gateway, elsewhere: LoopbackServer, words: str, key: str | None, status: int, code: str
) -> None:
    await page.goto(elsewhere.origin)

    response = await fetched(page, open_gateway, chat_request(words), key)

    assert response["status"] == status
    assert f'"code":"{code}"' in response["text"]


async def test_a_page_of_another_origin_sends_nothing_and_reads_nothing(
    page: Page, open_gateway: Gateway, upstream: LoopbackServer
) -> None:
    async with loopback_server(answers(BLANK, content_type="text/html")) as denied:
        await page.goto(denied.origin)

        response = await fetched(page, open_gateway, chat_request("Hi"))

    assert response == {"error": "TypeError"}
    assert upstream.received == []


async def test_any_origin_is_served_without_credentials(
    page: Page, upstream: LoopbackServer, elsewhere: LoopbackServer
) -> None:
    async with running_gateway(upstream_url=upstream.v1, cors_origins=("*",)) as gateway:
        await page.goto(elsewhere.origin)

        with_credentials = await fetched(page, gateway, chat_request("Hi"))
        without = await page.evaluate(
            FETCH.replace('"include"', '"omit"'),
            [f"{gateway.url}/v1/chat/completions", gateway.key, chat_request("Hi")],
        )

    assert with_credentials == {"error": "TypeError"}
    assert without["status"] == 200
