"""PDFs in every dialect and every form: the model gets each page as an image and a text, and both were moderated."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.fake_upstream import answers
from tests.support.gateway import Gateway, running_gateway
from tests.support.image_urls import a_data_url
from tests.support.json_texts import data_urls_in
from tests.support.loopback_server import LoopbackServer, Received, Wire, loopback_server
from tests.support.pdfs import a_pdf

CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
PAGES = ("Alpha on the first page", "Beta on the second page")
PDF = a_pdf(list(PAGES))
BASE64 = base64.b64encode(PDF).decode()
DATA_URL = f"data:application/pdf;base64,{BASE64}"
SAY = {"type": "text", "text": "What does it say?"}


def chat(part: dict[str, Any]) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": [SAY, part, {"type": "text", "text": "End."}]}]}


def message(block: dict[str, Any]) -> dict[str, Any]:
    content = [SAY, block, {"type": "text", "text": "End."}]
    return {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": content}]}


def response(part: dict[str, Any]) -> dict[str, Any]:
    say = {"type": "input_text", "text": "What does it say?"}
    return {"model": "m", "input": [{"role": "user", "content": [say, part, {"type": "input_text", "text": "End."}]}]}


def tool_result(block: dict[str, Any]) -> dict[str, Any]:
    call = {"type": "tool_use", "id": "c", "name": "read", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "c", "content": [block]}
    messages = [
        {"role": "user", "content": "Read it"},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result]},
    ]
    return {"model": "m", "max_tokens": 9, "messages": messages}


def function_output(part: dict[str, Any]) -> dict[str, Any]:
    call = {"type": "function_call", "call_id": "c", "name": "read", "arguments": "{}"}
    return {"model": "m", "input": [call, {"type": "function_call_output", "call_id": "c", "output": [part]}]}


INLINE: dict[str, tuple[str, dict[str, Any]]] = {
    "chat file": (CHAT, chat({"type": "file", "file": {"file_data": DATA_URL, "filename": "plan.pdf"}})),
    "chat file, bare base64": (CHAT, chat({"type": "file", "file": {"file_data": BASE64, "filename": "plan.pdf"}})),
    "chat input_file": (CHAT, chat({"type": "input_file", "input_file": {"file_data": BASE64}})),
    "a lie about the type": (CHAT, chat({"type": "file", "file": {"file_data": f"data:text/plain;base64,{BASE64}"}})),
    "responses": (RESPONSES, response({"type": "input_file", "file_data": DATA_URL, "filename": "plan.pdf"})),
    "responses, nested": (RESPONSES, response({"type": "input_file", "input_file": {"file_data": BASE64}})),
    "responses, output": (RESPONSES, function_output({"type": "input_file", "file_data": DATA_URL})),
    "messages": (
        MESSAGES,
        message(
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": BASE64},
                "title": "The plan",
                "context": "It is from May.",
                "cache_control": {"type": "ephemeral"},
            }
        ),
    ),
    "messages, tool result": (
        MESSAGES,
        tool_result({"type": "document", "source": {"type": "base64", "media_type": "text/plain", "data": BASE64}}),
    ),
}
NATIVE = {CHAT: (), MESSAGES: ("chat", "messages"), RESPONSES: ("chat", "responses")}


def assert_both_pages_were_sent(sent: bytes, tokens: str) -> None:
    body = json.loads(sent)
    images = len(data_urls_in(sent)) or sent.count(b'"base64"')
    assert images == len(tokens.split(",")) == 2
    text = json.dumps(body)
    assert text.index(PAGES[0]) < text.index(PAGES[1])
    assert BASE64[:400] not in text
    assert b"application/pdf" not in sent


@pytest.mark.parametrize("native", [False, True], ids=["over chat", "native"])
@pytest.mark.parametrize("form", INLINE)
async def test_a_pdf_is_sent_as_its_pages(form: str, native: bool, upstream: LoopbackServer) -> None:
    path, request = INLINE[form]
    dialects = NATIVE[path] if native else ()
    async with running_gateway(upstream_url=upstream.v1, upstream_dialects=dialects or ("chat",)) as gateway:
        answer = await gateway.client.post(path, json=request)

    assert len(upstream.received) == 1, answer.text
    assert_both_pages_were_sent(upstream.received[0].body, answer.headers.get("x-image-tokens", "1,2"))


EACH_FILE: dict[str, tuple[str, Callable[[str], dict[str, Any]]]] = {
    "chat file": (CHAT, lambda id_: chat({"type": "file", "file": {"file_id": id_}})),
    "chat input_file": (
        CHAT,
        lambda id_: chat({"type": "input_file", "input_file": {"file_id": id_, "mime_type": "application/pdf"}}),
    ),
    "responses": (RESPONSES, lambda id_: response({"type": "input_file", "file_id": id_})),
    "responses, nested": (RESPONSES, lambda id_: response({"type": "input_file", "input_file": {"file_id": id_}})),
    "messages": (MESSAGES, lambda id_: message({"type": "document", "source": {"type": "file", "file_id": id_}})),
}


@pytest.mark.parametrize("form", EACH_FILE)
async def test_a_stored_pdf_is_sent_as_its_pages(form: str, upstream: LoopbackServer, gateway: Gateway) -> None:
    path, request = EACH_FILE[form]
    stored = await gateway.client.post("/v1/files", files={"file": ("plan.pdf", PDF, "application/pdf")})

    answer = await gateway.client.post(path, json=request(stored.json()["id"]))

    assert answer.status_code == 200, answer.text
    assert_both_pages_were_sent(upstream.received[0].body, answer.headers["x-image-tokens"])


@pytest.mark.parametrize("form", EACH_FILE)
async def test_an_unknown_file_is_not_found(form: str, upstream: LoopbackServer, gateway: Gateway) -> None:
    path, request = EACH_FILE[form]
    for file_id in (f"file_{'0' * 36}", "file-abc123"):
        answer = await gateway.client.post(path, json=request(file_id))

        assert answer.status_code == 404, answer.text
        assert "file_not_found" in answer.text
    assert upstream.received == []


URLS: dict[str, tuple[str, Callable[[str], dict[str, Any]]]] = {
    "chat": (CHAT, lambda url: chat({"type": "file", "file": {"file_url": url}})),
    "responses": (RESPONSES, lambda url: response({"type": "input_file", "file_url": url})),
    "messages": (MESSAGES, lambda url: message({"type": "document", "source": {"type": "url", "url": url}})),
}


@pytest.mark.parametrize("form", URLS)
async def test_a_pdf_by_url_is_fetched_by_the_guard(form: str) -> None:
    path, request = URLS[form]

    async def respond(received: Received, wire: Wire) -> None:
        if received.method == "GET":
            await wire.answer(200, PDF, "application/octet-stream")
        else:
            await answers()(received, wire)

    async with loopback_server(respond) as outside:
        async with running_gateway(upstream_url=outside.v1, fetch_allow=(outside.origin,)) as gateway:
            answer = await gateway.client.post(path, json=request(f"{outside.origin}/plan"))
            refused = await gateway.client.post(path, json=request("https://127.0.0.1/plan.pdf"))

    assert answer.status_code == 200, answer.text
    assert_both_pages_were_sent(outside.received[1].body, answer.headers["x-image-tokens"])
    assert (refused.status_code, "unsafe_image_url" in refused.text) == (400, True)


@pytest.mark.parametrize("form", ["chat file", "responses", "messages"])
async def test_the_text_of_a_page_is_moderated(form: str) -> None:
    blocked = base64.b64encode(a_pdf(["fine", "OBSCURA-BLOCK-ME"])).decode()
    path, request = INLINE[form]
    async with running_gateway(moderation="demo") as gateway:
        answer = await gateway.client.post(path, content=json.dumps(request).replace(BASE64, blocked))

    assert (answer.status_code, "moderation_blocked" in answer.text) == (400, True)


async def test_title_and_context_are_moderated_and_sent(upstream: LoopbackServer) -> None:
    path, request = INLINE["messages"]
    async with running_gateway(upstream_url=upstream.v1, moderation="demo") as gateway:
        await gateway.client.post(path, json=request)
        blocked = await gateway.client.post(path, content=json.dumps(request).replace("from May", "OBSCURA-BLOCK-ME"))

    sent = upstream.received[0].body.decode()
    assert ("The plan (page 1 of 2)" in sent, "It is from May." in sent) == (True, True)
    assert (blocked.status_code, "moderation_blocked" in blocked.text) == (400, True)
    assert len(upstream.received) == 1


async def test_a_pdf_that_is_to_be_cited_is_refused(gateway: Gateway) -> None:
    block = {
        "type": "document",
        "source": {"type": "base64", "media_type": "application/pdf", "data": BASE64},
        "citations": {"enabled": True},
    }

    answer = await gateway.client.post(MESSAGES, json=message(block))

    assert answer.status_code == 400
    assert "messages[0].content[1].citations.enabled" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "source",
    [
        {"type": "text", "media_type": "text/plain", "data": "Only words."},
        {"type": "content", "content": "Only words."},
        {"type": "content", "content": [{"type": "text", "text": "Only words."}]},
    ],
    ids=["text", "content", "blocks"],
)
async def test_a_document_of_text_is_text_for_a_chat_model(
    source: dict[str, Any], upstream: LoopbackServer, gateway: Gateway
) -> None:
    answer = await gateway.client.post(MESSAGES, json=message({"type": "document", "source": source, "title": "T"}))

    assert answer.status_code == 200, answer.text
    assert "Only words." in json.dumps(upstream.received[0].json()["messages"])


async def test_images_and_pages_are_counted_in_request_order(upstream: LoopbackServer, gateway: Gateway) -> None:
    image = {"type": "image_url", "image_url": {"url": a_data_url(8, 8)}}
    request = {
        "model": "m",
        "messages": [{"role": "user", "content": [image, {"type": "file", "file": {"file_data": DATA_URL}}, image]}],
    }

    answer = await gateway.client.post(CHAT, json=request)

    tokens = answer.headers["x-image-tokens"].split(",")
    assert (len(tokens), tokens[0], tokens[3]) == (4, "4", "4")
    assert int(tokens[1]) > 1000
    kinds = [part["type"] for part in upstream.received[0].json()["messages"][0]["content"]]
    assert kinds == ["image_url", "text", "image_url", "text", "image_url", "image_url"]
