"""Usage as it is shown: rows summed by key, model, day, or some of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from obscura.usage.base import UsageCounts, UsageRow

type Group = Literal["day", "key", "model"]
GROUPS: tuple[Group, ...] = ("day", "key", "model")


@dataclass(frozen=True, slots=True)
class UsageObject:
    """The sums of a group: its key, model and day, as far as rows are not summed over them."""

    group: dict[str, str]
    counts: UsageCounts

    @staticmethod
    def count_names() -> list[str]:
        """Return the names of the counts, in their order."""
        return list(_counts(UsageCounts()))

    def shown(self) -> dict[str, str | int | float]:
        """Return the object as JSON has it."""
        return {**self.group, **_counts(self.counts)}


def _counts(counts: UsageCounts) -> dict[str, int | float]:
    return {
        "requests": counts.requests,
        "images": counts.images,
        "input_tokens": counts.input_tokens,
        "cached_tokens": counts.cached_tokens,
        "image_tokens": counts.image_tokens,
        "output_tokens": counts.output_tokens,
        "estimated_cost_usd": counts.cost_usd,
    }


def grouped(rows: Iterable[UsageRow], groups: Sequence[str]) -> list[UsageObject]:
    """Sum rows by ``groups``, in the order of these."""
    sums: dict[tuple[str, ...], UsageCounts] = {}
    for row in rows:
        of = {"day": row.key.day.isoformat(), "key": row.key.subject, "model": row.key.model}
        sums.setdefault(tuple(of[name] for name in groups), UsageCounts()).add(row.counts)
    return [UsageObject(dict(zip(groups, names, strict=True)), counts) for names, counts in sorted(sums.items())]
