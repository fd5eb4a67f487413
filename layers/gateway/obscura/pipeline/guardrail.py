"""The generic guardrail API as a server: another proxy asks what a policy and moderation say of its texts and images.

litellm-docs, ``adding_provider/generic_guardrail_api.md``. A changed image reaches the proxy's model only through
``structured_messages``, a changed text through either, so both are returned.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

from obscura.auth.access import AccessRequest, admission
from obscura.auth.base import KeyScope
from obscura.dialects.base import (
    CallerApi,
    ContentLimits,
    DocumentSlot,
    ImageSlot,
    RequestHead,
    SourceKind,
    VideoSlot,
)
from obscura.dialects.data_url import is_data_url
from obscura.dialects.json.prescan import decode_string
from obscura.dialects.json.raw import Node, RawJson, is_array, is_null, is_object, is_string, open_array, open_object
from obscura.errors import InvalidRequest, ObscuraError, QuotaExceeded, TooManyImages
from obscura.execution import run_off_loop
from obscura.fetch.errors import HostRefused
from obscura.imaging import TokenProfile
from obscura.pipeline.apply_policy import RequestPolicy
from obscura.pipeline.check_content import ContentCheck
from obscura.pipeline.external_checks import ExternallyChecked, apply_input_rules
from obscura.pipeline.image_history import image_limit
from obscura.pipeline.inspection import require_credential
from obscura.pipeline.moderate import with_text_limit
from obscura.pipeline.named_policy import read_named_policy
from obscura.pipeline.policy_answer import CHARS_PER_TOKEN, AnswerPolicy, Usage
from obscura.pipeline.policy_facts import ImageFactsCollector, refused_image
from obscura.pipeline.policy_fields import is_policy_field
from obscura.pipeline.policy_moderation import moderated
from obscura.pipeline.read_body import read_and_parse
from obscura.pipeline.request import GatewayRequest, GatewayResponse
from obscura.pipeline.review_answer import AnswerReview
from obscura.pipeline.services import Services
from obscura.policy.facts import ModerationResult, RequestFacts
from obscura.policy.redaction import Redactor
from obscura.policy.render import Shown, refusal_message, replacement_text
from obscura.policy.terms import SearchedText
from obscura.upstreams.image_limits import NO_LIMITS, UpstreamImageLimits

HTTPS = b"https://"
PARAMETERS = "additional_provider_specific_params"


class GuardrailView(msgspec.Struct):
    """The response; lists only with GUARDRAIL_INTERVENED, since they replace what the proxy has."""

    action: Literal["BLOCKED", "NONE", "GUARDRAIL_INTERVENED"]
    blocked_reason: str | UnsetType = UNSET
    texts: list[str] | UnsetType = UNSET
    images: list[str] | UnsetType = UNSET
    structured_messages: list[Any] | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class _UnknownModel:
    """Counts tokens for a model that is not in this gateway's catalog."""

    token_profile: str = TokenProfile.OPENAI_TILES.value
    token_factor: float = 1.0
    image_limits: UpstreamImageLimits = NO_LIMITS


@dataclass(slots=True)
class GuardrailRequest:
    """A parsed request: ``own_texts`` may be changed, ``texts`` has those of tools too, which are only checked."""

    is_answer: bool
    model: str
    own_texts: list[str]
    other_texts: list[str]
    images: list[ImageSlot]
    messages: bytes | None
    policy_fields: Mapping[str, str | Node]
    prepared: dict[int, str] = field(default_factory=dict)
    videos: Sequence[VideoSlot] = ()
    documents: Sequence[DocumentSlot] = ()

    @property
    def texts(self) -> Sequence[str]:
        """Every text."""
        return [*self.own_texts, *self.other_texts]

    def rewrite_texts(self, rewrite: Callable[[str], str]) -> None:
        """Rewrite every text."""
        self.own_texts = [rewrite(text) for text in self.own_texts]
        self.other_texts = [rewrite(text) for text in self.other_texts]


def parse_guardrail_request(head: RequestHead, body: RawJson, limits: ContentLimits) -> GuardrailRequest:
    """Parse a request; what is unknown or missing is no error. Raises InvalidRequest, InvalidJson, TooManyImages."""
    root = body.root
    kind = _text(body, "input_type")
    if kind not in {None, "request", "response"}:
        raise InvalidRequest("'input_type' is 'request' or 'response'.", param="input_type")
    images = _strings(root.get("images"), "images")
    if len(images) > (allowed := image_limit(limits, None)):
        raise TooManyImages(f"The request has {len(images)} images; {allowed} are allowed.", param="images")
    others = [root[name] for name in ("tools", "tool_calls") if name in root]
    messages = root.get("structured_messages")
    request = GuardrailRequest(
        is_answer=kind == "response",
        model=_text(body, "model") or "",
        own_texts=[body.text(leaf) for leaf in _strings(root.get("texts"), "texts")],
        other_texts=[text for node in others for text in body.strings(node)],
        images=[],
        messages=body.render(messages) if messages is not None and is_array(messages) else None,
        policy_fields=_policy_fields(body),
    )

    def slot(number: int, leaf: Raw) -> ImageSlot:
        source = body.string_slice(leaf)
        is_url = is_data_url(source) or _unescaped_start(source).startswith(HTTPS)
        kind = SourceKind.URL if is_url else SourceKind.BASE64

        def replace(image: bytes | str) -> None:
            request.prepared[number] = str(image, "ascii") if isinstance(image, bytes) else image

        return ImageSlot(f"images[{number}]", source, "auto", replace, kind)

    request.images = [slot(number, leaf) for number, leaf in enumerate(images)]
    return request


def _unescaped_start(source: memoryview) -> bytes:
    """Return the scheme of a URL, in lower case; JSON may escape its slashes (RFC 8259 §7)."""
    return bytes(source[: 2 * len(HTTPS)]).replace(b"\\/", b"/").lower()


def _text(body: RawJson, name: str) -> str | None:
    leaf = body.root.get(name)
    if leaf is None or is_null(leaf):
        return None
    if not is_string(leaf):
        raise InvalidRequest(f"'{name}' must be a string.", param=name)
    return body.text(leaf)


def _strings(node: Node | None, name: str) -> list[Raw]:
    if node is None or is_null(node):
        return []
    if not is_array(node):
        raise InvalidRequest(f"'{name}' must be a list of strings.", param=name)
    leaves = open_array(node, name)
    for number, leaf in enumerate(leaves):
        if not is_string(leaf):
            raise InvalidRequest(f"'{name}[{number}]' must be a string.", param=f"{name}[{number}]")
    return leaves


def _policy_fields(body: RawJson) -> Mapping[str, str | Node]:
    """Return the ``policy_`` fields of the guardrail's own parameters, else those at the root."""
    fields: dict[str, Node] = dict(body.root)
    parameters = body.root.get(PARAMETERS)
    if parameters is not None and is_object(parameters):
        fields |= open_object(parameters, PARAMETERS)
    named = {name: leaf for name, leaf in fields.items() if is_policy_field(name)}
    return {name: body.text(leaf) if is_string(leaf) else leaf for name, leaf in named.items()}


@asynccontextmanager
async def handle_guardrail(
    request: GatewayRequest, dialect: CallerApi, services: Services
) -> AsyncIterator[GatewayResponse]:
    """Check texts and images by the policy and by moderation; content that cannot be checked is blocked.

    Raises an ObscuraError for a request that is none, for a policy that is not found, and for what keeps the gateway
    from a verdict: the proxy then fails as its own setting says.
    """
    access = AccessRequest(request.head.headers, request.address, KeyScope.POLICY, request.record)
    async with admission(access, services.access_control) as principal:
        require_credential(principal)
        limits = services.limits
        content = with_text_limit(limits.content, limits.text_chars, anonymous=False)
        body = await read_and_parse(
            request,
            limits.body_bytes,
            content.items,
            lambda read: parse_guardrail_request(request.head, read, content),
        )
        parsed = body.parsed
        named = read_named_policy(parsed.policy_fields, request.head.headers)
        policy = await RequestPolicy.of(named, principal, services)
        check = ContentCheck.of(request.record, principal, _UnknownModel(), services, moderated=True)
        view, headers = await _checked(parsed, check, policy)
        encoded = await run_off_loop(lambda: msgspec.json.encode(view), off_loop=body.is_large or bool(parsed.images))
        yield GatewayResponse(200, "application/json", encoded, headers)


async def _checked(
    parsed: GuardrailRequest, check: ContentCheck, policy: RequestPolicy
) -> tuple[GuardrailView, dict[str, str]]:
    texts = list(parsed.own_texts)
    try:
        facts, asked = await _by_rules(parsed, check, policy)
        content, checked = asked.content, asked.checked
        if checked.decision.reaches_model:
            moderation = await moderated(check, parsed, content, policy, "output" if parsed.is_answer else "input")
        else:
            moderation = ModerationResult(skipped="the content was decided on before")
    except HostRefused as refused:
        facts = policy.facts(tuple(parsed.texts), (refused_image(refused, parsed),), parsed.model)
        checked = await policy.check(facts, is_answer=parsed.is_answer)
        shown = await policy.decide(checked, ModerationResult(skipped="an image was not fetched"))
        return GuardrailView("BLOCKED", _reason(shown, policy)), shown.headers()
    except ObscuraError as error:
        if error.response_status != InvalidRequest.status:
            raise
        return GuardrailView("BLOCKED", error.message), {}
    shown = await policy.decide(checked, moderation)
    check.record.events += policy.hash_matches(shown, facts)
    if shown.outcome.effective.reaches_model and not parsed.is_answer:
        try:
            await policy.reserve()
        except QuotaExceeded as exhausted:
            return GuardrailView("BLOCKED", exhausted.message), asked.headers | exhausted.headers
        estimate = sum(map(len, checked.texts)) // CHARS_PER_TOKEN + sum(one.tokens for one in content.images_and_pages)
        await policy.settle(tokens=None, estimate=estimate, reached_model=True)
    if shown.outcome.effective.reaches_model and parsed.is_answer:
        review = AnswerReview(
            check.record, check.principal, check.services, policy.gate.held, policy.checks,
            replace(facts, texts=(), images=()), AnswerPolicy(policy.gate.held, checked.redactor, shown, Usage(0)),
        )  # fmt: skip
        shown = await _reviewed(parsed, review)
        policy.events.send_output(shown, review.answer.findings)
    headers = asked.headers | shown.headers()
    if not shown.outcome.effective.reaches_model:
        return GuardrailView("BLOCKED", _reason(shown, policy)), headers
    content.replace(parsed.images)
    return await run_off_loop(lambda: _changed(parsed, texts, checked.redactor), off_loop=bool(parsed.images)), headers


async def _by_rules(
    parsed: GuardrailRequest, check: ContentCheck, policy: RequestPolicy
) -> tuple[RequestFacts, ExternallyChecked]:
    """Apply the rules before moderation; the texts of an answer are none of a request, and scanned later."""
    collector = ImageFactsCollector.of(check, policy.documents)
    check = collector.collecting(check, policy.gate.held)
    content = await check.prepare(parsed)
    await collector.on_prepared(content)
    check.record.images = [image.record for image in content.images_and_pages]
    texts = () if parsed.is_answer else content.texts_of(parsed)
    facts = policy.facts(texts, collector.facts(parsed, content), parsed.model)
    if parsed.is_answer:
        return facts, ExternallyChecked(content, await policy.check(facts, is_answer=True), {})
    return facts, await apply_input_rules(check, parsed, content, facts, policy, is_large=True)


async def _reviewed(parsed: GuardrailRequest, review: AnswerReview) -> Shown:
    """Scan the texts of an answer and ask the checks of answers; return the decision after them."""
    answer = review.answer
    texts = await run_off_loop(lambda: [answer.passed(text, in_json=False) for text in parsed.own_texts])
    if review.policy.output_checks and answer.shown.outcome.effective.reaches_model:
        texts = await review.ask(texts) or texts
    parsed.own_texts = texts
    return answer.shown


def _reason(shown: Shown, policy: RequestPolicy) -> str:
    held, document = shown.outcome.held, policy.gate.held.document
    return replacement_text(held, document) or refusal_message(held, document)


def _changed(parsed: GuardrailRequest, texts: Sequence[str], redactor: Redactor) -> GuardrailView:
    """Return what goes on in place of what was sent: the redacted texts, and the images that were moderated.

    The proxy's messages may have a text within a longer string, or one that it did not list: each string of them is
    redacted. Messages in which a changed text or image has no place of its own are left out: ``texts`` then hold.
    """
    prepared = [parsed.prepared[number] for number in range(len(parsed.images))]
    sent = [decode_string(slot.source) for slot in parsed.images]
    if parsed.own_texts == list(texts) and prepared == sent:
        return GuardrailView("NONE")
    view = GuardrailView("GUARDRAIL_INTERVENED")
    if texts:
        view.texts = parsed.own_texts
    if prepared:
        view.images = prepared
    if parsed.messages is not None:
        pairs = zip([*texts, *sent], [*parsed.own_texts, *prepared], strict=True)
        messages = _Messages({before: after for before, after in pairs if before != after}, redactor)
        replaced = messages.replaced(msgspec.json.decode(parsed.messages))
        if not messages.unplaced:
            view.structured_messages = replaced
    return view


class _Messages:
    """Replaces strings of the proxy's messages; ``unplaced`` are those that were not met as such."""

    def __init__(self, replacements: Mapping[str, str], redactor: Redactor) -> None:
        self._replacements = replacements
        self._redactor = redactor
        self.unplaced = set(replacements)

    def replaced(self, node: Any) -> Any:
        """Return a node with its strings replaced, or else redacted."""
        if isinstance(node, str):
            if node in self._replacements:
                self.unplaced.discard(node)
                return self._replacements[node]
            return self._redactor.redact(SearchedText(node))
        if isinstance(node, list):
            return [self.replaced(value) for value in node]
        if isinstance(node, dict):
            return {key: self.replaced(value) for key, value in node.items()}
        return node
