"""The catalog, of a file or the upstream's own list, and what the models in it accept."""

import time
from pathlib import Path

import pytest

from tests.support.fake_upstream import answers, in_turn
from tests.support.gateway import Gateway, chat_request, image_part, running_gateway, text
from tests.support.image_urls import a_data_url
from tests.support.loopback_server import LoopbackServer, loopback_server

ANTHROPIC = {"anthropic-version": "2023-06-01"}
LISTED = {"object": "list", "data": [{"id": "llava", "object": "model", "created": 1700000000, "owned_by": "vllm"}]}


def a_catalogue(tmp_path: Path, first: str, second: str) -> str:
    path = tmp_path / "models.toml"
    path.write_text(
        f"""
        [[upstreams]]
        name = "first"
        url = "{first}"
        key_env = "FIRST_KEY"

        [[upstreams]]
        name = "second"
        url = "{second}"
        dialects = ["chat", "messages"]
        token_profile = "anthropic"
        timeout_s = 5

        [[models]]
        id = "qwen-vl"
        upstream = "first"
        context_length = 32768

        [[models]]
        id = "qwen-text"
        upstream = "first"
        input = ["text"]

        [[models]]
        id = "tiles/4o"
        upstream = "second"
        token_profile = "openai_tiles"

        [[models]]
        id = "patches/mini"
        upstream = "second"
        token_profile = "openai_patches"
        token_factor = 1.62
        """
    )
    return str(path)


async def test_without_a_file_the_upstreams_list_is_returned_in_either_format(
    upstream: LoopbackServer, gateway: Gateway
) -> None:
    upstream.respond = answers(LISTED)
    openai = (await gateway.client.get("/v1/models")).json()
    anthropic = (await gateway.client.get("/v1/models", headers=ANTHROPIC)).json()
    catalog = (await gateway.client.get("/api/models", params={"modality": "image"})).json()

    assert openai == LISTED
    assert anthropic == {
        "data": [{"type": "model", "id": "llava", "display_name": "llava", "created_at": "2023-11-14T22:13:20Z"}],
        "has_more": False,
        "first_id": "llava",
        "last_id": "llava",
    }
    assert catalog["data"][0]["detail_limits"] == {"low": 768, "auto": 1280, "high": 2048}
    assert upstream.received[0].path == "/v1/models"
    assert len(upstream.received) == 1


@pytest.mark.parametrize("headers", [{}, ANTHROPIC], ids=["openai", "anthropic"])
async def test_without_a_file_one_model_is_returned_as_in_the_list(
    headers: dict, upstream: LoopbackServer, gateway: Gateway
) -> None:
    upstream.respond = answers(LISTED)
    (listed,) = (await gateway.client.get("/v1/models", headers=headers)).json()["data"]
    one = await gateway.client.get("/v1/models/llava", headers=headers)

    assert one.json() == listed


@pytest.mark.parametrize("model_id", ["llava-2", "%ff%fe", "a" * 5000], ids=lambda model_id: model_id[:9])
async def test_without_a_file_a_model_that_is_not_listed_is_not_found(
    model_id: str, upstream: LoopbackServer, gateway: Gateway
) -> None:
    upstream.respond = answers(LISTED)
    response = await gateway.client.get(f"/v1/models/{model_id}")

    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (404, "model_not_found", "model")
    assert "llava" in error["message"]


async def test_an_upstream_without_a_list_is_reported(upstream: LoopbackServer, gateway: Gateway) -> None:
    upstream.respond = answers({}, 404)
    response = await gateway.client.get("/v1/models")

    assert (response.status_code, response.json()["error"]["code"]) == (502, "upstream_error")


async def test_the_lists_need_a_key(demo_gateway: Gateway) -> None:
    response = await demo_gateway.client.get("/v1/models", headers={"authorization": "Bearer obs_wrong"})

    assert (response.status_code, response.json()["error"]["code"]) == (401, "invalid_api_key")
    assert "x-request-id" in response.headers


async def test_a_file_sends_each_model_to_its_upstream_with_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRST_KEY", "sk-first")
    async with loopback_server(answers()) as first, loopback_server(answers()) as second:
        async with running_gateway(models=a_catalogue(tmp_path, first.v1, second.v1)) as gateway:
            to_first = await gateway.chat(chat_request("hi") | {"model": "qwen-vl"})
            to_second = await gateway.chat(chat_request("hi") | {"model": "tiles/4o"})

            assert (to_first.status_code, to_second.status_code) == (200, 200)
            assert first.received[0].headers["authorization"] == "Bearer sk-first"
            assert first.received[0].json()["model"] == "qwen-vl"
            assert "authorization" not in second.received[0].headers


async def test_each_models_images_are_counted_by_its_token_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRST_KEY", "k")
    async with loopback_server(answers()) as upstream:
        async with running_gateway(models=a_catalogue(tmp_path, upstream.v1, upstream.v1)) as gateway:
            parts = (text("look"), image_part(a_data_url(1280, 1280)))
            qwen = await gateway.chat(chat_request(*parts) | {"model": "qwen-vl"})
            tiles = await gateway.chat(chat_request(*parts) | {"model": "tiles/4o"})
            patches = await gateway.chat(chat_request(*parts) | {"model": "patches/mini"})

            assert qwen.headers["x-image-tokens"] == "2116"
            assert tiles.headers["x-image-tokens"] == "765"
            assert patches.headers["x-image-tokens"] == "2465"  # 39 x 39 patches, times 1.62


async def test_an_unknown_model_is_rejected_with_near_matches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRST_KEY", "k")
    async with loopback_server(answers()) as upstream:
        async with running_gateway(models=a_catalogue(tmp_path, upstream.v1, upstream.v1)) as gateway:
            response = await gateway.chat(chat_request("hi") | {"model": "qwen-v1"})
            listed = await gateway.client.get("/v1/models/qwen-v1")

            for rejected in (response, listed):
                error = rejected.json()["error"]
                assert (rejected.status_code, error["code"], error["param"]) == (404, "model_not_found", "model")
                assert "qwen-vl" in error["message"]
            assert upstream.received == []


async def test_a_model_id_as_long_as_a_body_delays_no_other_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRST_KEY", "k")
    async with running_gateway(
        models=a_catalogue(tmp_path, "http://127.0.0.1:9/v1", "http://127.0.0.1:9/v1")
    ) as gateway:
        began_s = time.thread_time()  # the loop's own CPU, of which a busy machine takes no more
        response = await gateway.chat(chat_request("hi") | {"model": "qwen" * 5_000_000})

        assert (response.status_code, response.json()["error"]["code"]) == (400, "unsupported_operation")
        assert time.thread_time() - began_s < 0.5


async def test_an_image_for_a_text_model_is_rejected_with_models_that_see(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRST_KEY", "k")
    async with loopback_server(answers()) as upstream:
        async with running_gateway(models=a_catalogue(tmp_path, upstream.v1, upstream.v1)) as gateway:
            response = await gateway.chat(
                chat_request(text("look"), image_part(a_data_url(8, 8))) | {"model": "qwen-text"}
            )

            error = response.json()["error"]
            assert (response.status_code, error["code"]) == (400, "unsupported_operation")
            assert error["param"] == "messages[0].content[1].image_url.url"
            assert "qwen-vl, tiles/4o" in error["message"]


async def test_a_model_with_a_slash_in_its_id_is_found_and_the_list_is_filtered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRST_KEY", "k")
    async with running_gateway(
        models=a_catalogue(tmp_path, "http://127.0.0.1:9/v1", "http://127.0.0.1:9/v1")
    ) as gateway:
        one = (await gateway.client.get("/v1/models/tiles/4o")).json()
        encoded = (await gateway.client.get("/v1/models/tiles%2F4o")).json()  # as OpenAI's SDK writes it
        seeing = (await gateway.client.get("/api/models", params={"modality": "image"})).json()["data"]

        assert one == encoded == {"id": "tiles/4o", "object": "model", "created": 0, "owned_by": "obscura"}
        assert [model["id"] for model in seeing] == ["qwen-vl", "tiles/4o", "patches/mini"]
        assert seeing[0]["context_length"] == 32768
        assert seeing[1]["dialects"] == ["chat", "messages"]


async def test_the_list_of_models_is_cached() -> None:
    respond = in_turn(answers(LISTED), answers({"data": []}))
    async with loopback_server(respond) as upstream, running_gateway(upstream_url=upstream.v1) as gateway:
        for _ in range(3):
            assert (await gateway.client.get("/v1/models")).json() == LISTED

        assert len(upstream.received) == 1


@pytest.mark.parametrize("version", [{}, ANTHROPIC], ids=["openai", "anthropic"])
async def test_the_demo_lists_its_one_model(version: dict, demo_gateway: Gateway) -> None:
    response = (await demo_gateway.client.get("/v1/models", headers=version)).json()

    assert [model["id"] for model in response["data"]] == ["obscura-demo"]
