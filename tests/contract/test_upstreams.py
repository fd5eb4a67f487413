"""What every kind of upstream does for every caller, served: the same answers, streams, errors and endings."""

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from obscura.upstreams.registry import UPSTREAM_KINDS
from tests.support.bedrock import CREDENTIALS
from tests.support.gateway import Gateway, running_gateway
from tests.support.loopback_server import LoopbackServer
from tests.support.upstream_kinds import PAIRS, Call, Caller, Kind

CALLS: list[Call] = [("call_1", "weather", {"town": "Köln"}), ("call_2", "weather", {"town": "Oslo"})]


@pytest.fixture(autouse=True)
def aws_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(params=PAIRS, ids=lambda pair: f"{pair[0].name}-{pair[1].name}")
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[Kind, Caller]]:
    yield request.param


@pytest.fixture
def kind(pair: tuple[Kind, Caller]) -> Kind:
    return pair[0]


@pytest.fixture
def caller(pair: tuple[Kind, Caller]) -> Caller:
    return pair[1]


@pytest.fixture
async def gateway(kind: Kind, upstream: LoopbackServer, tmp_path: Path) -> AsyncIterator[Gateway]:
    path = tmp_path / "models.toml"
    path.write_text(kind.catalog(upstream.origin))
    async with running_gateway(models=path) as served:
        yield served


async def post(gateway: Gateway, caller: Caller, *args: Any, **more: Any) -> httpx.Response:
    return await gateway.client.post(caller.path, json=caller.body(*args, **more))


def an_image(colour: str) -> bytes:
    target = BytesIO()
    Image.new("RGB", (32, 24), colour).save(target, "PNG")
    return target.getvalue()


def test_every_registered_kind_is_held_to_the_contract() -> None:
    assert {kind.name.partition(" ")[0] for kind, _ in PAIRS} == set(UPSTREAM_KINDS)


@pytest.mark.parametrize("stop", ["stop", "length", "filter"])
async def test_text(gateway: Gateway, upstream: LoopbackServer, kind: Kind, caller: Caller, stop: str) -> None:
    upstream.respond = kind.whole('A "cat"; ünïcode \U0001f431.', stop)

    response = await post(gateway, caller, "What is it?")

    assert response.status_code == 200, response.text
    assert caller.read(response.json()) == ('A "cat"; ünïcode \U0001f431.', [], stop)
    assert b"What is it?" in upstream.received[0].body


@pytest.mark.parametrize("count", [1, 3])
async def test_images_arrive_as_they_were_prepared_and_in_order(
    gateway: Gateway, upstream: LoopbackServer, kind: Kind, caller: Caller, count: int
) -> None:
    upstream.respond = kind.whole("Colours.", "stop")
    images = [an_image(colour) for colour in ("red", "green", "blue")[:count]]

    response = await post(gateway, caller, "Which colours?", *images)

    assert response.status_code == 200, response.text
    assert [base64.b64decode(data) for data in kind.images(upstream.received[0])] == images
    assert response.headers["x-image-tokens"].count(",") == count - 1


@pytest.mark.parametrize("count", [1, 2])
async def test_calls_of_tools(
    gateway: Gateway, upstream: LoopbackServer, kind: Kind, caller: Caller, count: int
) -> None:
    upstream.respond = kind.calls(CALLS[:count])

    response = await post(gateway, caller, "The weather?", tools=True)

    assert response.status_code == 200, response.text
    assert caller.read(response.json()) == ("", CALLS[:count], "tools")


@pytest.mark.parametrize("stop", ["stop", "length", "filter"])
async def test_a_stream(gateway: Gateway, upstream: LoopbackServer, kind: Kind, caller: Caller, stop: str) -> None:
    upstream.respond = kind.stream(("A ", "ca", "t \U0001f431."), stop, "ends")

    response = await post(gateway, caller, "What is it?", stream=True)

    assert response.headers["content-type"].startswith("text/event-stream"), response.text
    assert caller.read_stream(response.text) == ("A cat \U0001f431.", [], stop)


@pytest.mark.parametrize("count", [1, 2])
async def test_a_stream_of_calls(
    gateway: Gateway, upstream: LoopbackServer, kind: Kind, caller: Caller, count: int
) -> None:
    upstream.respond = kind.call_stream(CALLS[:count])

    response = await post(gateway, caller, "The weather?", tools=True, stream=True)

    assert caller.read_stream(response.text) == ("", CALLS[:count], "tools")


@pytest.mark.parametrize(
    ("status", "expected", "code"),
    [
        (400, 400, "invalid_request"),
        (403, 502, "upstream_error"),
        (429, 429, "rate_limit_exceeded"),
        (500, 502, "upstream_error"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_errors(
    gateway: Gateway,
    upstream: LoopbackServer,
    kind: Kind,
    caller: Caller,
    status: int,
    expected: int,
    code: str,
    stream: bool,
) -> None:
    upstream.respond = kind.fails(status)

    response = await post(gateway, caller, "What is it?", stream=stream)

    assert (response.status_code, response.json()["error"]["code"]) == (expected, code)
    assert ("retry-after" in response.headers) == (status == 429)


@pytest.mark.parametrize("then", ["ends", "breaks"])
async def test_a_cut_stream_ends_in_an_error_after_what_had_come(
    gateway: Gateway, upstream: LoopbackServer, kind: Kind, caller: Caller, then: str
) -> None:
    upstream.respond = kind.stream(("A cat", " is"), "", then)

    response = await post(gateway, caller, "What is it?", stream=True)

    assert response.status_code == 200
    assert " is" in response.text and '"error"' in response.text
    assert "[DONE]" not in response.text and "message_stop" not in response.text


async def test_a_caller_who_leaves_ends_the_call(
    gateway: Gateway, upstream: LoopbackServer, kind: Kind, caller: Caller
) -> None:
    upstream.respond = kind.stream(("A cat",), "", "stays silent")

    body = caller.body("What is it?", stream=True)
    async with gateway.client.stream("POST", caller.path, json=body) as response:
        chunks = response.aiter_bytes()
        seen = b""
        while b"A cat" not in seen:
            seen += await anext(chunks)

    with suppress(TimeoutError):
        await asyncio.wait_for(upstream.received[0].caller_left.wait(), 2)
    assert upstream.received[0].caller_left.is_set()
