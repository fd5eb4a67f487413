"""The values of usage, its prices, and the Protocols of its stores."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal, Protocol

MICRO = 1_000_000
"""Money is counted in whole millionths of a US dollar, so that sums are exact."""

DEFAULT_MAX_OUTPUT = 4_096
"""Tokens of an answer that a budget reserves where neither the request nor the catalog has a limit."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of a request and its answer.

    input    of the request, ``cached`` and ``image`` among them
    output   of the answer, reasoning among them
    cached   what the upstream read from its prompt cache
    image    of the images, as the gateway counts them
    """

    input: int = 0
    output: int = 0
    cached: int = 0
    image: int = 0

    @property
    def total(self) -> int:
        """Of both."""
        return self.input + self.output

    def plus(self, other: "Tokens") -> "Tokens":
        """Return the sum of these and others."""
        return Tokens(
            self.input + other.input,
            self.output + other.output,
            self.cached + other.cached,
            self.image + other.image,
        )


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars for a million tokens; cached and image tokens cost what input costs where they have no price."""

    input_per_million: float
    output_per_million: float
    cached_per_million: float | None = None
    image_per_million: float | None = None

    def microusd(self, tokens: Tokens) -> int:
        """Return the cost of these tokens in millionths of a dollar, rounded up.

        A cached image is charged as cached: upstreams do not say which of the tokens they had.
        """
        image = min(tokens.image, max(0, tokens.input - tokens.cached))
        text = max(0, tokens.input - tokens.cached - image)
        cost = (
            text * self.input_per_million
            + tokens.cached * _else(self.cached_per_million, self.input_per_million)
            + image * _else(self.image_per_million, self.input_per_million)
            + tokens.output * self.output_per_million
        )
        return math.ceil(round(cost, 6))


def _else(price: float | None, default: float) -> float:
    return default if price is None else price


@dataclass(slots=True)
class UsageCounts:
    """What was used; sums of requests that were answered."""

    requests: int = 0
    images: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    image_tokens: int = 0
    cost_microusd: int = 0

    def add(self, other: "UsageCounts") -> None:
        """Add the counts of others."""
        for name in COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def cost_usd(self) -> float:
        """The cost in dollars."""
        return self.cost_microusd / MICRO


COUNTS = tuple(UsageCounts.__dataclass_fields__)


@dataclass(frozen=True, slots=True)
class UsageKey:
    """Whose usage, of which model, on which day (UTC): ``subject`` is a key's id, or what stands for other callers."""

    subject: str
    project: str
    model: str
    day: date


@dataclass(frozen=True, slots=True)
class UsageRow:
    """The counts of one key, model and day."""

    key: UsageKey
    counts: UsageCounts


class UsageStore(Protocol):
    """Usage by key, model and day, kept for ``KEPT_DAYS``. Every method raises StoreUnavailable."""

    async def add(self, rows: Sequence[UsageRow]) -> None:
        """Add to the counts; exact under any concurrency, but a call that fails may have been counted in part."""
        ...

    async def rows(self, first: date, last: date, subject: str | None = None) -> Sequence[UsageRow]:
        """Return the counts of these days, of all or of one key, by day, key and model."""
        ...


KEPT_DAYS = 400


@dataclass(frozen=True, slots=True)
class Budget:
    """How much a key may use in a calendar window (UTC): tokens, or millionths of a dollar."""

    counted: Literal["tokens", "cost"]
    window: Literal["day", "month"]
    limit: int


def format_budgets(budgets: Sequence[Budget]) -> str:
    """Return budgets as stores of keys have them: ``tokens/day=1000 cost/month=5000000``."""
    return " ".join(f"{each.counted}/{each.window}={each.limit}" for each in budgets)


def parse_budgets(text: str) -> tuple[Budget, ...]:
    """Read what ``format_budgets`` wrote; raises ValueError for anything else."""
    return tuple(_parse_budget(word) for word in text.split())


def _parse_budget(text: str) -> Budget:
    name, _, limit = text.partition("=")
    return Budget(*_BUDGETS[name], int(limit)) if name in _BUDGETS else _unknown(text)


def _unknown(text: str) -> Budget:
    raise ValueError(f"{text!r} is no budget")


_BUDGETS: dict[str, tuple[Literal["tokens", "cost"], Literal["day", "month"]]] = {
    "tokens/day": ("tokens", "day"),
    "tokens/month": ("tokens", "month"),
    "cost/day": ("cost", "day"),
    "cost/month": ("cost", "month"),
}


@dataclass(frozen=True, slots=True)
class BudgetCounter:
    """The counter of one budget in the window of an instant, in whole seconds since 1970."""

    budget: Budget
    subject: str
    begins_at_s: int
    ends_at_s: int

    @property
    def name(self) -> str:
        """Its name in a store."""
        return f"budget:{self.subject}:{self.budget.counted}:{self.budget.window}"

    @property
    def kept_until_s(self) -> int:
        """When a store may forget it: after requests that last past its end are settled."""
        return self.ends_at_s + 2 * 24 * 60 * 60


def counter_at(budget: Budget, subject: str, now: datetime) -> BudgetCounter:
    """Return the counter that holds at ``now``."""
    begins = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    ends = begins + timedelta(days=1)
    if budget.window == "month":
        begins = begins.replace(day=1)
        ends = (begins + timedelta(days=32)).replace(day=1)
    return BudgetCounter(budget, subject, int(begins.timestamp()), int(ends.timestamp()))


class BudgetExceeded(Exception):
    """A budget has not enough left; ``used`` is None where the store does not report it."""

    def __init__(self, counter: BudgetCounter, used: int | None = None) -> None:
        super().__init__(counter.name)
        self.counter = counter
        self.used = used


class BudgetStore(Protocol):
    """Budgets of keys. Every method raises StoreUnavailable."""

    async def reserve(self, amounts: Sequence[tuple[BudgetCounter, int]]) -> Sequence[int | None]:
        """Add each amount to its counter if all stay within their limits, and return what each has left then.

        None stands for what the store does not report. Raises BudgetExceeded, and adds none, if one has less. Exact
        under any concurrency.
        """
        ...

    async def settle(self, changes: Sequence[tuple[BudgetCounter, int]]) -> None:
        """Add to counters, which may go past their limits; none falls below zero."""
        ...

    async def used(self, counters: Sequence[BudgetCounter]) -> Sequence[int]:
        """Return the count of each."""
        ...
