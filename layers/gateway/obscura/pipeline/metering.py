"""What one request uses: its key's budgets reserved and settled, its tokens counted, its cost in the answer."""

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol

from obscura.access_record import duration
from obscura.auth.access import Principal, is_false
from obscura.dialects.base import ParsedRequest
from obscura.errors import PermissionDenied, QuotaExceeded, StoreUnavailable
from obscura.execution import run_off_loop, to_the_end
from obscura.pipeline.call_upstream import OFF_LOOP_BYTES
from obscura.pipeline.request import GatewayRequest, GatewayResponse, StreamingBody
from obscura.pipeline.services import Services
from obscura.upstreams.base import CatalogModel
from obscura.usage.base import (
    DEFAULT_MAX_OUTPUT,
    MICRO,
    Budget,
    BudgetCounter,
    BudgetExceeded,
    Tokens,
    UsageCounts,
    UsageKey,
    counter_at,
)
from obscura.usage.read import (
    BYTES_PER_TOKEN,
    COST_FIELD,
    UsageReader,
    line_with_cost,
    line_with_tokens,
    read_answer,
    read_line,
    with_cost,
    with_tokens,
)

COST_HEADER = "x-obscura-cost"


@dataclass(frozen=True, slots=True)
class Expected:
    """What a request may use, as it is counted before it is sent."""

    tokens: Tokens
    images: int


class DescribedUse(Protocol):
    """What describing the images of a request uses, beside the model that answers (``pipeline.describe``)."""

    @property
    def model(self) -> CatalogModel:
        """The model that describes."""
        ...

    @property
    def expected(self) -> Tokens:
        """What it may use, counted before its first call."""
        ...

    @property
    def expected_text_tokens(self) -> int:
        """How many tokens of descriptions the model that answers reads, at most."""
        ...

    @property
    def used(self) -> Tokens:
        """What it has used so far."""
        ...


def expected_use(
    parsed: ParsedRequest, model: CatalogModel, image_tokens: Sequence[int], described: DescribedUse | None = None
) -> Expected:
    """Return the counted input, and as output the limit of the request, or else that of the model.

    The model that answers reads the texts in the place of images that are ``described``.
    """
    images = sum(image_tokens) if described is None else 0
    text = 0 if described is None else described.expected_text_tokens
    text += sum(len(text) for text in parsed.texts) // BYTES_PER_TOKEN + 1
    output = parsed.max_output_tokens or model.max_output or DEFAULT_MAX_OUTPUT
    return Expected(Tokens(text + images, output, image=images), len(image_tokens))


class Metering:
    """One request's usage, from its reservation to its settlement."""

    def __init__(  # noqa: PLR0913, PLR0917 - a request, and what it may use
        self,
        request: GatewayRequest,
        principal: Principal,
        services: Services,
        model: CatalogModel,
        expected: Expected,
        described: DescribedUse | None = None,
    ) -> None:
        """Nothing is reserved yet."""
        self._record = request.record
        self._described = described
        self._principal = principal
        self._services = services
        self._model = model
        self._expected = expected
        self._now = services.clock.now()
        self._reader = UsageReader(expected.tokens.input, expected.tokens.image)
        self._shows_cost = services.limits.shows_cost or _asks_for_cost(request)
        self._reserved: list[tuple[BudgetCounter, int]] = []
        self._answered = False
        self._generated = 0

    async def reserve(self) -> dict[str, str]:
        """Take what the request may use off its key's budgets, and return the headers that say what is left.

        Raises QuotaExceeded if a budget has less; PermissionDenied if one is in money and the model has no prices.
        """
        if not self._principal.budgets:
            return {}
        amounts = [
            (
                counter_at(budget, self._principal.usage_subject, self._now),
                self._amount(budget, self._expected.tokens, self._described.expected if self._described else Tokens()),
            )
            for budget in self._principal.budgets
        ]
        try:
            left = await self._services.budgets.reserve(amounts)
        except BudgetExceeded as exceeded:
            amount = next(amount for counter, amount in amounts if counter is exceeded.counter)
            raise _quota_exceeded(exceeded, amount, self._now) from None
        self._reserved = amounts
        # A store that reports nothing: what this request alone leaves, an upper bound.
        known = [
            counter.budget.limit - amount if rest is None else rest
            for rest, (counter, amount) in zip(left, amounts, strict=True)
        ]
        return _token_headers([counter for counter, _ in amounts], known, self._now)

    def metered(self, response: GatewayResponse) -> GatewayResponse:
        """Return a response whose usage is read as it passes, with its cost if the caller asked for that."""
        self._answered = True
        if isinstance(response.body, bytes):
            body = response.body
            read_answer(body, self._reader)
            if self._described is not None:
                body = with_tokens(body, self._described.used)
            cost_usd = self._cost_usd() if self._shows_cost else None
            body = body if cost_usd is None else with_cost(body, cost_usd)
            return response if body is response.body else replace(response, body=body)
        upstream = response.body
        return replace(response, body=StreamingBody(self._passed(upstream.chunks), upstream.fail, upstream.aclose))

    def count_generated(self, usage: dict[str, Any] | None, images: int, image_tokens: int) -> dict[str, Any] | None:
        """Count what an answer with generated images used, and return the usage for the caller.

        Where the upstream says nothing, the output is ``image_tokens``. Its cost is added if the caller asked for it.
        """
        self._answered = True
        self._generated += images
        details = (usage or {}).get("input_tokens_details")
        if isinstance(details, dict) and isinstance(details.get("image_tokens"), int):
            self._reader.count_images(max(0, details["image_tokens"]))
        self._reader.read({"output_tokens": image_tokens} | (usage or {}))
        cost_usd = self._cost_usd() if self._shows_cost else None
        if cost_usd is None:
            return usage
        tokens = self._reader.tokens
        counted = {"input_tokens": tokens.input, "output_tokens": tokens.output, "total_tokens": tokens.total}
        split = {"input_tokens_details": {"text_tokens": tokens.input - tokens.image, "image_tokens": tokens.image}}
        return counted | split | (usage or {}) | {COST_FIELD: cost_usd}

    async def _passed(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        reader = self._reader
        async for chunk in chunks:
            reader.add_bytes(len(chunk))
            if b'"usage"' not in chunk:
                yield chunk
                continue
            yield await run_off_loop(partial(self._read_lines, chunk), off_loop=len(chunk) > OFF_LOOP_BYTES)

    def _read_lines(self, lines: bytes) -> bytes:
        split = lines.splitlines(keepends=True)
        for line in split:
            read_line(line, self._reader)
        if self._described is not None:
            split = [line_with_tokens(line, self._described.used) for line in split]
            lines = b"".join(split)
        cost_usd = self._cost_usd() if self._shows_cost else None
        return lines if cost_usd is None else b"".join(line_with_cost(line, cost_usd) for line in split)

    async def settle(self) -> None:
        """Count what was used: to the key's budgets in the store, and to the sums that are written later.

        What the model was never asked, or refused, is released.
        """
        tokens = self._reader.tokens if self._answered else Tokens()
        if self._answered:
            self._count(self._model, tokens, requests=1, images=self._expected.images + self._generated)
            record = self._record
            record.input_tokens, record.output_tokens = tokens.input, tokens.output
            record.cached_tokens, record.image_tokens = tokens.cached, tokens.image
        used = self._described.used if self._described else Tokens()
        if self._described is not None and used.total:
            self._count(self._described.model, used)
        changes = [
            (counter, self._amount(counter.budget, tokens, used) - reserved) for counter, reserved in self._reserved
        ]
        if not changes:
            return

        async def add() -> None:
            with suppress(StoreUnavailable):  # the answer is complete by then; what was reserved stays counted
                await self._services.budgets.settle(changes)

        # A client that has its answer, or wants no more of it, ends the request: not what it has cost.
        await to_the_end(add())

    def _count(self, model: CatalogModel, tokens: Tokens, *, requests: int = 0, images: int = 0) -> None:
        key = UsageKey(
            self._principal.usage_subject, self._principal.project, model.id, self._now.astimezone(UTC).date()
        )
        counts = UsageCounts(
            requests=requests,
            images=images,
            input_tokens=tokens.input,
            output_tokens=tokens.output,
            cached_tokens=tokens.cached,
            image_tokens=tokens.image,
            cost_microusd=_microusd(model, tokens) or 0,
        )
        self._services.usage.add(key, counts)

    def _amount(self, budget: Budget, tokens: Tokens, described: Tokens) -> int:
        """Return what the tokens of the answer and those of descriptions count for a budget."""
        if budget.counted == "tokens":
            return tokens.total + described.total
        amount = _required_microusd(self._model, tokens)
        if self._described is not None and described.total:
            amount += _required_microusd(self._described.model, described)
        return amount

    def _cost_usd(self) -> float | None:
        microusd = _microusd(self._model, self._reader.tokens)
        if microusd is not None and self._described is not None and self._described.used.total:
            described = _microusd(self._described.model, self._described.used)
            microusd = None if described is None else microusd + described
        return None if microusd is None else microusd / MICRO


def _microusd(model: CatalogModel, tokens: Tokens) -> int | None:
    return None if model.prices is None else model.prices.microusd(tokens)


def _required_microusd(model: CatalogModel, tokens: Tokens) -> int:
    microusd = _microusd(model, tokens)
    if microusd is None:
        raise PermissionDenied(
            f"This API key has a budget in US dollars, and '{model.id[:100]}' has no prices here. Use a model with "
            "prices, or another key.",
            param="model",
        )
    return microusd


def _asks_for_cost(request: GatewayRequest) -> bool:
    value = request.head.headers.get(COST_HEADER)
    return value is not None and not is_false(value)


def _token_headers(counters: Sequence[BudgetCounter], left: Sequence[int], now: datetime) -> dict[str, str]:
    """Return OpenAI's headers of tokens, for the budget of tokens that ends first."""
    tokens = [pair for pair in zip(counters, left, strict=True) if pair[0].budget.counted == "tokens"]
    if not tokens:
        return {}
    counter, remaining = min(tokens, key=lambda each: each[0].ends_at_s)
    return {
        "x-ratelimit-limit-tokens": str(counter.budget.limit),
        "x-ratelimit-remaining-tokens": str(remaining),
        "x-ratelimit-reset-tokens": duration(counter.ends_at_s - now.timestamp()),
    }


def _quota_exceeded(exceeded: BudgetExceeded, amount: int, now: datetime) -> QuotaExceeded:
    counter = exceeded.counter
    budget = counter.budget
    wait_s = max(1, counter.ends_at_s - int(now.timestamp()))
    used = "" if exceeded.used is None else f" {_in_words(budget, exceeded.used)} of it are used or reserved."
    return QuotaExceeded(
        f"Over the budget of {_in_words(budget, budget.limit)} a {budget.window} of this API key.{used} This request "
        f"may use {_in_words(budget, amount)}: limit its answer (max_tokens), or wait for the next {budget.window} "
        f"(UTC), in {wait_s} s.",
        retry_after_s=wait_s,
    )


def _in_words(budget: Budget, amount: int) -> str:
    return f"{amount:,} tokens" if budget.counted == "tokens" else f"{amount / MICRO:.6f} USD"
