"""The sequence of a request under a policy: as ``handle``, with rules before moderation and the decision after it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import msgspec

from obscura.auth.access import Principal, admission
from obscura.auth.base import KeyScope
from obscura.dialects.base import CallerDialect, ParsedRequest, UpstreamBody
from obscura.errors import InvalidRequest, ModerationBlocked, ObscuraError
from obscura.execution import Caller, gather_or_raise_first, run_off_loop
from obscura.memory_budget import request_memory
from obscura.moderation.base import Verdict
from obscura.pipeline.apply_policy import OFF_LOOP_CHARS, RequestPolicy, read_named_policy
from obscura.pipeline.call_upstream import EVENT_STREAM, OFF_LOOP_BYTES, call_upstream
from obscura.pipeline.check_content import CheckedContent, ContentCheck
from obscura.pipeline.handle import PreparedRequest, SelectedRequest, access_request, read_and_select
from obscura.pipeline.moderate import moderation_of
from obscura.pipeline.policy_answer import AnswerPolicy, SplicedStream, StreamedAnswer, Usage, stream_under
from obscura.pipeline.policy_facts import ImageFactsCollector, asks_for_file_facts, asks_for_hashes
from obscura.pipeline.policy_stream import ScannedStream
from obscura.pipeline.policy_stream_forms import stream_form
from obscura.pipeline.request import GatewayRequest, GatewayResponse, StreamingBody
from obscura.pipeline.services import Services
from obscura.policy.engine import CheckedRequest
from obscura.policy.facts import ModerationResult, RequestFacts, Scores
from obscura.policy.render import Shown, replacement_text, splice, splice_events
from obscura.policy.terms import SearchedText
from obscura.upstreams.base import CatalogModel

CHARS_PER_TOKEN = 4


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
        approved = await _approve(selected, policy, request, principal, services)
        del selected
        if isinstance(approved, GatewayResponse):
            yield approved
            return
        request.record.left_gateway = True
        with request.record.timed_step("relay"):
            reached_model = False
            try:
                headers, answer, dialect_name = approved.headers, approved.answer, approved.dialect
                await policy.reserve()
                calling = call_upstream(approved.body, approved.model.upstream, approved.image_tokens)
                del approved
                response = await calling
                reached_model = True
                request_memory().release()
                try:
                    response = await _under_policy(response, answer, policy, dialect_name)
                    response.headers.update(headers)
                    yield response
                finally:
                    await response.aclose()
            finally:
                usage = answer.usage
                await policy.settle(tokens=usage.tokens, estimate=usage.estimate, reached_model=reached_model)


@dataclass(frozen=True, slots=True)
class _Approved:
    """A request that may go upstream, and what its policy does to the answer."""

    model: CatalogModel
    body: UpstreamBody
    image_tokens: list[int]
    headers: dict[str, str]
    answer: AnswerPolicy
    dialect: str


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
    collector = ImageFactsCollector(
        services.executor,
        Caller(principal.subject),
        services.limits.image.raw_bytes,
        check.allowance,
        hashed=asks_for_hashes(policy.documents),
        read=asks_for_file_facts(policy.documents),
    )
    # Moderation comes after the rules and sees what they redacted.
    check = replace(check, moderation=None, on_loaded=collector.on_loaded)
    content = await check.prepare(parsed)
    record.images = [image.record for image in content.images_and_pages]
    facts = RequestFacts(
        texts=_texts(parsed, content),
        images=collector.facts(parsed, content),
        model=selected.model.id,
        project=principal.project,
        user=policy.named.user,
        target=policy.named.target,
        zero_retention=principal.zero_retention,
    )
    with record.timed_step("policy"):
        checked = await policy.check(facts)
        if checked.texts != facts.texts and checked.decision.reaches_model:
            is_large = selected.is_large or sum(map(len, facts.texts)) > OFF_LOOP_CHARS
            content = await run_off_loop(partial(_redacted, parsed, content, checked, policy), off_loop=is_large)
    if not checked.decision.reaches_model:
        moderation = ModerationResult(skipped="the request was decided on before")
    else:
        moderation = await _moderate(check, parsed, content, policy, services)
    shown = await policy.decide(checked, moderation)
    effective = shown.outcome.effective
    if effective.is_error:
        raise policy.refusal(shown)
    if not effective.reaches_model:
        return await _replacement(parsed, policy, shown)
    prepared = PreparedRequest(parsed, selected.model, content, selected.unmoderated, selected.is_large)
    tokens = prepared.image_tokens
    usage = Usage(sum(tokens) + sum(map(len, checked.texts)) // CHARS_PER_TOKEN)
    answer = AnswerPolicy(policy.gate.held, checked.redactor, shown, usage)
    headers = prepared.headers | shown.headers()
    return _Approved(prepared.model, await prepared.render(), tokens, headers, answer, record.dialect or "")


def _texts(parsed: ParsedRequest, content: CheckedContent) -> tuple[str, ...]:
    return (*parsed.texts, *(text for document in content.documents for text in document.texts))


def _redacted(
    parsed: ParsedRequest, content: CheckedContent, checked: CheckedRequest, policy: RequestPolicy
) -> CheckedContent:
    """Redact the request and its documents; raises InvalidRequest if something is left that should not be."""

    def redact(text: str) -> str:
        return checked.redactor.redact(SearchedText(text))

    parsed.rewrite_texts(redact)
    documents = [replace(one, texts=[redact(text) for text in one.texts]) for one in content.documents]
    redacted = CheckedContent(content.images, documents)
    rules = policy.gate.held.redaction
    # What moderation and the model get is read again from the request: nothing that is redacted may be left in it.
    if any(rules.spans(SearchedText(text)) for text in _texts(parsed, redacted)):
        raise InvalidRequest(
            "The policy redacts something that stands across two strings of the request, so it cannot be sent. Join "
            "them, or leave it out."
        )
    return redacted


async def _moderate(
    check: ContentCheck, parsed: ParsedRequest, content: CheckedContent, policy: RequestPolicy, services: Services
) -> ModerationResult:
    """Moderate the request as it will be sent; what the gateway's own moderation blocks is the result, not an error."""
    items: list[Scores] = []

    def observe(modality: Literal["text", "image"], path: str | None, verdict: Verdict) -> None:
        flagged = (verdict.category or "unspecified",) if verdict.flagged else ()
        items.append(Scores(modality, "input", verdict.scores, flagged, path))

    needs_scores = any(document.rules.thresholds for document in policy.documents)
    moderation = moderation_of(check.record, check.principal, services, observe, cached=not needs_scores)
    videos = check.inline_videos(parsed)
    if moderation is None:
        await videos
        return ModerationResult(skipped="moderation is off")
    try:
        await gather_or_raise_first([check.moderate(parsed, content, moderation), videos])
    except ModerationBlocked as blocked:
        return ModerationResult(tuple(items), blocked.category or "unspecified")
    return ModerationResult(tuple(items))


async def _replacement(parsed: ParsedRequest, policy: RequestPolicy, shown: Shown) -> GatewayResponse:
    """Return the answer in place of the model's, whole or as a stream, in the dialect of the request."""
    text = replacement_text(shown.outcome.held, policy.gate.held.document)
    message = {"role": "assistant", "content": text}
    completion = {"id": "chatcmpl-policy", "created": 0, "model": parsed.model}
    usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    created = {**completion, "created": int(policy.now_s)}
    translator = parsed.answer_translator()
    headers = shown.headers()
    if not parsed.streamed:
        choices = [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}]
        whole = {**created, "object": "chat.completion", "choices": choices, "usage": usage}
        body = translator.translate(msgspec.json.encode(whole), ())
        return GatewayResponse(200, "application/json", splice(body, shown.json()), headers)
    stream = translator.stream(())
    chunk = {**created, "object": "chat.completion.chunk"}
    choices = [
        {"index": 0, "delta": message, "finish_reason": None},
        {"index": 0, "delta": {}, "finish_reason": "stop"},
    ]
    frames = b"".join(b"data: %b\n\n" % msgspec.json.encode({**chunk, "choices": [choice]}) for choice in choices)
    frames += b"data: [DONE]\n\n"
    events = splice_events(stream.feed(frames) + stream.finish(), shown.json())

    async def chunks() -> AsyncIterator[bytes]:
        yield events

    async def nothing() -> None:
        return

    def fail(error: ObscuraError, request_id: str) -> bytes:
        return splice_events(stream.fail(error, request_id), shown.json())

    return GatewayResponse(200, EVENT_STREAM, StreamingBody(chunks(), fail, nothing), headers)


async def _under_policy(
    response: GatewayResponse, answer: AnswerPolicy, policy: RequestPolicy, dialect: str
) -> GatewayResponse:
    """Return a response as the caller gets it; raises the refusal of a whole answer."""
    if isinstance(response.body, bytes):
        body = response.body
        whole = await run_off_loop(lambda: answer.whole(body), off_loop=len(body) > OFF_LOOP_BYTES)
        if not answer.shown.outcome.effective.reaches_model:
            raise policy.refusal(answer.shown)
        return GatewayResponse(response.status, response.content_type, whole, response.headers | answer.shown.headers())
    streamed: StreamedAnswer = (
        ScannedStream(answer, stream_form(dialect)) if answer.changes_texts else SplicedStream(answer)
    )
    upstream = response.body

    def fail(error: ObscuraError, request_id: str) -> bytes:
        return answer.spliced(upstream.fail(error, request_id))

    body_under = StreamingBody(stream_under(upstream.chunks, streamed), fail, upstream.aclose)
    return GatewayResponse(response.status, response.content_type, body_under, response.headers)
