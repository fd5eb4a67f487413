"""Everything that a request goes through but the model: ``POST /v1/inspect`` and ``X-Obscura-Dry-Run``.

The upstream is never called. What the gateway's own moderation or a policy would block is shown and is no error; what
makes a request invalid is the error that it always is.
"""

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

import msgspec
import pybase64
from msgspec import Raw

from obscura.access_record import RateLimitStatus, rfc3339
from obscura.auth.access import Principal, admission
from obscura.dialects.base import CallerDialect, DocumentSlot, ImageSlot, ParsedRequest, SourceKind
from obscura.dialects.data_url import is_data_url
from obscura.errors import MissingCredentials, ModerationBlocked
from obscura.execution import gather_or_raise_first, run_off_loop
from obscura.fetch.errors import HostRefused
from obscura.imaging import Detail, TokenProfile, image_tokens
from obscura.moderation.base import Verdict
from obscura.pipeline.check_content import CheckedContent, ContentCheck
from obscura.pipeline.handle import PreparedRequest, SelectedRequest, access_request, read_and_select
from obscura.pipeline.inspection_views import (
    HashesView,
    ImageView,
    InspectionView,
    ModerationView,
    OriginalView,
    PreparedView,
    RateLimitView,
    Source,
    TextView,
)
from obscura.pipeline.moderate import Moderation, moderation_of
from obscura.pipeline.prepare import InspectedImage, PreparedImagePart
from obscura.pipeline.request import GatewayRequest, GatewayResponse
from obscura.pipeline.sent_images import SentImages, hashing
from obscura.pipeline.services import Services
from obscura.upstreams.base import CatalogModel


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request asks for beside the facts."""

    images: bool = False
    hashes: bool = False


@dataclass(slots=True)
class Reviewed:
    """The verdicts of one inspection, and the category for which the gateway's own moderation would block."""

    items: list[tuple[Literal["text", "image"], str | None, Verdict]] = field(default_factory=list)
    blocked: str | None = None
    skipped: str | None = None

    def view(self) -> ModerationView | None:
        """Return the result for the whole request."""
        return None if self.skipped else ModerationView(self.blocked is not None, self.blocked)

    def of(self, modality: Literal["text", "image"], path: str | None) -> ModerationView | None:
        """Return the verdict on an image, or on all texts: flagged if one of them is."""
        if self.skipped:
            return None
        view = ModerationView(scores={})
        for kind, where, verdict in self.items:
            if (kind, where) != (modality, path):
                continue
            if verdict.flagged and not view.flagged:
                view.flagged, view.category = True, verdict.category or "unspecified"
            for category, score in verdict.scores.items():
                view.scores[category] = max(score, view.scores.get(category, 0.0))
        return view


class PolicyStep(Protocol):
    """What a policy has to say of an inspected request; nothing of it is counted, and it makes no event."""

    async def on_loaded(self, images: Sequence[tuple[str, InspectedImage]]) -> None:
        """Read the images as they were sent."""
        ...

    async def before_moderation(self, parsed: ParsedRequest, content: CheckedContent) -> CheckedContent:
        """Apply the rules before moderation, and return the content as it goes on: redacted."""
        ...

    async def after_moderation(self, reviewed: Reviewed) -> bytes:
        """Return the ``policy`` object as JSON."""
        ...

    async def refused_fetch(self, refused: HostRefused) -> bytes:
        """Return the ``policy`` object where a rule refuses a host, of which nothing was asked."""
        ...


@asynccontextmanager
async def handle_dry_run(
    request: GatewayRequest, dialect: CallerDialect, services: Services
) -> AsyncIterator[GatewayResponse]:
    """Inspect a request of a dialect in place of handling it; no policy holds. Raises an ObscuraError for an error."""
    access = access_request(request, dialect, uses_free_quota=False)
    async with admission(access, services.access_control) as principal:
        require_credential(principal)
        selected = await read_and_select(request, principal, dialect, services)
        check = ContentCheck.of(request.record, principal, selected.model, services, moderated=True)
        yield await inspected(selected, check, Wanted())


def require_credential(principal: Principal) -> None:
    """Raise MissingCredentials for a caller of the free tier."""
    if principal.anonymous:
        raise MissingCredentials(
            "Inspections, dry runs and guardrail checks need a key, and the free tier has none. "
            "Send 'Authorization: Bearer obs_…'."
        )


async def inspected(
    selected: SelectedRequest[ParsedRequest], check: ContentCheck, wanted: Wanted, policy: PolicyStep | None = None
) -> GatewayResponse:
    """Load, prepare and moderate a request, and return what was found in place of the model's answer.

    What ``check`` would raise as blocked is shown.
    """
    parsed, model, record, services = selected.parsed, selected.model, check.record, check.services
    caller = check.preparation.caller
    record.streamed = False
    sent = SentImages(services.executor, caller, services.limits.image.raw_bytes)
    check = hashing(check) if wanted.hashes else check

    async def on_loaded(images: Sequence[tuple[str, InspectedImage]]) -> None:
        await sent.on_loaded(images)
        if policy is not None:
            await policy.on_loaded(images)

    try:
        content = await replace(check, known=None, moderation=None, on_loaded=on_loaded).prepare(parsed)
    except HostRefused as refused:
        if policy is None:
            raise
        body = msgspec.json.encode(_refused_view(selected, check, await policy.refused_fetch(refused)))
        return GatewayResponse(200, "application/json", body, {})
    record.images = [image.record for image in content.images_and_pages]
    if policy is not None:
        content = await policy.before_moderation(parsed, content)
    images = content.images_and_pages
    record.images = [image.record for image in images]
    reviewed = await _reviewed(check, parsed, content)
    view = InspectionView(
        dialect=record.dialect or "",
        model=model.id,
        images=_images(parsed, images, model, sent, reviewed),
        image_tokens=sum(image.tokens for image in images),
        text=TextView(sum(map(len, content.texts_of(parsed))), reviewed.of("text", None)),
        moderation=reviewed.view(),
        unmoderated=list(selected.unmoderated),
        zero_retention=check.principal.zero_retention,
        rate_limit=_rate_limit(record.rate_limit),
    )
    if policy is not None:
        view.policy = Raw(await policy.after_moderation(reviewed))
    if wanted.hashes:
        hashes = await services.executor.run(lambda: [_hashes(image) for image in images], caller)
        for shown, found in zip(view.images, hashes, strict=True):
            shown.hashes = found
    if wanted.images:
        for shown, image in zip(view.images, images, strict=True):
            shown.prepared.data_url = image.data_url.decode("ascii")
    body = await run_off_loop(lambda: msgspec.json.encode(view), off_loop=wanted.images or selected.is_large)
    headers = PreparedRequest.of(selected, content).headers
    return GatewayResponse(200, "application/json", body, headers)


def _refused_view(selected: SelectedRequest[ParsedRequest], check: ContentCheck, policy: bytes) -> InspectionView:
    """Return what is known of a request whose images were not fetched."""
    record = check.record
    return InspectionView(
        dialect=record.dialect or "",
        model=selected.model.id,
        images=[],
        image_tokens=0,
        text=TextView(sum(map(len, selected.parsed.texts)), None),
        moderation=None,
        unmoderated=list(selected.unmoderated),
        zero_retention=check.principal.zero_retention,
        rate_limit=_rate_limit(record.rate_limit),
        policy=Raw(policy),
    )


async def _reviewed(check: ContentCheck, parsed: ParsedRequest, content: CheckedContent) -> Reviewed:
    """Compare with the hash lists and moderate; a block is noted, and ends nothing but the texts' own review."""
    reviewed = Reviewed()

    def observe(modality: Literal["text", "image"], path: str | None, verdict: Verdict) -> None:
        reviewed.items.append((modality, path, verdict))
        if verdict.flagged:
            reviewed.blocked = reviewed.blocked or verdict.category or "unspecified"

    # Cached verdicts have no scores.
    moderation = moderation_of(check.record, check.principal, check.services, observe, cached=False)
    if check.known is None and moderation is None:
        reviewed.skipped = "moderation is off"
        return reviewed

    async def image(part: PreparedImagePart) -> None:
        try:
            if check.known is not None:
                await check.known.require_unlisted(part)
        except ModerationBlocked as blocked:
            observe("image", part.path, Verdict(True, blocked.category))
            return
        if moderation is not None:
            with suppress(ModerationBlocked):
                await moderation.review_image(part)

    async def texts(moderation: Moderation) -> None:
        with suppress(ModerationBlocked):
            await moderation.review_texts(content.texts_of(parsed))

    check.record.left_gateway = True
    with check.record.timed_step("moderate"):
        steps = [image(part) for part in content.images_and_pages]
        await gather_or_raise_first(steps if moderation is None else [*steps, texts(moderation)])
    return reviewed


def _images(
    parsed: ParsedRequest,
    images: Sequence[PreparedImagePart],
    model: CatalogModel,
    sent: SentImages,
    reviewed: Reviewed,
) -> list[ImageView]:
    slots: dict[str, ImageSlot | DocumentSlot] = {slot.path: slot for slot in parsed.documents}
    slots |= {slot.path: slot for slot in parsed.images}
    profile, factor, views = TokenProfile(model.token_profile), model.token_factor, []
    for image in images:
        slot = slots.get(image.path)
        detail = slot.detail if slot is not None else Detail.AUTO.value
        record, facts = image.record, sent.at(image.path)
        (width_px, height_px), (prepared_width_px, prepared_height_px) = (
            (int(side) for side in size.split("x")) for size in (record.pixels_before, record.pixels_after)
        )
        tokens = image_tokens(width_px, height_px, profile, Detail(detail), factor)
        original = OriginalView(
            record.format.lower(), record.bytes_before, width_px, height_px, tokens,
            facts.animated, facts.alpha, facts.metadata,
        )  # fmt: skip
        prepared = PreparedView(
            _format(image.data_url), record.bytes_after, prepared_width_px, prepared_height_px, image.tokens
        )
        moderation = reviewed.of("image", image.path)
        views.append(ImageView(image.path, _source(slot), detail, image.tokens, original, prepared, moderation))
    return views


def _source(slot: ImageSlot | DocumentSlot | None) -> Source:
    if not isinstance(slot, ImageSlot):
        return "document"
    if slot.kind is SourceKind.FILE_ID:
        return "file_id"
    return "data_url" if slot.kind is SourceKind.BASE64 or is_data_url(slot.source) else "url"


def _format(data_url: bytes) -> str:
    """Return the format that ``data:image/FORMAT;base64,`` names."""
    return data_url.partition(b";")[0].rpartition(b"/")[2].decode("ascii")


def _hashes(image: PreparedImagePart) -> HashesView:
    from obscura.imaging.pdq import pdq_hash

    data = pybase64.b64decode(image.data_url.partition(b",")[2])
    pdq = pdq_hash(data)
    return HashesView(image.source_sha256 or None, hashlib.sha256(data).hexdigest(), str(pdq), pdq.quality)


def _rate_limit(status: RateLimitStatus | None) -> RateLimitView | None:
    if status is None:
        return None
    return RateLimitView(status.limit, status.remaining, rfc3339(status.resets_at_s))
