"""Stored responses by the official SDK: a second turn, references, reading, deleting, on both kinds of stores."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import openai
import pytest
from openai import AsyncOpenAI

from obscura.auth.base import KeyScope
from obscura.moderation.demo import MARKER_WORD
from tests.support.access_control import FixedClock
from tests.support.fake_upstream import CHUNKS, answers, in_turn, streams
from tests.support.gateway import Gateway, running_gateway
from tests.support.loopback_server import LoopbackServer, Respond, loopback_server
from tests.support.stores import OpenStores, dynamodb, sqlite_file
from tests.unit.dialects.responses.requests import a_message, text
from tests.unit.imaging.images import a_photograph

each_store = pytest.mark.parametrize("store", [sqlite_file, dynamodb])
ZERO = {"x-zero-retention": "true"}
NATIVE: dict[str, Any] = {
    "id": "resp_upstream",
    "object": "response",
    "created_at": 1,
    "model": "m",
    "status": "completed",
    "store": False,
    "previous_response_id": None,
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "output": [
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "A cat.", "annotations": []}],
        },
    ],
}


@asynccontextmanager
async def serving(
    open_stores: OpenStores, folder: Path, respond: Respond | None = None, **settings: Any
) -> AsyncIterator[tuple[Any, LoopbackServer, Gateway]]:
    """Serve a gateway; its client is Any, since the SDK's types know neither 'store' of a response nor plain items."""
    async with (
        open_stores(folder) as stores,
        loopback_server(respond or answers()) as upstream,
        running_gateway(
            stores=stores, folder=folder, upstream_url=upstream.v1, **({"store_responses": True} | settings)
        ) as gateway,
        AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as client,
    ):
        yield client, upstream, gateway


def an_image() -> dict[str, Any]:
    image = base64.b64encode(a_photograph(60, 40, "JPEG")).decode()
    return {"type": "input_image", "image_url": f"data:image/jpeg;base64,{image}"}


@each_store
async def test_a_second_turn_has_the_first_with_its_image(store: OpenStores, tmp_path: Path) -> None:
    async with serving(store, tmp_path) as (client, upstream, _):
        first = await client.responses.create(model="m", input=[a_message(text("What is this?"), an_image())])
        second = await client.responses.create(model="m", input="Which colour?", previous_response_id=first.id)
        third = await client.responses.create(model="m", input="Sure?", previous_response_id=second.id)
        listed = await client.responses.input_items.list(second.id, order="asc")
        files = [file async for file in client.files.list()]

    assert (first.store, second.previous_response_id, third.previous_response_id) == (True, first.id, second.id)
    sent = upstream.received[1].json()["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "user"]
    assert sent[0]["content"][1]["image_url"]["url"].startswith("data:image/jpeg;base64,")
    assert sent[1]["content"] == "A cat." or sent[1]["content"][0]["text"] == "A cat."
    assert len(upstream.received[2].json()["messages"]) == 5
    assert all("store" not in request.json() for request in upstream.received)
    assert [file.purpose for file in files] == ["vision"]
    first_item = listed.data[0].to_dict()
    assert first_item["content"][1] == {"type": "input_image", "file_id": files[0].id}
    assert [item.role for item in listed.data] == ["user", "assistant", "user"]


@each_store
async def test_items_are_named_by_reference(store: OpenStores, tmp_path: Path) -> None:
    async with serving(store, tmp_path) as (client, upstream, _):
        first = await client.responses.create(model="m", input="Hi")
        reference = {"type": "item_reference", "id": first.output[0].id}
        await client.responses.create(model="m", input=[a_message(text("Hi")), reference, a_message(text("And?"))])
        with pytest.raises(openai.NotFoundError) as missing:
            await client.responses.create(
                model="m", input=[a_message(text("x")), {"type": "item_reference", "id": "msg_no"}]
            )

    assert [message["role"] for message in upstream.received[1].json()["messages"]] == ["user", "assistant", "user"]
    assert (missing.value.code, missing.value.param) == ("response_not_found", "input[1].id")


@each_store
async def test_a_response_is_read_and_deleted_with_its_image(store: OpenStores, tmp_path: Path) -> None:
    async with serving(store, tmp_path) as (client, _, _):
        made = await client.responses.create(model="m", input=[a_message(an_image())])
        read = await client.responses.retrieve(made.id)
        with pytest.raises(openai.BadRequestError) as ended:
            await client.responses.cancel(made.id)
        await client.responses.delete(made.id)
        with pytest.raises(openai.NotFoundError) as gone:
            await client.responses.retrieve(made.id)
        with pytest.raises(openai.NotFoundError) as again:
            await client.responses.create(model="m", input="x", previous_response_id=made.id)
        files = [file async for file in client.files.list()]

    assert read.to_dict() == made.to_dict()
    assert ended.value.code == "unsupported_operation"
    assert gone.value.code == "response_not_found"
    assert (again.value.code, again.value.param) == ("response_not_found", "previous_response_id")
    assert files == []


@each_store
async def test_another_project_finds_nothing(store: OpenStores, tmp_path: Path) -> None:
    async with serving(store, tmp_path) as (client, _, gateway):
        made = await client.responses.create(model="m", input="Hi")
        item = {"type": "item_reference", "id": made.output[0].id}
        headers = await gateway.headers_of("another")
        key = headers["authorization"].removeprefix("Bearer ")
        async with AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=key, max_retries=0) as other:
            for call in (
                other.responses.retrieve(made.id),
                other.responses.delete(made.id),
                other.responses.input_items.list(made.id),
                other.responses.cancel(made.id),
                other.responses.create(model="m", input="x", previous_response_id=made.id),
                other.responses.create(model="m", input=cast(Any, [item])),
            ):
                with pytest.raises(openai.NotFoundError) as refused:
                    await call
                assert refused.value.code == "response_not_found"

        assert (await client.responses.retrieve(made.id)).id == made.id


@each_store
async def test_a_stream_is_stored_before_its_end_is_sent(store: OpenStores, tmp_path: Path) -> None:
    async with serving(store, tmp_path, in_turn(streams(), answers())) as (client, upstream, _):
        last = None
        async for event in await client.responses.create(model="m", input=[a_message(an_image())], stream=True):
            if event.type == "response.completed":
                last = event.response
        assert last is not None
        read = await client.responses.retrieve(last.id)
        await client.responses.create(model="m", input="And?", previous_response_id=last.id)

    assert last.store is True
    assert read.output_text == last.output_text == "A cat."
    assert len(upstream.received[1].json()["messages"]) == 3


async def test_a_stream_that_breaks_stores_nothing(tmp_path: Path) -> None:
    async with serving(sqlite_file, tmp_path, streams(*CHUNKS[:2], then="breaks")) as (client, _, _):
        failed = None
        with pytest.raises(openai.APIError):
            async for event in await client.responses.create(model="m", input=[a_message(an_image())], stream=True):
                failed = event.response if event.type == "response.failed" else failed
        assert failed is not None
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(failed.id)
        files = [file async for file in client.files.list()]

    assert files == []
    assert failed.store is False


@each_store
async def test_a_long_response_is_a_stored_file(store: OpenStores, tmp_path: Path) -> None:
    words = "word " * 100_000
    async with serving(store, tmp_path) as (client, upstream, _):
        first = await client.responses.create(model="m", input=words)
        await client.responses.create(model="m", input="And?", previous_response_id=first.id)
        files = [file async for file in client.files.list()]
        await client.responses.delete(first.id)
        left = [file async for file in client.files.list()]

    assert first.store is True
    assert upstream.received[1].json()["messages"][0]["content"] == words
    assert f"{first.id}.json" in {file.filename for file in files}
    assert f"{first.id}.json" not in {file.filename for file in left}


async def test_a_native_upstream_keeps_nothing_and_gets_the_conversation(tmp_path: Path) -> None:
    dialects = frozenset({"chat", "responses"})
    async with serving(sqlite_file, tmp_path, answers(NATIVE), upstream_dialects=dialects) as (client, upstream, _):
        first = await client.responses.create(model="m", input="Hi")
        await client.responses.create(model="m", input="And?", previous_response_id=first.id)

    bodies = [request.json() for request in upstream.received]
    assert [body["store"] for body in bodies] == [False, False]
    assert "previous_response_id" not in bodies[1]
    assert [item.get("role") for item in bodies[1]["input"]] == ["user", "assistant", "user"]


async def test_zero_retention_stores_nothing_and_uses_nothing(tmp_path: Path) -> None:
    async with serving(sqlite_file, tmp_path) as (client, _, _):
        kept = await client.responses.create(model="m", input="Hi")
        unkept = await client.responses.create(model="m", input="Hi", extra_headers=ZERO)
        refused = []
        for call in (
            client.responses.create(model="m", input="x", previous_response_id=kept.id, extra_headers=ZERO),
            client.responses.create(model="m", input="x", store=True, extra_headers=ZERO),
            client.responses.retrieve(kept.id, extra_headers=ZERO),
        ):
            with pytest.raises(openai.BadRequestError) as conflict:
                await call
            refused.append(conflict.value.code)
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(unkept.id)

    assert unkept.store is False
    assert refused == ["retention_conflict"] * 3


async def test_store_false_stores_nothing(tmp_path: Path) -> None:
    async with serving(sqlite_file, tmp_path) as (client, _, _):
        made = await client.responses.create(model="m", input="Hi", store=False)
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(made.id)

    assert made.store is False


async def test_off_every_use_is_a_400_that_names_the_setting(tmp_path: Path) -> None:
    async with serving(sqlite_file, tmp_path, store_responses=False) as (client, upstream, _):
        item = {"type": "item_reference", "id": "msg_1"}
        for call in (
            client.responses.create(model="m", input="x", previous_response_id="resp_1"),
            client.responses.create(model="m", input=[item]),
            client.responses.retrieve("resp_1"),
            client.responses.delete("resp_1"),
        ):
            with pytest.raises(openai.BadRequestError) as refused:
                await call
            assert "OBSCURA_STORE_RESPONSES" in str(refused.value)
            assert "store: false" in str(refused.value)
        with pytest.raises(openai.NotFoundError) as unknown:
            await client.responses.cancel("resp_1")

    assert unknown.value.code == "not_found"
    assert upstream.received == []


async def test_errors_name_the_path_of_the_callers_own_body(tmp_path: Path) -> None:
    async with serving(sqlite_file, tmp_path) as (client, _, _):
        first = await client.responses.create(model="m", input="Hi")
        bad = [a_message({"type": "input_image", "image_url": "data:image/png;base64,AAAA"})]
        with pytest.raises(openai.BadRequestError) as refused:
            await client.responses.create(model="m", input=bad, previous_response_id=first.id)

    assert refused.value.param == "input[0].content[0].image_url"


async def test_a_key_without_files_continues_a_conversation_with_images(tmp_path: Path) -> None:
    async with serving(sqlite_file, tmp_path) as (_, upstream, gateway):
        headers = await gateway.headers_of("scoped", scopes=frozenset({KeyScope.RESPONSES}))
        key = headers["authorization"].removeprefix("Bearer ")
        async with AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=key, max_retries=0) as client:
            first = await client.responses.create(model="m", input=cast(Any, [a_message(an_image())]))
            await client.responses.create(model="m", input="And?", previous_response_id=first.id)

    assert len(upstream.received[1].json()["messages"]) == 3


async def test_what_is_stored_is_moderated_again(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"moderation": "demo", "cache_verdicts": False}
    async with serving(sqlite_file, tmp_path, moderation="off") as (client, _, _):
        first = await client.responses.create(model="m", input=MARKER_WORD)
    async with serving(sqlite_file, tmp_path, **settings) as (_, upstream, gateway):
        headers = await gateway.headers_of("tests")
        blocked = await gateway.client.post(
            "/v1/responses", json={"model": "m", "input": "And?", "previous_response_id": first.id}, headers=headers
        )

    assert (blocked.status_code, blocked.json()["error"]["code"]) == (400, "moderation_blocked")
    assert upstream.received == []


@each_store
async def test_an_expired_response_is_gone(store: OpenStores, tmp_path: Path) -> None:
    clock = FixedClock()
    begun = clock.at
    async with serving(store, tmp_path, clock=clock, stored_responses_hours=1) as (client, _, _):
        made = await client.responses.create(model="m", input="Hi")
        clock.at = begun + timedelta(minutes=59)
        read = await client.responses.retrieve(made.id)
        clock.at = begun + timedelta(hours=1)
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(made.id)

    assert read.id == made.id
