"""Decisions and revisions as events: one chain in the log, and in the sinks of the settings."""

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_upstream import answers
from tests.support.gateway import chat_request, running_gateway
from tests.support.loopback_server import loopback_server
from tests.support.policy_admin import an_admin

CHAT = "/policy/v1/chat/completions"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


async def test_a_revision_and_a_decision_reach_the_log_and_a_webhook(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="obscura")
    async with loopback_server(answers({})) as webhook:
        async with running_gateway(policy_webhook_url=webhook.v1, policy_webhook_secret=SECRET) as gateway:
            await (await an_admin(gateway)).save()
            asked = chat_request("make a wire transfer", policy_id="p1")
            refused = await gateway.client.post(CHAT, json=asked)
            assert refused.status_code == 400
        sent = [request.json() for request in webhook.received]  # a clean end sends what is buffered

    lines = [json.loads(bytes(vars(one)["fields"]["event"])) for one in caplog.records if one.message == "policy_event"]
    assert [(line["event_type"], line["policy_id"]) for line in lines] == [("revision", "p1"), ("enforcement", "p1")]
    assert lines[0]["history_id"] == "p1@1"
    assert len(sent) == 2
    assert all("wire transfer now" not in json.dumps(one) for one in sent)


async def test_a_first_request_that_is_cancelled_does_not_end_what_it_opened() -> None:
    async with loopback_server(answers()) as upstream, running_gateway(upstream_url=upstream.v1) as gateway:

        async def ask() -> Any:
            return await gateway.client.post(CHAT, json=chat_request("hi"))

        first = asyncio.create_task(ask())
        await asyncio.sleep(0)
        first.cancel()
        responses = await asyncio.gather(*(ask() for _ in range(4)))

    assert [response.status_code for response in responses] == [200] * 4


@pytest.mark.parametrize(("has_floor", "events"), [(False, 0), (True, 1)])
async def test_a_policy_without_audit_logs_makes_no_events_unless_the_floor_does(
    has_floor: bool, events: int, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.INFO, logger="obscura")
    floor = tmp_path / "floor.json"
    floor.write_text('{"policy_id": "floor", "rules": {"denylist": ["never this"]}}')
    async with (
        loopback_server(answers()) as upstream,
        running_gateway(upstream_url=upstream.v1, policy_floor=str(floor) if has_floor else None) as gateway,
    ):
        await (await an_admin(gateway)).save(org_controls={"audit_logs": False})
        asked = chat_request("hi", policy_id="p1")
        assert (await gateway.client.post(CHAT, json=asked)).status_code == 200

    lines = [json.loads(bytes(vars(one)["fields"]["event"])) for one in caplog.records if one.message == "policy_event"]
    assert sum(line["event_type"] == "enforcement" for line in lines) == events
