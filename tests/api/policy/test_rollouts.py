"""Rollouts and quotas as callers see them, through a served gateway on both stores."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from obscura.policy.parse import parse_document
from obscura.policy.quotas import counters
from obscura.policy.rollout import stable_percent
from tests.support.access_control import FixedClock
from tests.support.gateway import Gateway, chat_request, running_gateway
from tests.support.loopback_server import LoopbackServer
from tests.support.policy_admin import Admin, an_admin
from tests.support.stores import OpenStores, dynamodb, sqlite_file

CHAT = "/policy/v1/chat/completions"


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture(params=[sqlite_file, dynamodb])
async def gateway(
    request: pytest.FixtureRequest, clock: FixedClock, upstream: LoopbackServer, tmp_path: Path
) -> AsyncIterator[Gateway]:
    open_stores: OpenStores = request.param
    async with (
        open_stores(tmp_path) as stores,
        running_gateway(clock, stores=stores, upstream_url=upstream.v1) as served,
    ):
        yield served


@pytest.fixture
async def admin(gateway: Gateway) -> Admin:
    return await an_admin(gateway)


async def save(admin: Admin, *denylist: str, policy_id: str = "p1", **members: Any) -> None:
    document = {"policy_id": policy_id, "name": "P", "rules": {"denylist": list(denylist)}} | members
    response = await admin("POST", "/policies", document)
    assert response.status_code in {200, 201}, response.text


async def ask(gateway: Gateway, words: str, **fields: Any) -> httpx.Response:
    return await gateway.client.post(CHAT, json=chat_request(words, policy_id="p1") | fields)


def seen(response: httpx.Response) -> tuple[Any, ...]:
    """The status, the version, the decision, the effective one, whether it was enforced, and the mode."""
    policy = response.json()["policy"]
    names = ("policy_version", "decision", "effective_decision", "enforced", "rollout_mode")
    return (response.status_code, *(policy[name] for name in names))


async def test_a_shadow_and_the_version_before_it_act_on_nothing(
    gateway: Gateway, admin: Admin, upstream: LoopbackServer
) -> None:
    await save(admin, rules={"denylist": ["old"], "redact_pii": True})
    await save(admin, "new", rollout={"shadow": {"enabled": True, "sample_percent": 100}})

    would_be_refused = await ask(gateway, "new")
    was_refused = await ask(gateway, "old, ann@example.com")

    assert seen(would_be_refused) == (200, 2, "refuse", "allow", False, "shadow")
    assert seen(was_refused) == (200, 2, "allow", "allow", False, "shadow")
    assert would_be_refused.headers["x-policy-decision"] == "refuse"
    assert upstream.received[1].json()["messages"][0]["content"] == "old, ann@example.com"


async def test_a_request_outside_of_the_sample_gets_the_version_before(gateway: Gateway, admin: Admin) -> None:
    shadow = {"shadow": {"enabled": True, "sample_percent": 0}}
    await save(admin, "new", rollout=shadow)
    without_former = await ask(gateway, "new")
    await save(admin, "old")
    await save(admin, "new", rollout=shadow)

    assert seen(without_former)[:3] == (200, 1, "allow")
    assert seen(without_former)[4] is False
    assert seen(await ask(gateway, "old")) == (400, 2, "refuse", "refuse", True, "enforced")
    assert seen(await ask(gateway, "new")) == (200, 2, "allow", "allow", True, "enforced")


async def test_a_canary_holds_for_the_same_users_again_and_again(gateway: Gateway, admin: Admin) -> None:
    await save(admin, "old")
    await save(admin, "new", rollout={"canary": {"enabled": True, "sample_percent": 50}})
    users = [f"user-{number}" for number in range(12)]

    modes = [[seen(await ask(gateway, "hi", policy_user=user))[1::4] for _ in range(2)] for user in users]

    inside = [stable_percent("p1", user) < 50 for user in users]
    assert 0 < sum(inside) < len(users)
    assert modes == [[(2, "canary") if is_inside else (1, "enforced")] * 2 for is_inside in inside]


async def test_a_rollout_is_aimed_by_target(gateway: Gateway, admin: Admin) -> None:
    await save(admin, "old")
    await save(admin, "new", rollout={"canary": {"enabled": True, "sample_percent": 100, "targets": ["beta"]}})

    by_field = await ask(gateway, "new", policy_target="beta")
    header_wins = await gateway.client.post(
        CHAT, json=chat_request("new", policy_id="p1", policy_target="beta"), headers={"x-policy-target": "other"}
    )

    assert seen(by_field) == (400, 2, "refuse", "refuse", True, "canary")
    assert seen(header_wins) == (200, 1, "allow", "allow", True, "enforced")
    assert header_wins.json()["policy"]["policy_target"] == "other"


async def test_a_save_is_live_at_once_unless_it_is_a_draft(gateway: Gateway, admin: Admin) -> None:
    await save(admin, "one")
    decisions = [seen(await ask(gateway, words))[:2] for words in ("one", "two")]
    await save(admin, "two")
    decisions.append(seen(await ask(gateway, "two"))[:2])
    await save(admin, "three", draft=True)
    decisions.append(seen(await ask(gateway, "three"))[:2])
    await admin("POST", "/policies/p1/revert", {"version": 1})
    decisions.append(seen(await ask(gateway, "one"))[:2])

    assert decisions == [(400, 1), (200, 1), (400, 2), (200, 2), (400, 4)]


async def test_a_spike_rolls_back_until_the_cooldown_is_over(gateway: Gateway, admin: Admin, clock: FixedClock) -> None:
    spike = {"rollback_on_spike": True, "rollback_min_requests": 4, "rollback_threshold": 0.5}
    await save(admin, "old")
    await save(admin, "new", rollout=spike | {"rollback_cooldown_minutes": 30})

    before = [seen(await ask(gateway, words))[:2] for words in ("hi", "hi", "new", "new")]
    rolled_back = await ask(gateway, "new")
    clock.at += timedelta(minutes=29)
    still = await ask(gateway, "old")
    clock.at += timedelta(minutes=2)
    again = await ask(gateway, "new")

    assert before == [(200, 2), (200, 2), (400, 2), (400, 2)]
    assert seen(rolled_back) == (200, 1, "allow", "allow", True, "rollback")
    assert seen(still) == (400, 1, "refuse", "refuse", True, "rollback")
    assert seen(again) == (400, 2, "refuse", "refuse", True, "enforced")


async def test_of_fifty_at_once_exactly_the_quota_passes_and_is_settled(
    gateway: Gateway, admin: Admin, clock: FixedClock
) -> None:
    quota = {"requests": 10, "tokens": 121, "window": "day"}
    await save(admin, org_controls={"user_quota": quota})

    responses = await asyncio.gather(*(ask(gateway, "hi", policy_user="ann") for _ in range(50)))

    refused = [response for response in responses if response.status_code == 429]
    assert Counter(response.status_code for response in responses) == {200: 10, 429: 40}
    assert {response.json()["error"]["code"] for response in refused} == {"quota_exceeded"}
    assert {seen(response) for response in refused} == {(429, 1, "refuse", "refuse", True, "enforced")}
    assert {response.json()["policy"]["reason_code"] for response in refused} == {"USER_QUOTA_EXCEEDED"}
    assert {response.headers["x-policy-decision"] for response in refused} == {"refuse"}
    assert {response.headers["retry-after"] for response in refused} == {"43190"}  # from 12:00:10 to midnight
    clock.at += timedelta(days=1)
    assert (await ask(gateway, "hi", policy_user="ann")).status_code == 200


async def test_tokens_are_settled_from_the_usage_of_the_answer(
    gateway: Gateway, admin: Admin, clock: FixedClock
) -> None:
    quota = {"tokens": 24, "window": "month"}
    document: dict[str, Any] = {"policy_id": "p1", "name": "P", "org_controls": {"project_quota": quota}}
    await save(admin, **document)
    [counter] = counters(parse_document(document), user=None, project="tests", now=clock.now())
    assert gateway.stores is not None
    quotas = gateway.stores.open_policies().quotas

    answered = [(await ask(gateway, "hi")).status_code for _ in range(2)]
    async with asyncio.timeout(10):  # what an answer has cost is counted after its last byte
        while (await quotas.used([counter.key])).get(counter.key) != 2 * 12:
            await asyncio.sleep(0.01)
    past = await ask(gateway, "hi")

    assert answered == [200, 200]
    assert (past.status_code, past.json()["error"]["code"]) == (429, "quota_exceeded")
    assert past.json()["policy"]["reason_code"] == "PROJECT_QUOTA_EXCEEDED"
