"""The sequence: admit, read, select the model, load and prepare images, moderate, call the upstream."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from obscura.access_record import AccessRecord
from obscura.auth.access import AccessRequest, Principal, admission
from obscura.auth.base import KeyScope
from obscura.dialects.base import CallerDialect, ParsedRequest, UpstreamBody
from obscura.execution import both
from obscura.files.stored_images import StoredImages
from obscura.moderation.base import Moderator
from obscura.moderation.cache import CachingModerator
from obscura.pipeline.call_upstream import call_upstream
from obscura.pipeline.load_images import inline_videos, load_images, require_video_allowed
from obscura.pipeline.moderate import moderate
from obscura.pipeline.prepare import PreparedImagePart, prepare_images
from obscura.pipeline.read_body import read_body
from obscura.pipeline.request import GatewayRequest, GatewayResponse
from obscura.pipeline.select_model import select_model
from obscura.pipeline.services import Services
from obscura.upstreams.base import CatalogModel

if TYPE_CHECKING:
    from obscura.pipeline.load_documents import PreparedDocument


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
            response = await call_upstream(approved.body, approved.model.upstream, approved.image_tokens)
            try:
                response.headers.update(approved.headers)
                yield response
            finally:
                await response.aclose()


def access_request(request: GatewayRequest, dialect: CallerDialect, *, uses_free_quota: bool) -> AccessRequest:
    """Return what access control reads of a request; ``uses_free_quota`` for one that the free tier counts."""
    return AccessRequest(
        request.head.headers,
        request.address,
        KeyScope(dialect.name),
        request.record,
        uses_free_quota,
        dialect.credential_headers,
    )


@dataclass(frozen=True, slots=True)
class PreparedRequest[R: ParsedRequest]:
    """A request whose images are prepared and not yet moderated."""

    parsed: R
    model: CatalogModel
    images: Sequence[PreparedImagePart]
    documents: "Sequence[PreparedDocument]"

    @property
    def images_and_pages(self) -> Sequence[PreparedImagePart]:
        """The images and the pages of the documents, in request order."""
        if not self.documents:
            return self.images
        from obscura.pipeline.load_documents import in_request_order

        return in_request_order(self.images, self.documents)

    @property
    def texts(self) -> list[str]:
        """Every text that is to be moderated, those of the documents' pages included."""
        return [*self.parsed.texts, *(text for document in self.documents for text in document.texts)]

    @property
    def image_tokens(self) -> list[int]:
        """The tokens of each image and page, in request order."""
        return [image.tokens for image in self.images_and_pages]

    @property
    def headers(self) -> dict[str, str]:
        """The header of the response with the tokens of each image and page."""
        return {"x-image-tokens": ",".join(map(str, self.image_tokens))} if self.image_tokens else {}


async def parse_and_prepare[R: ParsedRequest](
    request: GatewayRequest, principal: Principal, dialect: CallerDialect[R], services: Services
) -> PreparedRequest[R]:
    """Read a request, select its model, and load and prepare its images: all that comes before moderation."""
    record = request.record
    with record.timed_step("read"):
        body = await read_body(request, services.limits.body_bytes)
        parsed = dialect.parse(request.head, body, services.limits.content)
    record.model, record.streamed = parsed.model, parsed.streamed
    require_video_allowed(principal, parsed)
    with record.timed_step("choose"):
        model = await select_model(parsed, services.catalog)
        parsed.check_translatable(model.dialects)
    with record.timed_step("load"):
        stored = StoredImages(principal, services.file_service)
        loading = load_images(parsed.images, services.images, stored)
        documents: Sequence[PreparedDocument] = ()
        if parsed.documents:
            loaded, documents = await both(loading, _load_documents(parsed, model, principal, services))
        else:
            loaded = await loading
        await inline_videos(parsed.videos, services.videos, services.executor)
    with record.timed_step("prepare"):
        images = await prepare_images(parsed.images, loaded, model, services.limits.image, services.executor)
    prepared = PreparedRequest(parsed, model, images, documents)
    record.images = [image.record for image in prepared.images_and_pages]
    return prepared


async def _load_documents(
    parsed: ParsedRequest, model: CatalogModel, principal: Principal, services: Services
) -> "Sequence[PreparedDocument]":
    from obscura.pipeline.load_documents import document_sources, load_documents

    return await load_documents(parsed.documents, len(parsed.images), model, document_sources(principal, services))


async def moderate_and_render(
    prepared: PreparedRequest[ParsedRequest], request: GatewayRequest, services: Services
) -> UpstreamBody:
    """Moderate a request, then render it for the upstream with the very images that were moderated."""
    request.record.left_gateway = services.moderator is not None
    with request.record.timed_step("moderate"):
        await moderate(prepared.texts, prepared.images_and_pages, _moderator(request.record, services))
    for slot, image in zip(prepared.parsed.images, prepared.images, strict=True):
        slot.replace(image.data_url)
    for document in prepared.documents:
        document.replace_slot()
    return prepared.parsed.to_upstream(prepared.model.dialects)


def _moderator(record: AccessRecord, services: Services) -> Moderator | None:
    if services.moderator is None or services.verdicts is None or record.zero_retention:
        return services.moderator
    return CachingModerator(services.moderator, services.verdicts, services.executor, record, services.clock)


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
    prepared = await parse_and_prepare(request, principal, dialect, services)
    body = await moderate_and_render(prepared, request, services)
    return _ApprovedRequest(prepared.model, body, prepared.image_tokens, prepared.headers)


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
        prepared = await parse_and_prepare(request, principal, dialect, services)
        if not prepared.parsed.upstream_can_count(prepared.model.dialects):
            headers = prepared.headers | {ESTIMATE_HEADER: "true"}
            yield GatewayResponse(200, "application/json", prepared.parsed.estimate(prepared.image_tokens), headers)
            return
        body = await moderate_and_render(prepared, request, services)
        with request.record.timed_step("relay"):
            response = await call_upstream(body, prepared.model.upstream, ())
            response.headers.update(prepared.headers)
            yield response
