"""Quotas of users and projects: which counters a request uses, whether they are used up, and their settlement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from obscura.policy.document import PolicyDocument, Quota, Quotas
from obscura.policy.facts import QuotaResult


@dataclass(frozen=True, slots=True)
class QuotaWindow:
    """A calendar window in UTC, in Unix seconds; a week begins on Monday (ISO 8601)."""

    name: Literal["day", "week", "month"]
    starts_at_s: int
    ends_at_s: int


@dataclass(frozen=True, slots=True)
class QuotaCounter:
    """One counter: what it counts, of whom, in which window, up to which limit."""

    rule: Literal["user_quota", "project_quota"]
    layer: Literal["policy", "floor"]
    policy_id: str
    subject: str
    counted: Literal["requests", "tokens"]
    window: QuotaWindow
    limit: int

    @property
    def key(self) -> str:
        """The counter's name in a store: the same for every limit, so that a new version goes on counting."""
        subject = self.subject.replace("#", "%23")
        return f"{self.policy_id}#{self.rule}#{subject}#{self.counted}#{self.window.name}#{self.window.starts_at_s}"

    def used_up(self, now: datetime) -> QuotaResult:
        """Return the result for a request that this counter has none left for."""
        retry_after_s = max(1, self.window.ends_at_s - int(now.timestamp()))
        return QuotaResult(self.rule, self.counted, self.limit, self.window.name, retry_after_s, self.layer)


def window_at(name: Literal["day", "week", "month"], now: datetime) -> QuotaWindow:
    """Return the window that ``now`` is in."""
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if name == "day":
        start, end = day, day + timedelta(days=1)
    elif name == "week":
        start = day - timedelta(days=day.weekday())
        end = start + timedelta(days=7)
    else:
        start = day.replace(day=1)
        end = (start + timedelta(days=32)).replace(day=1)
    return QuotaWindow(name, int(start.timestamp()), int(end.timestamp()))


def counters(
    document: PolicyDocument,
    *,
    user: str | None,
    project: str,
    now: datetime,
    layer: Literal["policy", "floor"] = "policy",
) -> list[QuotaCounter]:
    """Return the counters of a request. A request without a user is counted as its project's anonymous user."""
    controls = document.org_controls
    user_quota = controls.user_quotas.get(user, controls.user_quota) if user is not None else controls.user_quota
    subject = f"{project}/{user}" if user is not None else f"{project}/"
    found: list[QuotaCounter] = []
    rules: Sequence[tuple[Literal["user_quota", "project_quota"], Quotas | None, str]] = (
        ("user_quota", user_quota, subject),
        ("project_quota", controls.project_quota, project),
    )
    for rule, quotas, whose in rules:
        for quota in _each(quotas):
            window = window_at(quota.window, now)
            limits: Sequence[tuple[Literal["requests", "tokens"], int | None]] = (
                ("requests", quota.requests),
                ("tokens", quota.tokens),
            )
            found += [
                QuotaCounter(rule, layer, document.policy_id, whose, counted, window, limit)
                for counted, limit in limits
                if limit is not None
            ]
    return found


def _each(quotas: Quotas | None) -> Sequence[Quota]:
    if quotas is None:
        return ()
    return (quotas,) if isinstance(quotas, Quota) else quotas


def exhausted(counters: Sequence[QuotaCounter], used: Mapping[str, int], now: datetime) -> list[QuotaResult]:
    """Return the quotas that are used up before a request, by what their counters have.

    A request needs one request left, and at least one token: what it will cost is known after the answer only, so that
    the last request of a window may go past its tokens, by itself alone.
    """
    return [counter.used_up(now) for counter in counters if used.get(counter.key, 0) >= counter.limit]


def reservation(counters: Sequence[QuotaCounter]) -> dict[str, int]:
    """Return what a request adds before it is sent: one to each counter of requests."""
    return {counter.key: 1 for counter in counters if counter.counted == "requests"}


def settlement(
    counters: Sequence[QuotaCounter], *, tokens: int | None, estimate: int, reached_model: bool
) -> dict[str, int]:
    """Return what is added after the answer: its tokens, or a reserved request back if the model was never asked.

    ``tokens`` are the upstream's usage, None if it sent none (a stream that ended early): then ``estimate`` is counted,
    so that a client cannot avoid its quota by closing the connection.
    """
    if not reached_model:
        return {counter.key: -1 for counter in counters if counter.counted == "requests"}
    spent = estimate if tokens is None else tokens
    return {counter.key: spent for counter in counters if counter.counted == "tokens" and spent > 0}
