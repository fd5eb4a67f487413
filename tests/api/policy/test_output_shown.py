"""What is said of an answer that nothing changes: by a version in shadow, and by checks that had no result."""

import json
import logging
from typing import Any

import pytest

from tests.api.policy.test_output import BAD, LONG, answer_of, judge, judged
from tests.api.policy.test_streams import BODIES, PATHS, saying, streamed, text_of
from tests.support.fake_upstream import answers, streams
from tests.support.gateway import Gateway
from tests.support.loopback_server import LoopbackServer, Received, Wire
from tests.support.policies import save

SHADOW: dict[str, Any] = {"rollout": {"shadow": {"enabled": True}}}
RULES: dict[str, dict[str, Any]] = {"refuse": {"denylist": [BAD]}, "redact": {"redact_pii": True}}
SAID = f"{LONG}{BAD}, wrote bob@example.com. "


def decisions(policy: dict[str, Any]) -> tuple[str, str, bool]:
    return policy["decision"], policy["effective_decision"], policy["enforced"]


def output_events(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    lines = [vars(one)["fields"]["event"] for one in caplog.records if one.message == "policy_event"]
    return [event for line in lines if (event := json.loads(bytes(line)))["direction"] == "output"]


@pytest.mark.parametrize("decision", RULES)
@pytest.mark.parametrize("path", PATHS)
async def test_a_shadow_reports_what_it_would_do_to_a_streamed_answer_and_changes_nothing(
    gateway: Gateway, upstream: LoopbackServer, path: str, decision: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="obscura")
    upstream.respond = streams(*saying(SAID))
    await save(gateway, rules=RULES[decision], **SHADOW)

    frames, _ = await streamed(gateway, path)

    assert text_of(frames) == SAID
    assert decisions(frames[0]["policy"]) == ("allow", "allow", False)
    assert decisions(frames[-1]["policy"]) == (decision, "allow", False)
    [event] = output_events(caplog)
    assert decisions(event) == (decision, "allow", False)


@pytest.mark.parametrize("decision", RULES)
@pytest.mark.parametrize("path", PATHS)
async def test_a_shadow_reports_what_it_would_do_to_a_whole_answer_and_changes_nothing(
    gateway: Gateway, upstream: LoopbackServer, path: str, decision: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="obscura")
    upstream.respond = answers(answer_of(SAID))
    await save(gateway, rules=RULES[decision], **SHADOW)

    response = await gateway.client.post(path, json=BODIES[path] | {"policy_id": "p1"})

    assert response.status_code == 200, response.text
    assert SAID in response.text
    assert decisions(response.json()["policy"]) == (decision, "allow", False)
    assert response.headers["x-policy-decision"] == decision
    [event] = output_events(caplog)
    assert decisions(event) == (decision, "allow", False)


@pytest.mark.parametrize(("on_failure", "decision"), [("open", "allow"), ("closed", "refuse")])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_check_of_the_answer_without_a_result_is_said(
    on_failure: str, decision: str, caplog: pytest.LogCaptureFixture, *, stream: bool
) -> None:
    caplog.set_level(logging.INFO, logger="obscura")
    async with judged() as (gateway, judging, upstream):

        async def fails(request: Received, wire: Wire) -> None:
            await (judge if "moderations" in request.path else answers({}, status=500))(request, wire)

        judging.respond = fails
        upstream.respond = streams(*saying(LONG)) if stream else answers(answer_of("So it goes."))
        guard = {"name": "guard", "url": judging.origin, "direction": "output", "on_failure": on_failure}
        await save(gateway, checks=[guard])

        if stream:
            frames, _ = await streamed(gateway, PATHS[0])
            policy = frames[-1]["policy"]
        else:
            response = await gateway.client.post(PATHS[0], json=BODIES[PATHS[0]] | {"policy_id": "p1"})
            policy = response.json()["policy"]
            assert response.headers["x-policy-checks-failed"] == f"guard={on_failure}"

    assert policy["decision"] == decision
    [skipped] = policy["coverage"]["checks_skipped"]
    assert skipped["check"] == "policy.checks.guard"
    assert skipped["reason"].endswith(f"failed {on_failure}")
    assert "policy.checks.guard" not in policy["coverage"]["checks_run"]
    [event] = output_events(caplog)
    assert event["decision"] == decision
    assert event["features"]["checks_failed"] == [f"policy.checks.guard: {skipped['reason']}"]
