"""The sequence of a request under a policy: as ``handle``, with rules before moderation and the decision after it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from obscura.auth.access import Principal, admission
from obscura.auth.base import KeyScope
from obscura.dialects.base import CallerDialect, ParsedRequest
from obscura.errors import ObscuraError
from obscura.execution import run_off_loop
from obscura.fetch.errors import HostRefused
from obscura.memory_budget import request_memory
from obscura.pipeline.apply_policy import RequestPolicy
from obscura.pipeline.call_upstream import OFF_LOOP_BYTES
from obscura.pipeline.check_content import ContentCheck
from obscura.pipeline.external_checks import add_failed_answer_checks, apply_input_rules
from obscura.pipeline.handle import PreparedRequest, SelectedRequest, UpstreamCall, access_request, read_and_select
from obscura.pipeline.metering import Metering, expected_use
from obscura.pipeline.named_policy import read_named_policy
from obscura.pipeline.policy_answer import (
    CHARS_PER_TOKEN,
    AnswerPolicy,
    SplicedStream,
    StreamedAnswer,
    Usage,
    stream_under,
)
from obscura.pipeline.policy_facts import ImageFactsCollector, refused_image
from obscura.pipeline.policy_moderation import moderated
from obscura.pipeline.policy_replacement import Replacement
from obscura.pipeline.policy_stream import ScannedStream
from obscura.pipeline.policy_stream_forms import stream_form
from obscura.pipeline.request import GatewayRequest, GatewayResponse, StreamingBody
from obscura.pipeline.review_answer import AnswerReview, reviewed_stream
from obscura.pipeline.services import Services
from obscura.pipeline.sight import describing_of
from obscura.policy.escapes import unescaped
from obscura.policy.facts import ModerationResult
from obscura.policy.terms import SearchedText


@asynccontextmanager
async def handle_policy_request(
    request: GatewayRequest, dialect: CallerDialect, services: Services
) -> AsyncIterator[GatewayResponse]:
    """Handle one request under its policy; its response is valid as long as the context.

    Raises an ObscuraError for every response but a success, as ``handle_request``.
    """
    access = access_request(request, dialect, uses_free_quota=True, scope=KeyScope.POLICY)
    async with admission(access, services.access_control) as principal:
        selected = await read_and_select(request, principal, dialect, services)
        named = read_named_policy(selected.policy_fields, request.head.headers)
        policy = await RequestPolicy.of(named, principal, services)
        try:
            approved = await _approve(selected, policy, request, principal, services)
        except HostRefused as refused:
            approved = await _refused_fetch(refused, selected, policy, request)
        del selected
        if isinstance(approved, GatewayResponse):
            yield approved
            return
        request.record.left_gateway = True
        with request.record.timed_step("relay"):
            answer, metering = approved.review.answer, approved.metering
            reached_model = False
            try:
                headers, dialect_name = approved.headers, approved.dialect
                review, replace_answer = approved.review, approved.replace_answer
                await policy.reserve()
                headers |= await metering.reserve()
                calling = approved.call()
                del approved
                response = metering.metered(await calling)
                reached_model = True
                request_memory().release()
                try:
                    response = await _under_policy(response, review, policy, dialect_name, replace_answer)
                    response.headers.update(headers | answer.shown.headers())
                    add_failed_answer_checks(response.headers, answer.failed_checks)
                    yield response
                finally:
                    await response.aclose()
            finally:
                await metering.settle()
                usage = answer.usage
                policy.events.send_output(answer)
                await policy.settle(tokens=usage.tokens, estimate=usage.estimate, reached_model=reached_model)


@dataclass(frozen=True, slots=True)
class _Approved:
    """A request that may go upstream, and what its policy does to the answer."""

    call: UpstreamCall
    headers: dict[str, str]
    review: AnswerReview
    metering: Metering
    dialect: str
    replace_answer: "Replacement"


async def _approve(
    selected: SelectedRequest[ParsedRequest],
    policy: RequestPolicy,
    request: GatewayRequest,
    principal: Principal,
    services: Services,
) -> _Approved | GatewayResponse:
    """Return the request for the upstream, or the response in the model's place; raises what refuses it."""
    parsed, record = selected.parsed, request.record
    check = ContentCheck.of(record, principal, selected.model, services, moderated=True)
    # Of a text alone no rule about images asks for anything.
    collector = ImageFactsCollector.of(check, policy.documents if parsed.images or parsed.documents else ())
    check = collector.collecting(check, policy.gate.held)
    content = await check.prepare(parsed)
    await collector.on_prepared(content)
    record.images = [image.record for image in content.images_and_pages]
    facts = policy.facts(content.texts_of(parsed), collector.facts(parsed, content), selected.model.id)
    with record.timed_step("policy"):
        asked = await apply_input_rules(check, parsed, content, facts, policy, is_large=selected.is_large)
    content, checked = asked.content, asked.checked
    record.images = [image.record for image in content.images_and_pages]
    if not checked.decision.reaches_model:
        moderation = ModerationResult(skipped="the request was decided on before")
    else:
        moderation = await moderated(check, parsed, content, policy)
    shown = await policy.decide(checked, moderation)
    record.events += policy.hash_matches(shown, facts)
    effective = shown.outcome.effective
    if effective.is_error:
        refusal = policy.refusal(shown)
        refusal.headers |= asked.headers
        raise refusal
    if not effective.reaches_model:
        replaced = Replacement.of(parsed).response(policy, shown)
        replaced.headers.update(asked.headers)
        return replaced
    prepared = PreparedRequest.of(selected, content)
    tokens = prepared.image_tokens
    usage = Usage(sum(tokens) + sum(map(len, checked.texts)) // CHARS_PER_TOKEN)
    answer = AnswerPolicy(policy.gate.held, checked.redactor, shown, usage, policy.gate.shadow)
    headers = prepared.headers | asked.headers
    sender = policy.facts((), (), facts.model)
    review = AnswerReview(record, principal, services, policy.gate.held, policy.checks, sender, answer)
    replacement = Replacement.of(parsed)
    sees = prepared.model.sees_through is None
    describing = None if sees else await describing_of(prepared, request, principal, services)
    if describing is not None:
        describing.rewrite = lambda text: checked.redactor.redacted(text, SearchedText(unescaped(text)))
    expected = expected_use(parsed, prepared.model, tokens, describing)
    metering = Metering(request, principal, services, prepared.model, expected, describing)
    call = await prepared.call(request, principal, describing=describing)
    return _Approved(call, headers, review, metering, record.dialect or "", replacement)


async def _refused_fetch(
    refused: HostRefused,
    selected: SelectedRequest[ParsedRequest],
    policy: RequestPolicy,
    request: GatewayRequest,
) -> GatewayResponse:
    """Decide on a request of which nothing was fetched from a host that a rule refuses; raises the refusal."""
    parsed = selected.parsed
    facts = policy.facts(tuple(parsed.texts), (refused_image(refused, parsed),), selected.model.id)
    with request.record.timed_step("policy"):
        checked = await policy.check(facts)
    shown = await policy.decide(checked, ModerationResult(skipped="the request was decided on before"))
    if shown.outcome.effective.is_error:
        raise policy.refusal(shown)
    return Replacement.of(parsed).response(policy, shown)


async def _under_policy(
    response: GatewayResponse, review: AnswerReview, policy: RequestPolicy, dialect: str, replacement: Replacement
) -> GatewayResponse:
    """Return a response as the caller gets it; raises the refusal of a whole answer."""
    answer = review.answer
    if isinstance(response.body, bytes):
        body = response.body
        is_large = len(body) > OFF_LOOP_BYTES
        scanned = await run_off_loop(lambda: answer.scanned(body)) if is_large else answer.scanned(body)
        texts: Sequence[str] = scanned.texts
        if answer.reviews and answer.shown.outcome.effective.reaches_model:
            texts = await review.review(texts) or texts
        shown = answer.shown
        if shown.outcome.effective.is_error:
            refusal = policy.refusal(shown)
            add_failed_answer_checks(refusal.headers, answer.failed_checks)
            raise refusal
        if not shown.outcome.effective.reaches_model:
            return replacement.response(policy, shown)
        whole = await run_off_loop(lambda: answer.whole(scanned, texts)) if is_large else answer.whole(scanned, texts)
        return GatewayResponse(response.status, response.content_type, whole, response.headers)
    upstream = response.body

    def fail(error: ObscuraError, request_id: str) -> bytes:
        return answer.spliced(upstream.fail(error, request_id))

    chunks: AsyncIterator[bytes]
    if answer.reviews:
        chunks = reviewed_stream(upstream.chunks, ScannedStream(answer, stream_form(dialect)), review)
    else:
        streamed: StreamedAnswer = (
            ScannedStream(answer, stream_form(dialect)) if answer.reads_texts else SplicedStream(answer)
        )
        chunks = stream_under(upstream.chunks, streamed)
    body_under = StreamingBody(chunks, fail, upstream.aclose)
    return GatewayResponse(response.status, response.content_type, body_under, response.headers)
