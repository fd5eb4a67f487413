"""Names and lifetimes of the counters of policies, the same in every store."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from obscura.policy.quotas import window_at
from obscura.policy.rollout import BUCKET_S

HOUR_S = 3600
BUCKETS_IN_HOUR = HOUR_S // BUCKET_S
DAY_S = 24 * HOUR_S

KEPT_COUNT_S = 25 * HOUR_S
"""For how long the count of a minute is kept: a rollout's window has at most 1,440 minutes."""

KEPT_ROLLBACK_S = 9 * DAY_S
"""For how long a rollback is kept: a cooldown of at most 10,080 minutes, and the window after it."""

_WINDOWS: dict[str, Literal["day", "week", "month"]] = {"day": "day", "week": "week", "month": "month"}


@dataclass(frozen=True, slots=True)
class QuotaRow:
    """A quota's counter as the stores of request counters name theirs: a subject, and a window in Unix seconds."""

    subject: str
    begins_at_s: int
    ends_at_s: int


def quota_row(key: str) -> QuotaRow:
    """Return the row of a counter by its key (``QuotaCounter.key``), which ends in its window's name and start."""
    subject, window, start = key.rsplit("#", 2)
    begins_at_s = int(start)
    ends_at_s = window_at(_WINDOWS[window], datetime.fromtimestamp(begins_at_s, UTC)).ends_at_s
    return QuotaRow(f"quota#{subject}#{window}", begins_at_s, ends_at_s)


def rollout_subject(policy_id: str, version: int) -> str:
    """Return the subject of a version's counts by the minute; no policy id has a ``#``."""
    return f"rollout#{policy_id}#{version}"


def rollback_subject(policy_id: str, version: int) -> str:
    """Return the subject of a version's last rollback."""
    return f"rollback#{policy_id}#{version}"


def to_microseconds(at_s: float) -> int:
    """Return an instant as the whole number that stores keep: exact below a microsecond until the year 2255."""
    return round(at_s * 1e6)


def from_microseconds(at: int) -> float:
    """Return the instant in Unix seconds."""
    return at / 1e6
