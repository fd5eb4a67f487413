"""Ask the members of a group one after the other, until one answers; never after a byte was sent (ADR 165)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from obscura.access_record import AccessRecord
from obscura.dialects.base import ParsedRequest, UpstreamBody
from obscura.errors import (
    ObscuraError,
    RateLimitExceeded,
    UpstreamBilling,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from obscura.execution import run_off_loop
from obscura.pipeline.call_upstream import UPSTREAM_HEADER, call_upstream
from obscura.pipeline.first_event import FirstEvent, nothing_came
from obscura.pipeline.request import GatewayRequest, GatewayResponse, StreamingBody
from obscura.upstreams.base import CatalogModel
from obscura.upstreams.breaker import Attempt, CircuitBreaker

if TYPE_CHECKING:
    from obscura.pipeline.handle import PreparedRequest

_TELLING = (RateLimitExceeded, UpstreamError, UpstreamTimeout, UpstreamUnavailable, UpstreamBilling)
"""The errors after which the next member is asked, the most telling one first: how long to wait, what failed, that
nothing came, that nothing was reached; the operator's bill only if there is nothing else."""

_SETTLED_S = 0.05
"""How long before its deadline a cancelled call counts as ended by it."""


@dataclass(slots=True)
class GroupCall:
    """A request that is prepared, moderated and approved, and the group that it goes to.

    ``render`` writes it for one member, with the same images, ``off_loop`` if that takes long; ``expires_at_s`` is its
    deadline by the loop's clock.
    """

    group: CatalogModel
    render: Callable[[CatalogModel], UpstreamBody]
    off_loop: bool
    image_tokens: list[int]
    record: AccessRecord
    expires_at_s: float | None = None

    async def response(self) -> GatewayResponse:
        """Return the first answer, to be closed in any case; the head of a stream comes with its first event.

        Raises the error about the request of the first member that has one; if all fail, the most telling error.
        """
        failures: list[tuple[CatalogModel, ObscuraError]] = []
        waits_s: list[int] = []
        alone = len(self.group.members) == 1
        for member in self.group.members:
            breaker = member.breaker or CircuitBreaker()
            attempt = Attempt.ORDINARY if alone else breaker.admit()
            if attempt is None:
                waits_s.append(breaker.wait_s)
                continue
            self.record.upstream = member.upstream_name
            self.record.upstreams_asked = len(failures) + 1
            try:
                response = await self._ask(member)
            except _TELLING as failure:
                breaker.failed(attempt, failure.retry_after_s)
                self.record.upstream_calls.append((member.upstream_name, failure.code))
                failures.append((member, failure))
            except ObscuraError as error:
                breaker.succeeded(attempt)
                self.record.upstream_calls.append((member.upstream_name, error.code))
                raise _named(error, member) from None
            except BaseException:
                self._abandon(breaker, attempt)
                self.record.upstream_calls.append((member.upstream_name, "cancelled"))
                raise
            else:
                breaker.succeeded(attempt)
                self.record.upstream_calls.append((member.upstream_name, "ok"))
                response.headers.update(_name_header(member))
                return response
        raise self._most_telling(failures, waits_s)

    async def _ask(self, member: CatalogModel) -> GatewayResponse:
        rendered = self.render(member) if not self.off_loop else await run_off_loop(lambda: self.render(member))
        response = await call_upstream(rendered, member.upstream, self.image_tokens)
        body = response.body
        if isinstance(body, bytes):
            return response
        try:
            return replace(response, body=await _begun(body))
        except BaseException:
            await body.aclose()
            raise

    def _abandon(self, breaker: CircuitBreaker, attempt: Attempt) -> None:
        """A call that the request's own deadline ended has failed; one whose caller went away shows nothing."""
        expires_at_s = self.expires_at_s
        if expires_at_s is not None and asyncio.get_running_loop().time() >= expires_at_s - _SETTLED_S:
            breaker.failed(attempt)
        else:
            breaker.abandoned(attempt)

    def _most_telling(self, failures: list[tuple[CatalogModel, ObscuraError]], waits_s: list[int]) -> ObscuraError:
        waits_s += [error.retry_after_s for _, error in failures if error.retry_after_s is not None]
        if not failures:
            self.record.upstreams_asked = 0
            return UpstreamUnavailable(
                "Every upstream of this model has failed several times in a row, and is not asked for now. "
                f"Try again in {min(waits_s)} s.",
                retry_after_s=min(waits_s),
            )
        member, error = min(failures, key=lambda failure: _rank(failure[1]))
        self.record.upstream = member.upstream_name
        telling = _named(error, member)
        if waits_s and telling.retry_after_s != min(waits_s):
            telling.retry_after_s = min(waits_s)
            telling.headers.pop("retry-after-ms", None)  # of one upstream, and longer
        return telling


def group_call[R: ParsedRequest](
    prepared: "PreparedRequest[R]",
    request: GatewayRequest,
    finish: Callable[[UpstreamBody], UpstreamBody] | None,
    *,
    off_loop: bool,
    zero_retention: bool,
) -> Callable[[], Coroutine[None, None, GatewayResponse]]:
    """Return the call of a group with a request whose images are replaced."""
    parsed = prepared.parsed

    def rendered(member: CatalogModel) -> UpstreamBody:
        if zero_retention:
            parsed.keep_nothing_upstream(store_field=member.store_field)
        parsed.rename_model(member.id)
        body = parsed.to_upstream(member.dialects, member.chat_options())
        if body.token_limit is not None:  # what is learned of it is learned of the model there
            body = replace(body, token_limit=replace(body.token_limit, model=member.id))
        return finish(body) if finish else body

    tokens, record = prepared.image_tokens, request.record
    return GroupCall(prepared.model, rendered, off_loop, tokens, record, request.expires_at_s).response


def _rank(error: Exception) -> int:
    return next(rank for rank, kind in enumerate(_TELLING) if isinstance(error, kind))


def _named(error: ObscuraError, member: CatalogModel) -> ObscuraError:
    """Return a copy of an error that names whose it is."""
    named = error.at("")
    named.param = error.param
    named.headers |= _name_header(member)
    return named


def _name_header(member: CatalogModel) -> dict[str, str]:
    return {UPSTREAM_HEADER: member.upstream_name} if member.upstream_name else {}


async def _begun(body: StreamingBody) -> StreamingBody:
    """Return a stream whose first event was read; raises what it fails with before that."""
    first = FirstEvent()
    async for events in body.chunks:
        if first.feed(events):
            return replace(body, chunks=_Resumed(bytes(first.held), body.chunks))
    raise nothing_came()


class _Resumed:
    """A stream with what was read of it before; no generator, which would be one more in each frame's way."""

    __slots__ = ("_first", "_rest")

    def __init__(self, first: bytes, rest: AsyncIterator[bytes]) -> None:
        self._first: bytes | None = first
        self._rest = rest

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    def __anext__(self) -> Awaitable[bytes]:
        if self._first is None:
            return self._rest.__anext__()
        first, self._first = self._first, None
        return _given(first)


async def _given(events: bytes) -> bytes:
    return events
