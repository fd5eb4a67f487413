"""Ordinary requests are served, lose none of their images, and reach the upstream moderated."""

import json
from typing import Any

import pytest

from tests.security.shapes import ordinary_chat, ordinary_messages, ordinary_responses
from tests.security.shapes.gateway_in_process import LANES, GatewayInProcess, Lane, Seen, gateway_in_process
from tests.security.shapes.inspector import inspect
from tests.security.shapes.ordinary import Ordinary
from tests.security.shapes.plants import image
from tests.security.shapes.readings import strings_of
from tests.security.shapes.run import judge
from tests.support.forms import FORM, form, part

REQUESTS: tuple[Ordinary, ...] = (
    *ordinary_chat.requests(),
    *ordinary_messages.requests(),
    *ordinary_responses.requests(),
)
EACH_LANE = pytest.mark.parametrize("lane", LANES, ids=lambda lane: lane.name)
UNKNOWN_ID = f"file_{'0' * 36}"


def requests_of(lane: Lane) -> list[Ordinary]:
    return [each for each in REQUESTS if each.dialect == lane.dialect and (lane.native or not each.native_only)]


@EACH_LANE
async def test_no_ordinary_request_is_refused(lane: Lane) -> None:
    refused, lost, unseen = [], [], []
    async with gateway_in_process(lane) as gateway:
        for each in requests_of(lane):
            outcome, findings = await judge(gateway, json.dumps(each.body, ensure_ascii=False).encode())
            if outcome.status != 200:
                refused.append(f"{each.name}: {outcome.status} {outcome.body[:200].decode(errors='replace')}")
            elif len(outcome.seen.images) < each.images:
                lost.append(each.name)
            unseen += [
                f"{each.name}: {finding.what} at {finding.path}" for finding in findings if not finding.tolerated
            ]

    assert not refused, "\n".join(refused)
    assert not lost
    assert not unseen, "\n".join(unseen)


def test_there_are_enough_ordinary_requests() -> None:
    assert all(len(requests_of(lane)) >= 80 for lane in LANES)
    assert len({(each.dialect, each.name) for each in REQUESTS}) == len(REQUESTS) >= 400


@pytest.mark.parametrize("each", REQUESTS, ids=lambda each: f"{each.dialect}: {each.name}")
def test_the_inspector_reports_no_ordinary_request_that_was_moderated(each: Ordinary) -> None:
    seen = Seen(texts=strings_of(each.body), images={image("PNG"), image("JPEG")})
    clips = frozenset({"input_audio", "video_url"})
    changed_by_the_gateway = "PDF" in each.name or each.name == "input_file with data"

    findings = inspect([json.dumps(each.body).encode()], each.dialect, seen, clips)

    assert bool(findings) is changed_by_the_gateway


def parts_with(file_id: str, dialect: str) -> dict[str, Any]:
    """Every shape in which a dialect names a stored file."""
    if dialect == "chat":
        return {
            "image_url": {"type": "image_url", "image_url": {"file_id": file_id}},
            "file": {"type": "file", "file": {"file_id": file_id}},
            "input_file": {"type": "input_file", "input_file": {"file_id": file_id, "mime_type": "image/png"}},
            "input_file with detail": {
                "type": "input_file", "input_file": {"file_id": file_id, "mime_type": "image/png", "detail": "low"}
            },
        }  # fmt: skip
    if dialect == "responses":
        return {
            "input_image": {"type": "input_image", "file_id": file_id},
            "input_file": {"type": "input_file", "file_id": file_id},
            "nested input_file": {"type": "input_file", "input_file": {"file_id": file_id, "mime_type": "image/png"}},
        }
    return {"image": {"type": "image", "source": {"type": "file", "file_id": file_id}}}


def request_with(content_part: Any, dialect: str) -> bytes:
    conversation = [{"role": "user", "content": [content_part]}]
    key = "input" if dialect == "responses" else "messages"
    limit = {"max_tokens": 99} if dialect == "messages" else {}
    return json.dumps({"model": "m", key: conversation} | limit).encode()


async def stored_file(gateway: GatewayInProcess) -> str:
    upload = form(part("purpose", b"vision"), part("file", image("PNG"), filename="cat.png"))
    outcome = await gateway.post("/v1/files", upload, FORM["content-type"])
    return str(json.loads(outcome.body)["id"])


@EACH_LANE
async def test_a_stored_file_reaches_the_upstream_in_every_shape(lane: Lane) -> None:
    async with gateway_in_process(lane) as gateway:
        file_id = await stored_file(gateway)
        found = {}
        for name, content_part in parts_with(file_id, lane.dialect).items():
            outcome, findings = await judge(gateway, request_with(content_part, lane.dialect))
            sent = file_id.encode() in b"".join(outcome.seen.bodies)
            found[name] = (outcome.status, len(outcome.seen.images), sent, findings)

    assert found == dict.fromkeys(found, (200, 1, False, []))


@EACH_LANE
async def test_an_unknown_file_id_is_a_404_in_every_shape(lane: Lane) -> None:
    async with gateway_in_process(lane) as gateway:
        parts = parts_with(UNKNOWN_ID, lane.dialect)
        found = {name: await judge(gateway, request_with(each, lane.dialect)) for name, each in parts.items()}

    assert {name: (outcome.status, outcome.code) for name, (outcome, _) in found.items()} == dict.fromkeys(
        found, (404, "file_not_found")
    )
