"""Nothing reaches an upstream unseen: a sample of the shapes in process and over sockets; ``report`` has them all."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.security.shapes.gateway_in_process import (
    LANES,
    PATHS,
    Lane,
    Seen,
    gateway_in_process,
    record_moderation,
    upstream_response,
)
from tests.security.shapes.inspector import Finding, inspect
from tests.security.shapes.plants import PHRASE, image
from tests.security.shapes.run import judge, run
from tests.security.shapes.shapes import Shape, sampled
from tests.support.fake_upstream import verdict
from tests.support.gateway import Gateway, running_gateway
from tests.support.loopback_server import LoopbackServer, Received, Wire, loopback_server

SAMPLE, OVER_SOCKETS = 700, 60
EACH_LANE = pytest.mark.parametrize("lane", LANES, ids=lambda lane: lane.name)


@EACH_LANE
async def test_nothing_of_the_sample_reaches_the_upstream_unseen(lane: Lane) -> None:
    tally = await run(lane, sampled(lane.dialect, SAMPLE))

    examples = [f"{count} of {what}: {tally.examples[what][0]}" for what, count in tally.mechanisms.most_common(25)]
    assert not examples, f"{tally.unmoderated} of {tally.shapes}:\n" + "\n".join(examples)
    assert not tally.faults
    assert tally.shapes >= SAMPLE * 9 // 10  # as many shapes of each place, and all of the odd bodies


@asynccontextmanager
async def served(lane: Lane) -> AsyncIterator[tuple[Gateway, LoopbackServer]]:
    """Serve the gateway of a lane over sockets, before one server that moderates, answers, and has an image."""

    async def respond(request: Received, wire: Wire) -> None:
        if request.path.startswith("/image"):
            await wire.answer(200, image("JPEG", 40), "image/jpeg")
        elif request.path.endswith("/moderations"):
            await wire.answer(200, json.dumps(verdict()).encode())
        else:
            answer = upstream_response(request.path, request.body)
            await wire.answer(200, answer.content, answer.headers["content-type"])

    async with (
        loopback_server(respond) as outside,
        running_gateway(
            upstream_url=outside.v1,
            upstream_dialects=frozenset({"chat", lane.upstream_dialect}),
            moderation="openai",
            moderation_url=outside.v1,
            moderation_key="sk-moderation",
            fetch_allow=(outside.origin,),
            cache_verdicts=False,
            upstream_state="allow",
        ) as gateway,
    ):
        yield gateway, outside


async def over_sockets(
    gateway: Gateway, outside: LoopbackServer, lane: Lane, body: bytes
) -> tuple[int, Seen, list[Finding]]:
    """Send one body; return the status, what the servers saw, and the findings."""
    outside.received.clear()
    headers = {"content-type": "application/json"}
    response = await gateway.client.post(PATHS[lane.dialect], content=body, headers=headers)
    seen = Seen()
    for request in outside.received:
        if request.path.endswith("/moderations"):
            record_moderation(seen, request.body)
        elif not request.path.startswith("/image"):
            seen.bodies.append(request.body)
    unmoderated = frozenset(response.headers.get("x-unmoderated", "").replace(" ", "").split(","))
    return response.status_code, seen, inspect(seen.bodies, lane.upstream_dialect, seen, unmoderated)


@EACH_LANE
async def test_over_sockets_everything_is_as_in_process(lane: Lane) -> None:
    shapes: list[Shape] = sampled(lane.dialect, SAMPLE)[::12][:OVER_SOCKETS]
    different = []
    async with served(lane) as (gateway, outside), gateway_in_process(lane) as in_process:
        for shape in shapes:
            outcome, findings = await judge(in_process, shape.body)
            status, _, found = await over_sockets(gateway, outside, lane, shape.body)
            if (status, set(found)) != (outcome.status, set(findings)):
                different.append((shape.id, status, outcome.status))

    assert not different


@EACH_LANE
async def test_an_image_that_really_loads_is_prepared_and_moderated(lane: Lane) -> None:
    async with served(lane) as (gateway, outside):
        url = f"{outside.origin}/image.jpg"
        bodies: dict[str, object] = {
            "chat": {"messages": [_user({"type": "image_url", "image_url": {"url": url}})]},
            "responses": {"input": [_user({"type": "input_image", "image_url": url})]},
            "messages": {
                "max_tokens": 9,
                "messages": [_user({"type": "image", "source": {"type": "url", "url": url}})],
            },
        }
        request = {"model": "m"} | dict(bodies[lane.dialect])  # type: ignore[call-overload]

        status, seen, findings = await over_sockets(gateway, outside, lane, json.dumps(request).encode())

    assert (status, findings) == (200, [])
    assert len(seen.images) == 1
    assert url.encode() not in seen.bodies[0]


def _user(part: dict[str, object]) -> dict[str, object]:
    return {"role": "user", "content": [part]}


async def test_the_gateway_in_process_shows_what_was_sent_and_what_was_moderated() -> None:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": PHRASE}]}).encode()
    async with gateway_in_process(LANES[0]) as gateway:
        outcome = await gateway.send(body)

    assert outcome.status == 200
    assert PHRASE in outcome.seen.texts
    assert PHRASE.encode() in outcome.seen.bodies[0]
