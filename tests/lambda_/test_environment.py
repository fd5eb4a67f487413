"""An environment that serves for long: its memory stays level, and it leaks no socket."""

import base64
import os
import time
from pathlib import Path

from tests.support.fake_upstream import CHUNKS, answers, stays_silent, streams
from tests.support.forms import FORM, form, part
from tests.support.gateway import chat_request, image_part, text
from tests.support.lambda_events import rest_event
from tests.support.lambda_process import Function, lambda_function
from tests.support.loopback_server import Received, Wire, loopback_server
from tests.support.photographs import photograph

WARM_UP, INVOCATIONS = 200, 1000


async def test_a_thousand_invocations_leave_memory_level_and_no_sockets(tmp_path: Path) -> None:
    async with loopback_server(_respond) as upstream:
        async with lambda_function("chat", tmp_path, UPSTREAM_URL=upstream.v1) as function:
            events = _mixed_events(function)

            for number in range(WARM_UP):
                await _invoke(function, events, number)
            warm_kib, warm_sockets = _resident_kib(function), _sockets(function)
            for number in range(WARM_UP, INVOCATIONS):
                await _invoke(function, events, number)

            assert abs(_resident_kib(function) / warm_kib - 1) <= 0.05
            assert _sockets(function) <= warm_sockets
            assert function.api.connections <= 1 + INVOCATIONS // len(events)


async def _respond(request: Received, wire: Wire) -> None:
    body = request.json()
    if "leaves" in body:
        await streams(CHUNKS[0], then="stays silent")(request, wire)
    else:
        await (streams() if body.get("stream") else answers())(request, wire)


async def test_bodies_of_six_megabytes_do_not_accumulate(tmp_path: Path) -> None:
    async with loopback_server(answers()) as upstream:
        async with lambda_function("chat", tmp_path, UPSTREAM_URL=upstream.v1) as function:
            large = rest_event("POST", "/v1/chat/completions", chat_request("x" * 5_900_000), **function.bearer)
            for _ in range(6):
                await _invoke(function, [large], 0)
            warm_kib = _resident_kib(function)

            for _ in range(24):
                await _invoke(function, [large], 0)

            assert _resident_kib(function) - warm_kib < 6 * len(large["body"]) // 1024


async def test_files_of_four_megabytes_do_not_accumulate(tmp_path: Path) -> None:
    body = form(part("purpose", b"vision"), part("file", b"\x89PNG" + bytes(4_300_000), filename="a.png"))
    async with lambda_function("files", tmp_path) as function:
        large = rest_event("POST", "/v1/files", body, binary=True, Content_Type=FORM["content-type"], **function.bearer)
        for _ in range(6):
            await _invoke(function, [large], 0)
        warm_kib = _resident_kib(function)

        for _ in range(24):
            await _invoke(function, [large], 0)

        assert _resident_kib(function) - warm_kib < 6 * len(body) // 1024


async def test_waiting_for_a_slow_upstream_takes_no_cpu(tmp_path: Path) -> None:
    async with loopback_server(stays_silent) as upstream:
        async with lambda_function("chat", tmp_path, UPSTREAM_URL=upstream.v1) as function:
            event = rest_event("POST", "/v1/chat/completions", chat_request("hi"), **function.bearer)
            await function.api.idle()  # the start is no part of the invocation's time
            response = function.api.invoke(event, within_s=4)
            await upstream.wait_for_requests(1)
            began_s, cpu_began_s = time.monotonic(), _cpu_s(function)

            await response.head()

            assert _cpu_s(function) - cpu_began_s < 0.3 * (time.monotonic() - began_s)


def _mixed_events(function: Function) -> list[dict]:
    """Plain and streamed responses, images, errors, and a stream whose caller leaves."""
    rocket = "data:image/jpeg;base64," + base64.b64encode(photograph("rocket.jpg").read_bytes()).decode()
    bodies = [
        chat_request("hi"),
        chat_request("hi", stream=True),
        chat_request("x" * 20_000),
        chat_request(text("what?"), image_part("data:image/png;base64,AAAA")),
        {"model": 1},
        chat_request(text("what?"), image_part(rocket), stream=True),
        chat_request("hi", stream=True),
        chat_request("hi", stream=True, leaves=True),
    ]
    return [rest_event("POST", "/v1/chat/completions", body, **function.bearer) for body in bodies]


async def _invoke(function: Function, events: list[dict], number: int) -> None:
    event = events[number % len(events)]
    response = function.api.invoke(event)
    if '"leaves"' in event["body"]:
        assert await response.piece() == CHUNKS[0]
        response.leave.set()
    else:
        await response.body()
    await function.api.idle()


def _resident_kib(function: Function) -> int:
    lines = Path(f"/proc/{function.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def _sockets(function: Function) -> int:
    descriptors = Path(f"/proc/{function.process.pid}/fd").iterdir()
    return sum(str(descriptor.readlink()).startswith("socket:") for descriptor in descriptors)


def _cpu_s(function: Function) -> float:
    """User and system time (proc(5), ``/proc/pid/stat``, fields 14 and 15)."""
    fields = Path(f"/proc/{function.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
