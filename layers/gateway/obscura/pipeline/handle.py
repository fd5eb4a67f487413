"""The sequence: admit, read, select the model, load, prepare and moderate the content, call the upstream."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from obscura.auth.access import AccessRequest, Principal, admission
from obscura.auth.base import KeyScope
from obscura.dialects.base import CallerDialect, ParsedRequest, UpstreamBody
from obscura.dialects.json.raw import Node, RawJson
from obscura.execution import run_off_loop
from obscura.memory_budget import request_memory
from obscura.pipeline.call_upstream import call_upstream
from obscura.pipeline.check_content import CheckedContent, ContentCheck
from obscura.pipeline.load_images import require_video_allowed
from obscura.pipeline.moderate import with_text_limit
from obscura.pipeline.policy_fields import take_policy_fields
from obscura.pipeline.read_body import read_and_parse
from obscura.pipeline.request import GatewayRequest, GatewayResponse
from obscura.pipeline.select_model import select_model
from obscura.pipeline.services import Services
from obscura.pipeline.unmoderated import UNMODERATED_HEADER, require_checkable
from obscura.pipeline.upstream_state import require_files_allowed, require_nothing_kept, require_own_state
from obscura.upstreams.base import CatalogModel
from obscura.upstreams.headers import IDEMPOTENCY_KEY, request_headers, request_query

STORED_DIALECT = "responses"
"""The dialect whose answers may be stored."""

OFF_LOOP_IMAGE_BYTES = 1024 * 1024
"""Of prepared images that are written into a request: copying more takes over a millisecond."""


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
        request.record.left_gateway = True
        with request.record.timed_step("relay"):
            headers = approved.headers
            calling = call_upstream(approved.body, approved.model.upstream, approved.image_tokens)
            del approved  # what the upstream has been sent is not held while its response is relayed
            response = await calling
            request_memory().release()
            try:
                response.headers.update(headers)
                yield response
            finally:
                await response.aclose()


def access_request(
    request: GatewayRequest, dialect: CallerDialect, *, uses_free_quota: bool, scope: KeyScope | None = None
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
    require_files_allowed(parsed, principal, stored=turn.file_ids if turn else frozenset())
    require_nothing_kept(parsed, principal, native=False)
    with record.timed_step("choose"):
        model = await select_model(parsed, services.catalog)
        unmoderated = require_checkable(parsed, model, principal, refuse_unmoderated=limits.refuse_unmoderated)
        native = dialect.name in model.dialects
        if turn is not None:
            turn.require_found(upstream_may_know=native and (limits.allow_upstream_state or model.account_state))
        await run_off_loop(lambda: parsed.check_translatable(model.dialects, model.chat_options()), off_loop=is_large)
        require_nothing_kept(parsed, principal, native=native)
        require_own_state(parsed, model, native=native, allowed=limits.allow_upstream_state)
    if principal.zero_retention:
        parsed.keep_nothing_upstream(store_field=model.store_field)
    return SelectedRequest(parsed, model, unmoderated, is_large, policy_fields)


@dataclass(frozen=True, slots=True)
class PreparedRequest[R: ParsedRequest]:
    """A request whose images are prepared, and moderated if it goes to an upstream."""

    parsed: R
    model: CatalogModel
    content: CheckedContent
    unmoderated: Sequence[str]
    is_large: bool

    @property
    def image_tokens(self) -> list[int]:
        """The tokens of each image and each page of a document, in request order."""
        return [image.tokens for image in self.content.images_and_pages]

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the response: the tokens of each image, and the types of what was not moderated."""
        image_tokens = ",".join(map(str, self.image_tokens))
        tokens = {"x-image-tokens": image_tokens} if image_tokens else {}
        return tokens | ({UNMODERATED_HEADER: ",".join(self.unmoderated)} if self.unmoderated else {})

    async def render(self) -> UpstreamBody:
        """Render the request for the upstream, with the very images that were moderated."""
        image_bytes = sum(len(image.data_url) for image in self.content.images_and_pages)
        return await run_off_loop(self._render, off_loop=self.is_large or image_bytes > OFF_LOOP_IMAGE_BYTES)

    def _render(self) -> UpstreamBody:
        self.content.replace(self.parsed.images)
        return self.parsed.to_upstream(self.model.dialects, self.model.chat_options())


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
    return PreparedRequest(selected.parsed, selected.model, content, selected.unmoderated, selected.is_large)


@dataclass(frozen=True, slots=True)
class _ApprovedRequest:
    """A request that may go upstream, without the parsed one, whose megabytes are free from here on."""

    model: CatalogModel
    body: UpstreamBody
    image_tokens: list[int]
    headers: dict[str, str]


async def _approve(
    request: GatewayRequest, principal: Principal, dialect: CallerDialect, services: Services
) -> _ApprovedRequest:
    selected = await read_and_select(request, principal, dialect, services)
    prepared = await prepare_and_moderate(selected, request, principal, services, moderated=True)
    body = passed_on(await prepared.render(), request, principal, dialect, services)
    return _ApprovedRequest(prepared.model, body, prepared.image_tokens, prepared.headers)


def passed_on(
    body: UpstreamBody, request: GatewayRequest, principal: Principal, dialect: CallerDialect, services: Services
) -> UpstreamBody:
    """Add what of the request's headers and query goes on to an upstream that speaks its own dialect (ADR 120)."""
    if body.dialect != dialect.name:
        return body
    chosen = services.limits.passed_headers
    if principal.zero_retention:
        chosen -= {IDEMPOTENCY_KEY}  # by it the upstream would keep the answer
    headers = request_headers(request.head.headers, body.dialect, chosen, principal.project)
    query = request_query(request.head.query, body.dialect)
    return replace(body, headers=headers, query=query) if headers or query else body


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
        counted = selected.parsed.upstream_can_count(selected.model.dialects)
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
        body = passed_on(await prepared.render(), request, principal, dialect, services)
        with request.record.timed_step("relay"):
            response = await call_upstream(body, prepared.model.upstream, ())
            response.headers.update(prepared.headers)
            yield response
