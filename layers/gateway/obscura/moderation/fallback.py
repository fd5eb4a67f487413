"""Several moderation endpoints: one is asked after the other until one gives a verdict; without any nothing passes.

What the endpoints say is not combined: the first verdict holds (ADR 168).
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from obscura.errors import ModerationUnavailable
from obscura.moderation.base import Moderator, Verdict
from obscura.moderation.openai import ContentRefused
from obscura.upstreams.breaker import Attempt, CircuitBreaker


@dataclass(frozen=True, slots=True)
class _Endpoint:
    moderator: Moderator
    breaker: CircuitBreaker = field(default_factory=CircuitBreaker)


type Review = Callable[[Moderator], Awaitable[Verdict]]


class FallbackModerator:
    """Implements ``Moderator`` over endpoints in order of preference; safe for any number of calls at once."""

    local = False

    def __init__(self, endpoints: Sequence[Moderator]) -> None:
        """``endpoints`` are at least one."""
        self.endpoints = tuple(endpoints)
        self._asked = [_Endpoint(moderator) for moderator in endpoints]
        self.breakers = {str(number): endpoint.breaker for number, endpoint in enumerate(self._asked, 1)}

    @property
    def identity(self) -> str:
        """That of the endpoint which is to be asked now: cached verdicts of no other are used."""
        closed = (endpoint.moderator for endpoint in self._asked if endpoint.breaker.is_closed)
        return next(closed, self.endpoints[0]).identity

    async def review_image(self, data_url: bytes) -> Verdict:
        """Review one prepared image."""
        return await self._first_verdict(lambda moderator: moderator.review_image(data_url))

    async def review_text(self, text: str) -> Verdict:
        """Review one piece of text."""
        return await self._first_verdict(lambda moderator: moderator.review_text(text))

    async def _first_verdict(self, review: Review) -> Verdict:
        """Return the first verdict; raises the first endpoint's error if there is none.

        If every circuit is open, all are asked all the same: nothing passes without a verdict.
        """
        failures: list[ModerationUnavailable] = []
        for endpoint in self._asked:
            attempt = endpoint.breaker.admit()
            if attempt is not None and (verdict := await self._ask(endpoint, attempt, review, failures)):
                return verdict
        if not failures:
            for endpoint in self._asked:
                if verdict := await self._ask(endpoint, Attempt.ORDINARY, review, failures):
                    return verdict
        raise failures[0]

    async def _ask(
        self, endpoint: _Endpoint, attempt: Attempt, review: Review, failures: list[ModerationUnavailable]
    ) -> Verdict | None:
        """Return an endpoint's verdict, or None, with its failure added."""
        try:
            verdict = await review(endpoint.moderator)
        except ContentRefused as refused:
            endpoint.breaker.abandoned(attempt)
            failures.append(refused)
        except ModerationUnavailable as failure:
            endpoint.breaker.failed(attempt, failure.retry_after_s)
            failures.append(failure)
        except BaseException:
            endpoint.breaker.abandoned(attempt)
            raise
        else:
            endpoint.breaker.succeeded(attempt)
            by_fallback = endpoint is not self._asked[0]
            return replace(verdict, reviewer=endpoint.moderator.identity, by_fallback=by_fallback)
        return None
