"""Rollouts and quotas: pure arithmetic over samples, users and counters."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obscura.policy import rollout
from obscura.policy.decision import Decision
from obscura.policy.document import Rollout
from obscura.policy.parse import parse_document
from obscura.policy.quotas import counters, exhausted, reservation, settlement, window_at
from obscura.policy.rollout import Held, Mode, Plan, RolloutCount


def the(**settings: object) -> Rollout:
    return parse_document({"policy_id": "p", "rollout": settings}).rollout


def plan(the_rollout: Rollout, *, user: str | None = "ann", target: str | None = None, sample: float = 0.5,
         has_former: bool = True, rolled_back: bool = False) -> Plan:  # fmt: skip
    return rollout.plan(
        the_rollout,
        policy_id="p",
        user=user,
        target=target,
        sample=sample,
        has_former=has_former,
        rolled_back=rolled_back,
    )


SHADOW, CANARY = the(shadow={"percentage": 50}), the(canary={"percentage": 50, "targets": ["web"]})


@pytest.mark.parametrize(
    ("planned", "expected"),
    [
        (plan(the()), Plan(Mode.ENFORCED, Held.LIVE)),
        (plan(the(), has_former=False), Plan(Mode.ENFORCED, Held.LIVE)),
        (plan(SHADOW, sample=0.49), Plan(Mode.SHADOW, Held.NONE, compares=True)),
        (plan(SHADOW, sample=0.49, has_former=False), Plan(Mode.SHADOW, Held.NONE)),
        (plan(SHADOW, sample=0.5), Plan(Mode.ENFORCED, Held.FORMER, compares=True)),
        (plan(SHADOW, sample=0.5, has_former=False), Plan(Mode.ENFORCED, Held.NONE)),
        (plan(the(shadow={"percentage": 0}), sample=0.0), Plan(Mode.ENFORCED, Held.FORMER, compares=True)),
        (plan(the(shadow={"enabled": True}), sample=0.9999), Plan(Mode.SHADOW, Held.NONE, compares=True)),
        (plan(the(shadow={"enabled": True, "targets": ["web"]}), target="app"), Plan(Mode.ENFORCED, Held.FORMER, True)),
        (plan(CANARY, target="app"), Plan(Mode.ENFORCED, Held.FORMER, compares=True)),
        (plan(CANARY, target="web", user=None, sample=0.4), Plan(Mode.CANARY, Held.LIVE, compares=True)),
        (plan(CANARY, target="web", user=None, sample=0.6), Plan(Mode.ENFORCED, Held.FORMER, compares=True)),
        (plan(SHADOW, sample=0.1, rolled_back=True), Plan(Mode.ROLLBACK, Held.FORMER)),
        (plan(the(), rolled_back=True, has_former=False), Plan(Mode.ROLLBACK, Held.NONE)),
    ],
)
def test_a_request_gets_the_version_of_its_rollout(planned: Plan, expected: Plan) -> None:
    assert planned == expected


def test_a_canary_is_stable_and_holds_its_share() -> None:
    def inside(percent: float) -> set[str]:
        users = [f"user-{number}" for number in range(4_000)]
        chosen = the(canary={"percentage": percent})
        return {user for user in users if plan(chosen, user=user, sample=0.99).held is Held.LIVE}

    assert rollout.stable_percent("p", "ann") == rollout.stable_percent("p", "ann") == 60.21
    assert inside(0) == set()
    assert len(inside(100)) == 4_000
    assert abs(len(inside(10)) - 400) < 60
    assert inside(10) < inside(20), "a wider canary keeps its users"


def test_a_spike_needs_the_share_and_the_least_number() -> None:
    spiky = the(rollback_on_spike=True, rollback_threshold=0.25, rollback_min_requests=20, rollback_window_minutes=15)
    now = 100 * 60.0
    window = rollout.buckets_in_window(spiky, now)

    assert list(window) == list(range(86, 101))
    assert rollout.is_spike(spiky, {100: RolloutCount(20, 5)}, window)
    assert not rollout.is_spike(spiky, {100: RolloutCount(20, 4)}, window)
    assert not rollout.is_spike(spiky, {100: RolloutCount(19, 19)}, window)
    assert not rollout.is_spike(spiky, {85: RolloutCount(20, 20)}, window), "before the window"
    assert rollout.is_spike(spiky, {86: RolloutCount(10, 2), 100: RolloutCount(10, 3)}, window)
    assert not rollout.is_spike(the(), {100: RolloutCount(20, 20)}, window), "not asked for"


def test_only_the_rollback_decisions_count() -> None:
    assert rollout.counted(the(), Decision.REFUSE) == RolloutCount(1, 1)
    assert rollout.counted(the(), Decision.REWRITE) == RolloutCount(1, 0)
    assert rollout.counted(the(rollback_decisions=["rewrite"]), Decision.REWRITE) == RolloutCount(1, 1)


def test_a_rollback_holds_for_its_cooldown_and_starts_a_new_window() -> None:
    cooling = the(rollback_cooldown_minutes=30)

    assert not rollout.rolled_back(cooling, None, 0.0)
    assert rollout.rolled_back(cooling, 1_000.0, 1_000.0 + 1_799)
    assert not rollout.rolled_back(cooling, 1_000.0, 1_000.0 + 1_800)
    ends = rollout.cooldown_ends_at_s(cooling, 6_000.0)
    assert list(rollout.buckets_in_window(cooling, ends + 60, since_s=ends)) == [130, 131]


NOW = datetime(2026, 2, 28, 23, 59, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "starts", "ends"),
    [
        ("day", (2026, 2, 28), (2026, 3, 1)),
        ("week", (2026, 2, 23), (2026, 3, 2)),
        ("month", (2026, 2, 1), (2026, 3, 1)),
    ],
)
def test_windows_are_of_the_calendar(name: str, starts: tuple[int, int, int], ends: tuple[int, int, int]) -> None:
    window = window_at(name, NOW)  # type: ignore[arg-type]

    assert window.starts_at_s == datetime(*starts, tzinfo=UTC).timestamp()
    assert window.ends_at_s == datetime(*ends, tzinfo=UTC).timestamp()


DOCUMENT = parse_document(
    {
        "policy_id": "p",
        "org_controls": {
            "user_quota": [{"requests": 2, "window": "day"}, {"tokens": 100, "window": "month"}],
            "user_quotas": {"bob": {"requests": 0}},
            "project_quota": {"requests": 10, "tokens": 1000, "window": "daily"},
        },
    }
)


def test_a_request_is_counted_by_user_and_project_in_each_window() -> None:
    ours = counters(DOCUMENT, user="ann", project="shop", now=NOW)

    assert [(one.rule, one.counted, one.window.name, one.limit) for one in ours] == [
        ("user_quota", "requests", "day", 2),
        ("user_quota", "tokens", "month", 100),
        ("project_quota", "requests", "day", 10),
        ("project_quota", "tokens", "day", 1000),
    ]
    assert len({one.key for one in ours}) == 4
    assert reservation(ours) == {ours[0].key: 1, ours[2].key: 1}
    assert settlement(ours, tokens=70, estimate=5, reached_model=True) == {ours[1].key: 70, ours[3].key: 70}
    assert settlement(ours, tokens=None, estimate=5, reached_model=True) == {ours[1].key: 5, ours[3].key: 5}
    assert settlement(ours, tokens=None, estimate=5, reached_model=False) == {ours[0].key: -1, ours[2].key: -1}


def test_a_quota_is_used_up_at_its_limit_until_its_window_ends() -> None:
    ours = counters(DOCUMENT, user="ann", project="shop", now=NOW)
    first, tokens = ours[0], ours[1]

    assert exhausted(ours, {}, NOW) == []
    assert exhausted(ours, {first.key: 1, tokens.key: 99}, NOW) == []
    assert [(one.rule, one.limited, one.retry_after_s) for one in exhausted(ours, {first.key: 2}, NOW)] == [
        ("user_quota", "requests", 30)
    ]
    assert [one.limited for one in exhausted(ours, {tokens.key: 150}, NOW)] == ["tokens"]
    assert exhausted(counters(DOCUMENT, user="bob", project="shop", now=NOW), {}, NOW)[0].limit == 0


@given(st.text(max_size=8), st.text(max_size=8), st.text(max_size=8), st.text(max_size=8))
def test_no_two_subjects_share_a_counter(user: str, project: str, other_user: str, other_project: str) -> None:
    def keys(user: str, project: str) -> set[str]:
        return {one.key for one in counters(DOCUMENT, user=user, project=project, now=NOW) if one.rule == "user_quota"}

    if (user, project) != (other_user, other_project) and "bob" not in {user, other_user}:
        assert keys(user, project).isdisjoint(keys(other_user, other_project))
