"""How a version goes live: shadow sampling, canary by a stable hash, rollback on a spike. Pure arithmetic."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from obscura.policy.decision import Decision, Evaluation
from obscura.policy.document import Rollout, Sample

BUCKET_S = 60
"""Requests and spikes are counted by the minute."""


class Mode(StrEnum):
    """The mode of one request."""

    SHADOW = "shadow"
    CANARY = "canary"
    ENFORCED = "enforced"
    ROLLBACK = "rollback"


class Held(StrEnum):
    """The version that holds for a request."""

    LIVE = "live"
    FORMER = "former"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Plan:
    """Which version holds for a request, and in which mode; both versions are evaluated if ``compares``."""

    mode: Mode
    held: Held
    compares: bool = False

    @property
    def counts_for_rollback(self) -> bool:
        """Whether the request counts towards a spike: the live version holds."""
        return self.held is Held.LIVE


def plan(  # noqa: PLR0913 the request, by what a rollout asks of it
    rollout: Rollout,
    *,
    policy_id: str,
    user: str | None,
    target: str | None,
    sample: float,
    has_former: bool,
    rolled_back: bool = False,
) -> Plan:
    """Return the plan of one request.

    ``sample`` is a number from 0 up to 1 that is drawn for each request: it decides on the shadow, and on the canary of
    a request without a user. A rollback comes first, then the shadow, then the canary. A request
    outside of them gets the former version, enforced, or none where there is none.
    """
    without = Held.FORMER if has_former else Held.NONE
    if rolled_back:
        return Plan(Mode.ROLLBACK, without)
    if rollout.shadow.enabled and _is_aimed_at(rollout.shadow, target) and sample * 100 < rollout.shadow.sample_percent:
        return Plan(Mode.SHADOW, Held.NONE, compares=has_former)
    if rollout.canary.enabled:
        share = sample * 100 if user is None else stable_percent(policy_id, user)
        if _is_aimed_at(rollout.canary, target) and share < rollout.canary.sample_percent:
            return Plan(Mode.CANARY, Held.LIVE, compares=has_former)
        return Plan(Mode.ENFORCED, without, compares=has_former)
    if rollout.shadow.enabled:
        return Plan(Mode.ENFORCED, without, compares=has_former)
    return Plan(Mode.ENFORCED, Held.LIVE)


def stable_percent(policy_id: str, user: str) -> float:
    """Return a user's place from 0 up to 100, in steps of a hundredth: the same in every process and every version."""
    digest = hashlib.sha256(f"{policy_id}\0{user}".encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:8]) % 10_000 / 100


def _is_aimed_at(sample: Sample, target: str | None) -> bool:
    return not sample.targets or target in sample.targets


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of a request, and what is reported of it.

    effective     what happens: the decision of the version that holds and of the floor
    decision      what is reported as the decision: in shadow, what the live version would have done
    enforced      whether a version of the policy holds
    held          the evaluation that holds
    reported      the evaluation that ``decision`` comes from
    """

    mode: Mode
    decision: Decision
    effective: Decision
    enforced: bool
    held: Evaluation
    reported: Evaluation


def outcome(plan: Plan, floor: Evaluation, live: Evaluation, former: Evaluation | None = None) -> Outcome:
    """Return the outcome by a plan.

    ``floor`` is the evaluation without a policy, ``live`` and ``former`` those of the versions, the floor included.
    Whatever the plan, the floor holds: no evaluation of a version is less severe (ADR 90).
    """
    if plan.held is Held.LIVE:
        held = live
    elif plan.held is Held.FORMER and former is not None:
        held = former
    else:
        held = floor
    reported = live if plan.mode is Mode.SHADOW else held
    return Outcome(plan.mode, reported.decision, held.decision, plan.held is not Held.NONE, held, reported)


def bucket_of(now_s: float) -> int:
    """Return the minute that a request at ``now_s``, in Unix time, is counted in."""
    return int(now_s // BUCKET_S)


def buckets_in_window(rollout: Rollout, now_s: float, since_s: float = 0.0) -> range:
    """Return the minutes of the window that ends now; none before ``since_s``, the end of the last cooldown."""
    last = bucket_of(now_s)
    return range(max(last - rollout.rollback_window_minutes + 1, bucket_of(since_s)), last + 1)


@dataclass(frozen=True, slots=True)
class RolloutCount:
    """Requests of the live version in a minute, and how many had one of the rollout's ``rollback_decisions``."""

    requests: int = 0
    spikes: int = 0


def counted(rollout: Rollout, decision: Decision) -> RolloutCount:
    """Return what one request of the live version adds to its minute."""
    return RolloutCount(1, int(decision.value in rollout.rollback_decisions))


def is_spike(rollout: Rollout, counts: Mapping[int, RolloutCount], buckets: Sequence[int]) -> bool:
    """Whether the counts of a window call for a rollback: enough requests, and the threshold reached."""
    if not rollout.rollback_on_spike:
        return False
    inside = [counts[bucket] for bucket in buckets if bucket in counts]
    requests, spikes = sum(count.requests for count in inside), sum(count.spikes for count in inside)
    return requests >= rollout.rollback_min_requests and spikes >= rollout.rollback_threshold * requests


def rolled_back(rollout: Rollout, rolled_back_at_s: float | None, now_s: float) -> bool:
    """Whether a rollback at ``rolled_back_at_s`` still holds; after its cooldown the live version is tried again."""
    return rolled_back_at_s is not None and now_s < cooldown_ends_at_s(rollout, rolled_back_at_s)


def cooldown_ends_at_s(rollout: Rollout, rolled_back_at_s: float) -> float:
    """Return when a rollback's cooldown ends: the window of the next one begins there."""
    return rolled_back_at_s + rollout.rollback_cooldown_minutes * 60
