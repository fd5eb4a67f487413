"""The road of a request, from the door to the answer; it reads as its own table of contents."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from obscura.access_record import AccessRecord
from obscura.auth.access import AccessRequest, Principal, admission
from obscura.auth.base import KeyScope
from obscura.dialects.base import CallerDialect, ParsedRequest, UpstreamBody
from obscura.files.stored_images import StoredImages
from obscura.moderation.base import Moderator
from obscura.moderation.cache import CachingModerator
from obscura.pipeline.call_upstream import call_upstream
from obscura.pipeline.load_images import inline_videos, load_images, require_video_allowed
from obscura.pipeline.moderate import moderate
from obscura.pipeline.prepare import PreparedImagePart, prepare_images, token_counter_for
from obscura.pipeline.read_body import read_body
from obscura.pipeline.request import GatewayRequest, GatewayResponse
from obscura.pipeline.select_model import select_model
from obscura.pipeline.services import Services
from obscura.upstreams.base import CatalogModel


@asynccontextmanager
async def handle_request(
    request: GatewayRequest, dialect: CallerDialect, services: Services
) -> AsyncIterator[GatewayResponse]:
    """Take one request down the road; its answer holds as long as the context.

    Raises an ObscuraError for every answer other than the one asked for. Once a stream has begun, iterating it may
    still raise UpstreamError or UpstreamTimeout.
    """
    async with admission(access_request(request, dialect, uses_free_quota=True), services.door) as caller:
        checked = await _approve(request, caller, dialect, services)
        request.record.left_gateway = True
        with request.record.timed_step("relay"):
            async with call_upstream(checked.to_upstream, checked.model.upstream, checked.image_tokens) as told:
                told.headers.update(checked.headers)
                yield told


def access_request(request: GatewayRequest, dialect: CallerDialect, *, uses_free_quota: bool) -> AccessRequest:
    """Present a request of a dialect at the door; ``uses_free_quota`` for one that the free tier counts."""
    return AccessRequest(
        request.head.headers,
        request.address,
        KeyScope(dialect.name),
        request.record,
        uses_free_quota,
        dialect.credential_headers,
    )


@dataclass(frozen=True, slots=True)
class PreparedRequest[A: ParsedRequest]:
    """A request whose images are prepared and not yet moderated; ``headers`` are for its answer."""

    ask: A
    model: CatalogModel
    images: Sequence[PreparedImagePart]
    headers: dict[str, str]

    @property
    def image_tokens(self) -> list[int]:
        """The tokens of each image, in request order."""
        return [image.tokens for image in self.images]


async def parse_and_prepare[A: ParsedRequest](
    request: GatewayRequest, principal: Principal, dialect: CallerDialect[A], services: Services
) -> PreparedRequest[A]:
    """Take a request as far as anybody may look at it: read, its model chosen, its images prepared."""
    step, record = request.record.timed_step, request.record
    with step("read"):
        body = await read_body(request, services.limits.body_bytes)
        ask = dialect.parse(request.head, body, services.limits.content)
    record.model, record.streamed = ask.model, ask.streamed
    require_video_allowed(principal, ask)
    with step("choose"):
        model = await select_model(ask, services.catalog)
        ask.check_translatable(model.dialects)
    with step("load"):
        stored = StoredImages(principal, services.file_service)
        loaded = await load_images(ask.images, services.images, stored)
        await inline_videos(ask, services.videos, services.executor)
    with step("prepare"):
        count = token_counter_for(model)
        images = await prepare_images(ask.images, loaded, count, services.limits.image, services.executor)
    record.images = [image.facts for image in images]
    taken = PreparedRequest(ask, model, images, {})
    if images:
        taken.headers["x-image-tokens"] = ",".join(map(str, taken.image_tokens))
    return taken


async def moderate_and_render(
    taken: PreparedRequest[ParsedRequest], request: GatewayRequest, services: Services
) -> UpstreamBody:
    """Moderate a request, and write what goes upstream: the very images that were moderated."""
    request.record.left_gateway = services.moderator is not None
    with request.record.timed_step("moderate"):
        await moderate(taken.ask.texts, taken.images, _moderator(request.record, services))
    for slot, image in zip(taken.ask.images, taken.images, strict=True):
        slot.replace(image.data_url)
    return taken.ask.to_upstream(taken.model.dialects)


def _moderator(record: AccessRecord, services: Services) -> Moderator | None:
    if services.moderator is None or services.verdicts is None or record.zero_retention:
        return services.moderator
    return CachingModerator(services.moderator, services.verdicts, services.executor, record)


@dataclass(frozen=True, slots=True)
class _ApprovedRequest:
    """A request that may go upstream; what it came from is already let go of."""

    model: CatalogModel
    to_upstream: UpstreamBody
    image_tokens: list[int]
    headers: dict[str, str]


async def _approve(
    request: GatewayRequest, principal: Principal, dialect: CallerDialect, services: Services
) -> _ApprovedRequest:
    taken = await parse_and_prepare(request, principal, dialect, services)
    to_upstream = await moderate_and_render(taken, request, services)
    return _ApprovedRequest(taken.model, to_upstream, taken.image_tokens, taken.headers)


ESTIMATE_HEADER = "x-token-estimate"


class CountableRequest(ParsedRequest, Protocol):
    """A parsed request whose tokens can be counted."""

    def upstream_can_count(self, dialects: Collection[str]) -> bool:
        """Whether an upstream that speaks ``dialects`` counts by itself, asked with ``outbound``."""
        ...

    def estimate(self, image_tokens: Sequence[int]) -> bytes:
        """Write the answer that is made without an upstream, and that says so."""
        ...


@asynccontextmanager
async def handle_count_tokens(
    request: GatewayRequest, dialect: CallerDialect[CountableRequest], services: Services
) -> AsyncIterator[GatewayResponse]:
    """Count a request's tokens; only what goes to an upstream, one that counts by itself, is moderated first.

    Raises an ObscuraError for every answer other than the one asked for.
    """
    async with admission(access_request(request, dialect, uses_free_quota=False), services.door) as caller:
        taken = await parse_and_prepare(request, caller, dialect, services)
        if not taken.ask.upstream_can_count(taken.model.dialects):
            headers = {**taken.headers, ESTIMATE_HEADER: "true"}
            yield GatewayResponse(200, "application/json", taken.ask.estimate(taken.image_tokens), headers)
            return
        to_upstream = await moderate_and_render(taken, request, services)
        with request.record.timed_step("relay"):
            async with call_upstream(to_upstream, taken.model.upstream, ()) as told:
                told.headers.update(taken.headers)
                yield told
