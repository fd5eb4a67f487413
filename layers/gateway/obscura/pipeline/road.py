"""The road of a request, from the door to the answer; it reads as its own table of contents."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from obscura.pipeline.admit import Caller, Knock
from obscura.pipeline.choose import choose_model
from obscura.pipeline.gateway import Gateway
from obscura.pipeline.journal import RequestJournal
from obscura.pipeline.load import load
from obscura.pipeline.moderate import moderate
from obscura.pipeline.prepare import Picture, prepare_pictures, token_count_of
from obscura.pipeline.read import read_body
from obscura.pipeline.relay import relay
from obscura.pipeline.request import Answer, InboundRequest
from obscura.pipeline.stay import let_in
from obscura.pipeline.stored_pictures import StoredPictures
from obscura.pipeline.verdict_memory import RememberingModerator
from obscura.pipeline.videos import check_caller, pass_videos
from obscura.ports import Model, Moderator, Scope
from obscura.wire.dialect import Ask, Dialect, Outbound


@asynccontextmanager
async def answer(request: InboundRequest, dialect: Dialect, gateway: Gateway) -> AsyncIterator[Answer]:
    """Take one request down the road; its answer holds as long as the context.

    Raises an ObscuraError for every answer other than the one asked for. Once a stream has begun, iterating it may
    still raise UpstreamError or UpstreamTimeout.
    """
    async with let_in(knock(request, dialect, takes_place=True), gateway.door) as caller:
        checked = await _check(request, caller, dialect, gateway)
        request.journal.sent_out = True
        with request.journal.step("relay"):
            async with relay(checked.outbound, checked.model.upstream, checked.image_tokens) as told:
                told.headers.update(checked.headers)
                yield told


def knock(request: InboundRequest, dialect: Dialect, *, takes_place: bool) -> Knock:
    """Present a request of a dialect at the door; ``takes_place`` for one that the free tier counts."""
    return Knock(request.headers, request.address, Scope(dialect.name), request.journal, takes_place)


@dataclass(frozen=True, slots=True)
class TakenIn[A: Ask]:
    """A request whose pictures are prepared and not yet moderated; ``headers`` are for its answer."""

    ask: A
    model: Model
    pictures: Sequence[Picture]
    headers: dict[str, str]

    @property
    def image_tokens(self) -> list[int]:
        """The tokens of each picture, in request order."""
        return [picture.tokens for picture in self.pictures]


async def take_in[A: Ask](request: InboundRequest, caller: Caller, dialect: Dialect[A], gateway: Gateway) -> TakenIn[A]:
    """Take a request as far as anybody may look at it: read, its model chosen, its pictures prepared."""
    step, journal = request.journal.step, request.journal
    with step("read"):
        body = await read_body(request, gateway.limits.body_bytes)
        ask = dialect.parse(body, gateway.limits.content)
    journal.model, journal.streamed = ask.model, ask.streamed
    check_caller(caller, ask)
    with step("choose"):
        model = await choose_model(ask, gateway.catalogue)
        ask.check_carried(model.dialects)
    with step("load"):
        stored = StoredPictures(caller, gateway.storeroom, gateway.workshop, gateway.limits.image)
        loaded = await load(ask.image_slots, gateway.images, stored)
        await pass_videos(ask, gateway.videos, gateway.workshop)
    with step("prepare"):
        count = token_count_of(model)
        pictures = await prepare_pictures(ask.image_slots, loaded, count, gateway.limits.image, gateway.workshop)
    journal.pictures = [picture.facts for picture in pictures]
    taken = TakenIn(ask, model, pictures, {})
    if pictures:
        taken.headers["x-image-tokens"] = ",".join(map(str, taken.image_tokens))
    return taken


async def let_through(taken: TakenIn[Ask], request: InboundRequest, gateway: Gateway) -> Outbound:
    """Moderate a request, and write what goes upstream: the very pictures that were moderated."""
    request.journal.sent_out = gateway.moderator is not None
    with request.journal.step("moderate"):
        await moderate(taken.ask.texts, taken.pictures, _moderator(request.journal, gateway))
    for slot, picture in zip(taken.ask.image_slots, taken.pictures, strict=True):
        slot.replace(picture.data_url)
    return taken.ask.outbound(taken.model.dialects)


def _moderator(journal: RequestJournal, gateway: Gateway) -> Moderator | None:
    if gateway.moderator is None or gateway.verdicts is None or journal.zero_retention:
        return gateway.moderator
    return RememberingModerator(gateway.moderator, gateway.verdicts, gateway.workshop, journal)


@dataclass(frozen=True, slots=True)
class _Checked:
    """A request that may go upstream; what it came from is already let go of."""

    model: Model
    outbound: Outbound
    image_tokens: list[int]
    headers: dict[str, str]


async def _check(request: InboundRequest, caller: Caller, dialect: Dialect, gateway: Gateway) -> _Checked:
    taken = await take_in(request, caller, dialect, gateway)
    outbound = await let_through(taken, request, gateway)
    return _Checked(taken.model, outbound, taken.image_tokens, taken.headers)
