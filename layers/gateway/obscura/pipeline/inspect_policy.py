"""Inspections under a policy: ``POST /v1/inspect``, and ``X-Obscura-Dry-Run`` under ``/policy``."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from obscura.auth.access import admission
from obscura.auth.base import KeyScope
from obscura.dialects.base import CallerDialect, ParsedRequest
from obscura.execution import run_off_loop
from obscura.pipeline.apply_policy import OFF_LOOP_CHARS, RequestPolicy, read_named_policy
from obscura.pipeline.check_content import CheckedContent, ContentCheck
from obscura.pipeline.handle import SelectedRequest, access_request, read_and_select
from obscura.pipeline.handle_policy import facts_collector, redacted, texts_of_request
from obscura.pipeline.inspection import Reviewed, Wanted, inspected, require_credential
from obscura.pipeline.prepare import InspectedImage
from obscura.pipeline.request import GatewayRequest, GatewayResponse
from obscura.pipeline.services import Services
from obscura.policy.facts import ModerationResult, Scores


class InspectedPolicy:
    """The policy of one inspected request; implements ``PolicyStep``."""

    def __init__(self, policy: RequestPolicy, selected: SelectedRequest[ParsedRequest], check: ContentCheck) -> None:
        """``check`` has what the facts of images are read by."""
        self._policy = policy
        self._selected = selected
        self._collector = facts_collector(policy, check)

    async def on_loaded(self, images: Sequence[tuple[str, InspectedImage]]) -> None:
        """Read the images as they were sent."""
        await self._collector.on_loaded(images)

    async def before_moderation(self, parsed: ParsedRequest, content: CheckedContent) -> CheckedContent:
        """Apply the rules before moderation, and return the content redacted if it would reach the model."""
        texts, images = texts_of_request(parsed, content), self._collector.facts(parsed, content)
        facts = self._policy.facts(texts, images, self._selected.model.id)
        checked = await self._policy.check(facts)
        if checked.texts == facts.texts or not checked.decision.reaches_model:
            return content
        is_large = self._selected.is_large or sum(map(len, facts.texts)) > OFF_LOOP_CHARS
        return await run_off_loop(lambda: redacted(parsed, content, checked, self._policy), off_loop=is_large)

    async def after_moderation(self, reviewed: Reviewed) -> bytes:
        """Return the ``policy`` object as JSON."""
        items = tuple(
            Scores(
                modality, "input", verdict.scores, (verdict.category or "unspecified",) if verdict.flagged else (), path
            )
            for modality, path, verdict in reviewed.items
        )
        return self._policy.preview(ModerationResult(items, reviewed.blocked, reviewed.skipped)).json()


@asynccontextmanager
async def handle_policy_dry_run(
    request: GatewayRequest, dialect: CallerDialect, services: Services
) -> AsyncIterator[GatewayResponse]:
    """Inspect a request under its policy in place of handling it; raises an ObscuraError for an error."""
    async with inspection(request, dialect, services, KeyScope.POLICY, Wanted) as response:
        yield response


@asynccontextmanager
async def inspection(
    request: GatewayRequest, dialect: CallerDialect, services: Services, scope: KeyScope, wanted: Callable[[], Wanted]
) -> AsyncIterator[GatewayResponse]:
    """Inspect a request under the policy that it names, or its project's; ``wanted`` is called once it is parsed."""
    access = access_request(request, dialect, uses_free_quota=False, scope=scope)
    async with admission(access, services.access_control) as principal:
        require_credential(principal)
        selected = await read_and_select(request, principal, dialect, services)
        named = read_named_policy(selected.policy_fields, request.head.headers)
        policy = await RequestPolicy.of(named, principal, services)
        check = ContentCheck.of(request.record, principal, selected.model, services, moderated=True)
        step = InspectedPolicy(policy, selected, check)
        response = await inspected(selected, check, wanted(), step)
        yield response
