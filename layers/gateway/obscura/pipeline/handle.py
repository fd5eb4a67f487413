"""The sequence: admit, read, select the model, load, prepare and moderate the content, call the upstream."""

from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from obscura.auth.access import AccessRequest, Principal, admission
from obscura.auth.base import KeyScope
from obscura.dialects.base import CallerApi, CallerDialect, ParsedRequest, UpstreamBody
from obscura.dialects.json.raw import Node, RawJson
from obscura.execution import run_off_loop
from obscura.memory_budget import request_memory
from obscura.pipeline.call_upstream import call_model, passed_on
from obscura.pipeline.check_content import CheckedContent, ContentCheck
from obscura.pipeline.image_history import LEFT_OUT_HEADER, limit_images
from obscura.pipeline.load_images import require_video_allowed
from obscura.pipeline.members import narrowed, only
from obscura.pipeline.metering import Metering, expected_use
from obscura.pipeline.moderate import with_text_limit
from obscura.pipeline.policy_fields import take_policy_fields
from obscura.pipeline.read_body import read_and_parse
from obscura.pipeline.request import GatewayRequest, GatewayResponse
from obscura.pipeline.select_model import select_model
from obscura.pipeline.services import Services
from obscura.pipeline.sight import describing_of
from obscura.pipeline.unmoderated import UNMODERATED_HEADER, require_checkable, unmoderated_types
from obscura.pipeline.upstream_state import require_files_allowed, require_nothing_kept, require_own_state
from obscura.upstreams.base import CatalogModel

if TYPE_CHECKING:
    from obscura.pipeline.describe import Describing

STORED_DIALECT = "responses"
"""The dialect whose answers may be stored."""

OFF_LOOP_IMAGE_BYTES = 1024 * 1024
"""Of prepared images that are written into a request: copying more takes over a millisecond."""
OFF_LOOP_HASHED_BYTES = OFF_LOOP_IMAGE_BYTES // 4
"""Of those that are hashed for it."""


@asynccontextmanager
async def handle_request(
    request: GatewayRequest, dialect: CallerDialect, services: Services
) -> AsyncIterator[GatewayResponse]:
    """Handle one request; its response is valid as long as the context.

    Raises an ObscuraError for every response but a success. Once a stream has begun, iterating it may still raise
    UpstreamError or UpstreamTimeout.
    """
    async with admission(access_request(request, dialect, uses_free_quota=True), services.access_control) as principal:
        approved = await _approve(request, principal, dialect, services)
        headers, metering = approved.headers, approved.metering
        headers |= await metering.reserve()
        request.record.left_gateway = True
        try:
            with request.record.timed_step("relay"):
                calling = approved.call()
                del approved  # what the upstream has been sent is not held while its response is relayed
                response = metering.metered(await calling)
                request_memory().release()
                try:
                    response.headers.update(headers)
                    yield response
                finally:
                    await response.aclose()
        finally:
            await metering.settle()


def access_request(
    request: GatewayRequest, dialect: CallerApi, *, uses_free_quota: bool, scope: KeyScope | None = None
) -> AccessRequest:
    """Return what access control reads of a request; ``uses_free_quota`` for one that the free tier counts.

    ``scope`` is what a key needs, by default that of the dialect.
    """
    return AccessRequest(
        request.head.headers,
        request.address,
        scope or KeyScope(dialect.name),
        request.record,
        uses_free_quota,
        dialect.credential_headers,
    )


@dataclass(frozen=True, slots=True)
class SelectedRequest[R: ParsedRequest]:
    """A parsed request, the model that it goes to, and the types of what goes there unmoderated.

    The event loop does no work that grows with the body if that ``is_large``.
    """

    parsed: R
    model: CatalogModel
    unmoderated: Sequence[str]
    is_large: bool
    policy_fields: Mapping[str, str | Node]
    images_left_out: int = 0


async def read_and_select[R: ParsedRequest](
    request: GatewayRequest, principal: Principal, dialect: CallerDialect[R], services: Services
) -> SelectedRequest[R]:
    """Read a request, check its limits, and select its model: all that needs no more than the body and the catalog."""
    record, limits = request.record, services.limits
    content = with_text_limit(limits.content, limits.text_chars, anonymous=principal.anonymous)

    def parse(body: RawJson) -> tuple[R, Mapping[str, str | Node]]:
        policy_fields = take_policy_fields(body)
        return dialect.parse(request.head, body, content), policy_fields

    with record.timed_step("read"):
        if services.responses is None or dialect.name != STORED_DIALECT:
            body, turn = await read_and_parse(request, limits.body_bytes, content.items, parse), None
        else:
            from obscura.pipeline.stored_turn import read_stored_turn

            body, turn = await read_stored_turn(request, principal, services, services.responses, parse)
    (parsed, policy_fields), is_large = body.parsed, body.is_large
    record.model, record.streamed = parsed.model, parsed.streamed
    require_video_allowed(principal, parsed)
    require_files_allowed(parsed, principal, turn.has if turn else None)
    require_nothing_kept(parsed, principal, native=False)
    with record.timed_step("choose"):
        model = await select_model(parsed, services.catalog)
        left_out = limit_images(parsed, model, content, request.head.headers)

        async def check(model: CatalogModel) -> None:
            require_checkable(parsed, model, principal, refuse_unmoderated=limits.refuse_unmoderated)
            options, native = model.chat_options(), dialect.name in model.dialects
            if turn is not None:
                turn.require_found(upstream_may_know=native and (limits.allow_upstream_state or model.account_state))
            await run_off_loop(lambda: parsed.check_translatable(model.dialects, options), off_loop=is_large)
            require_nothing_kept(parsed, principal, native=native)
            require_own_state(parsed, model, native=native, allowed=limits.allow_upstream_state)

        if model.members:
            model = await narrowed(parsed, model, dialect.name, check)
        else:
            await check(model)
    unmoderated = unmoderated_types(parsed)
    if principal.zero_retention:
        parsed.keep_nothing_upstream(store_field=model.store_field)
    return SelectedRequest(parsed, model, unmoderated, is_large, policy_fields, left_out)


@dataclass(frozen=True, slots=True)
class PreparedRequest[R: ParsedRequest]:
    """A request whose images are prepared, and moderated if it goes to an upstream."""

    parsed: R
    model: CatalogModel
    content: CheckedContent
    unmoderated: Sequence[str]
    is_large: bool
    images_left_out: int = 0

    @classmethod
    def of(cls, selected: SelectedRequest[R], content: CheckedContent) -> "PreparedRequest[R]":
        """Return a selected request with its content."""
        return cls(
            selected.parsed,
            selected.model,
            content,
            selected.unmoderated,
            selected.is_large,
            selected.images_left_out,
        )

    @property
    def image_tokens(self) -> list[int]:
        """The tokens of each image and each page of a document, in request order."""
        return [image.tokens for image in self.content.images_and_pages]

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the response: each image's tokens, how many were left out, what was not moderated."""
        headers = {}
        if image_tokens := ",".join(map(str, self.image_tokens)):
            headers["x-image-tokens"] = image_tokens
        if self.images_left_out:
            headers[LEFT_OUT_HEADER] = str(self.images_left_out)
        if self.unmoderated:
            headers[UNMODERATED_HEADER] = ",".join(self.unmoderated)
        return headers

    async def call(
        self,
        request: GatewayRequest,
        principal: Principal,
        finish: Callable[[UpstreamBody], UpstreamBody] | None = None,
        describing: "Describing | None" = None,
    ) -> "UpstreamCall":
        """Return the call of the upstream, or of those of a group, with the very images that were moderated.

        With ``describing`` their descriptions are made first, as a part of the call.

        ``finish`` completes what was rendered for an upstream. The call of a group holds the request that was parsed.
        """
        if describing is not None:
            from obscura.pipeline.describe import described_call

            return partial(described_call, self, describing, request, principal, finish)
        image_bytes = sum(len(image.data_url) for image in self.content.images_and_pages)
        hashed = any(model.image_uuids for model in self.model.asked)
        off_loop = self.is_large or image_bytes > (OFF_LOOP_HASHED_BYTES if hashed else OFF_LOOP_IMAGE_BYTES)
        if self.model.members:
            from obscura.pipeline.fallback import group_call

            if self.parsed.images or self.parsed.documents:
                await run_off_loop(lambda: self.content.replace(self.parsed.images), off_loop=off_loop)
            return group_call(self, request, finish, off_loop=off_loop, zero_retention=principal.zero_retention)
        body = await run_off_loop(self._render, off_loop=off_loop)
        body = finish(body) if finish else body
        if self.model.image_files is not None and self.content.images:
            from obscura.pipeline.image_files import call_with_files

            return await call_with_files(self, body, request, principal, finish)
        return partial(call_model, body, self.model, self.image_tokens, request.record)

    def _render(self) -> UpstreamBody:
        self.content.replace(self.parsed.images)
        return self.parsed.to_upstream(self.model.dialects, self.model.chat_options())


type UpstreamCall = Callable[[], Coroutine[None, None, GatewayResponse]]
"""Calls the upstream; raises what ``call_upstream`` raises."""


async def prepare_and_moderate[R: ParsedRequest](  # noqa: PLR0913 - a request, and what becomes of its content
    selected: SelectedRequest[R],
    request: GatewayRequest,
    principal: Principal,
    services: Services,
    *,
    moderated: bool,
    decoded: bool = True,
) -> PreparedRequest[R]:
    """Load and prepare what a request carries, and moderate it if it goes to an upstream.

    Images that are not to be ``decoded`` are only counted, by their headers.
    """
    check = ContentCheck.of(request.record, principal, selected.model, services, moderated=moderated, decoded=decoded)
    content = await check.run(selected.parsed)
    request.record.images = [image.record for image in content.images_and_pages]
    return PreparedRequest.of(selected, content)


@dataclass(frozen=True, slots=True)
class _ApprovedRequest:
    """A request that may go upstream, without the parsed one, unless a group may need it: its megabytes are free."""

    call: UpstreamCall
    headers: dict[str, str]
    metering: Metering


async def _approve(
    request: GatewayRequest, principal: Principal, dialect: CallerDialect, services: Services
) -> _ApprovedRequest:
    selected = await read_and_select(request, principal, dialect, services)
    prepared = await prepare_and_moderate(selected, request, principal, services, moderated=True)
    sees = prepared.model.sees_through is None
    describing = None if sees else await describing_of(prepared, request, principal, services)
    expected = expected_use(prepared.parsed, prepared.model, prepared.image_tokens, describing)
    metering = Metering(request, principal, services, prepared.model, expected, describing)
    finish = partial(passed_on, request, principal, dialect, services)
    return _ApprovedRequest(await prepared.call(request, principal, finish, describing), prepared.headers, metering)


ESTIMATE_HEADER = "x-token-estimate"


class CountableRequest(ParsedRequest, Protocol):
    """A parsed request whose tokens can be counted."""

    def upstream_can_count(self, dialects: Collection[str]) -> bool:
        """Whether an upstream that speaks ``dialects`` counts the tokens of what ``to_upstream`` returns."""
        ...

    def estimate(self, image_tokens: Sequence[int]) -> bytes:
        """Return a response made without an upstream, marked as an estimate."""
        ...


@asynccontextmanager
async def handle_count_tokens(
    request: GatewayRequest, dialect: CallerDialect[CountableRequest], services: Services
) -> AsyncIterator[GatewayResponse]:
    """Count the tokens of a request; it is moderated only if it goes to an upstream, one that can count.

    Raises an ObscuraError for every response but a success.
    """
    async with admission(access_request(request, dialect, uses_free_quota=False), services.access_control) as principal:
        selected = await read_and_select(request, principal, dialect, services)
        can_count = selected.parsed.upstream_can_count
        selected = replace(selected, model=only(selected.model, lambda member: can_count(member.dialects)))
        described = bool(selected.model.sees_through and (selected.parsed.images or selected.parsed.documents))
        counted = can_count(selected.model.dialects) and not described  # the upstream may not get the images
        prepared = await prepare_and_moderate(
            selected, request, principal, services, moderated=counted, decoded=counted
        )
        if not counted:
            headers = prepared.headers | {ESTIMATE_HEADER: "true"}
            estimate = await run_off_loop(
                lambda: prepared.parsed.estimate(prepared.image_tokens), off_loop=prepared.is_large
            )
            yield GatewayResponse(200, "application/json", estimate, headers)
            return
        finish = partial(passed_on, request, principal, dialect, services)
        call = await prepared.call(request, principal, finish)
        with request.record.timed_step("relay"):
            response = await call()
            response.headers.update(prepared.headers)
            yield response
