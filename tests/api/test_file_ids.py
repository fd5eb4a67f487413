"""Stored images in requests: every dialect, and every form in which it has a file id."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_upstream import answers, streams
from tests.support.gateway import Gateway, chat_request, image_part, running_gateway, text
from tests.support.image_urls import data_url, image_in
from tests.support.json_texts import data_urls_in
from tests.support.loopback_server import LoopbackServer, loopback_server
from tests.unit.imaging.images import a_photograph, opened

PHOTO = a_photograph(2400, 1800, "JPEG")
CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"


async def stored(gateway: Gateway, content: bytes = PHOTO) -> str:
    response = await gateway.client.post("/v1/files", files={"file": ("a.jpg", content)})
    file_id: str = response.json()["id"]
    return file_id


def chat(part: dict[str, Any]) -> dict[str, Any]:
    return chat_request(text("What is it?"), part)


def message(source: dict[str, Any]) -> dict[str, Any]:
    content = [{"type": "image", "source": source}]
    return {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": content}]}


def response(part: dict[str, Any]) -> dict[str, Any]:
    return {"model": "m", "input": [{"role": "user", "content": [part]}]}


EACH_FORM: dict[str, tuple[str, Callable[[str], dict[str, Any]]]] = {
    "chat image_url": (CHAT, lambda file_id: chat({"type": "image_url", "image_url": {"file_id": file_id}})),
    "chat file": (CHAT, lambda file_id: chat({"type": "file", "file": {"file_id": file_id}})),
    "chat input_file": (
        CHAT,
        lambda file_id: chat({"type": "input_file", "file_id": file_id, "mime_type": "image/jpeg"}),
    ),
    "chat input_file, nested": (CHAT, lambda file_id: chat({"type": "input_file", "input_file": {"file_id": file_id}})),
    "chat input_file, nested and declared": (
        CHAT,
        lambda file_id: chat({"type": "input_file", "input_file": {"file_id": file_id, "mime_type": "image/jpeg"}}),
    ),
    "messages": (MESSAGES, lambda file_id: message({"type": "file", "file_id": file_id})),
    "responses input_image": (RESPONSES, lambda file_id: response({"type": "input_image", "file_id": file_id})),
    "responses input_file": (RESPONSES, lambda file_id: response({"type": "input_file", "file_id": file_id})),
    "responses input_file, nested": (
        RESPONSES,
        lambda file_id: response({"type": "input_file", "input_file": {"file_id": file_id}}),
    ),
}
PATHS = {
    "chat image_url": "messages[0].content[1].image_url.file_id",
    "chat file": "messages[0].content[1].file.file_id",
    "chat input_file": "messages[0].content[1].file_id",
    "chat input_file, nested": "messages[0].content[1].input_file.file_id",
    "chat input_file, nested and declared": "messages[0].content[1].input_file.file_id",
    "messages": "messages[0].content[0].source.file_id",
    "responses input_image": "input[0].content[0].file_id",
    "responses input_file": "input[0].content[0].file_id",
    "responses input_file, nested": "input[0].content[0].input_file.file_id",
}


@pytest.mark.parametrize("form", EACH_FORM)
async def test_the_upstream_gets_the_prepared_image_at_every_use(form: str) -> None:
    path, request_with = EACH_FORM[form]
    async with loopback_server(answers()) as upstream, running_gateway(upstream_url=upstream.v1) as gateway:
        file_id = await stored(gateway)

        responses = [await gateway.client.post(path, json=request_with(file_id)) for _ in range(3)]

        assert [response.status_code for response in responses] == [200] * 3
        assert {response.headers["x-image-tokens"] for response in responses} == {"1564"}
        sent = [data_urls_in(request.body) for request in upstream.received]
        assert opened(image_in(sent[0][0])).size == (1280, 960)
        assert sent[0] == sent[1] == sent[2]
        assert file_id.encode() not in upstream.received[0].body


@pytest.mark.parametrize("form", EACH_FORM)
async def test_an_unknown_id_is_rejected_with_its_path(form: str) -> None:
    path, request_with = EACH_FORM[form]
    async with loopback_server(answers()) as upstream, running_gateway(upstream_url=upstream.v1) as gateway:
        response = await gateway.client.post(path, json=request_with("file_" + "0" * 36))

        error = response.json()["error"]
        assert (response.status_code, error["code"], error["param"]) == (404, "file_not_found", PATHS[form])
        assert upstream.received == []


@pytest.mark.parametrize("form", EACH_FORM)
async def test_a_zero_retention_request_cannot_use_a_stored_image(form: str) -> None:
    path, request_with = EACH_FORM[form]
    async with loopback_server(answers()) as upstream, running_gateway(upstream_url=upstream.v1) as gateway:
        file_id = await stored(gateway)

        response = await gateway.client.post(path, json=request_with(file_id), headers={"x-zero-retention": "true"})

        error = response.json()["error"]
        assert (response.status_code, error["code"], error["param"]) == (400, "retention_conflict", PATHS[form])
        assert response.headers["x-zero-retention"] == "true"
        assert upstream.received == []


async def test_a_stored_image_is_prepared_like_one_in_the_request(upstream: LoopbackServer, gateway: Gateway) -> None:
    file_id = await stored(gateway)
    sent = image_part(data_url(PHOTO, "image/jpeg"), detail="high")
    named = {"type": "image_url", "image_url": {"file_id": file_id, "detail": "high"}}

    for part in (sent, named, named):
        await gateway.chat(chat_request(part))

    first, second, third = (data_urls_in(request.body) for request in upstream.received)
    assert first == second == third


async def test_a_prepared_form_of_another_version_is_replaced(upstream: LoopbackServer, gateway: Gateway) -> None:
    file_id = await stored(gateway)
    part = {"type": "image_url", "image_url": {"file_id": file_id}}
    await gateway.chat(chat_request(part))
    blob = gateway.data_dir / "files" / "prepared" / file_id / "auto"
    original = blob.read_bytes()

    older = original.replace(b'"as_of":2', b'"as_of":1', 1)
    on_black = original.replace(b'"flatten_onto":[255,255,255]', b'"flatten_onto":[0,0,0]', 1)
    assert original not in {older, on_black}
    for other in (b"", b"\n", b"{}\n", b"not JSON at all", older, on_black):
        blob.write_bytes(other)
        await gateway.chat(chat_request(part))

        assert blob.read_bytes() == original
    assert len({tuple(data_urls_in(request.body)) for request in upstream.received}) == 1


async def test_tokens_are_counted_by_the_profile_of_each_model(tmp_path: Path) -> None:
    async with loopback_server(answers()) as upstream:
        catalog = tmp_path / "models.toml"
        catalog.write_text(
            f"""
            [[upstreams]]
            name = "it"
            url = "{upstream.v1}"

            [[models]]
            id = "qwen"
            upstream = "it"

            [[models]]
            id = "tiles"
            upstream = "it"
            token_profile = "openai_tiles"
            """
        )
        async with running_gateway(models=catalog) as gateway:
            part = {"type": "image_url", "image_url": {"file_id": await stored(gateway)}}
            responses = [
                await gateway.chat(chat_request(part) | {"model": model}) for model in ("qwen", "tiles", "qwen")
            ]

        assert [response.headers["x-image-tokens"] for response in responses] == ["1564", "765", "1564"]


async def test_a_stream_can_use_a_stored_image(upstream: LoopbackServer, gateway: Gateway) -> None:
    upstream.respond = streams()
    part = {"type": "image_url", "image_url": {"file_id": await stored(gateway)}}

    response = await gateway.chat(chat_request(part, stream=True))

    assert response.status_code == 200
    assert "data: [DONE]" in response.text


PROVIDERS_FILE = {"type": "file", "file": {"file_id": "file-abc123"}}


async def test_a_file_id_of_the_upstream_itself_is_not_found(upstream: LoopbackServer, gateway: Gateway) -> None:
    response = await gateway.chat(chat_request(PROVIDERS_FILE))

    assert (response.status_code, response.json()["error"]["code"]) == (404, "file_not_found")
    assert upstream.received == []


async def test_a_file_of_the_upstream_is_passed_to_a_model_that_the_operator_passes_it_to(
    upstream: LoopbackServer, tmp_path: Path
) -> None:
    catalog = tmp_path / "models.toml"
    catalog.write_text(
        f'[[upstreams]]\nname = "own"\nurl = "{upstream.v1}"\n'
        '[[models]]\nid = "qwen-vl"\nupstream = "own"\npass_types = ["file", "image_embeds"]\naccount_state = true\n'
    )
    embeds = {"type": "image_embeds", "image_embeds": "AAAA"}
    async with running_gateway(models=catalog) as gateway:
        response = await gateway.chat(chat_request(PROVIDERS_FILE, embeds) | {"model": "qwen-vl"})

    assert (response.status_code, response.headers["x-unmoderated"]) == (200, "file,image_embeds")
    assert upstream.received[0].json()["messages"][0]["content"] == [PROVIDERS_FILE, embeds]
