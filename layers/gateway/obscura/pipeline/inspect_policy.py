"""Inspections under a policy: ``POST /v1/inspect``, and ``X-Obscura-Dry-Run`` under ``/policy``."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from obscura.auth.access import admission
from obscura.auth.base import KeyScope
from obscura.dialects.base import CallerDialect, ParsedRequest
from obscura.fetch.errors import HostRefused
from obscura.pipeline.apply_policy import RequestPolicy
from obscura.pipeline.check_content import CheckedContent, ContentCheck
from obscura.pipeline.external_checks import apply_input_rules
from obscura.pipeline.handle import SelectedRequest, access_request, read_and_select
from obscura.pipeline.inspection import Reviewed, Wanted, inspected, require_credential
from obscura.pipeline.named_policy import read_named_policy
from obscura.pipeline.policy_facts import ImageFactsCollector, refused_image
from obscura.pipeline.policy_moderation import flagged_categories
from obscura.pipeline.prepare import InspectedImage
from obscura.pipeline.request import GatewayRequest, GatewayResponse
from obscura.pipeline.services import Services
from obscura.policy.facts import ModerationResult, Scores


class InspectedPolicy:
    """The policy of one inspected request; implements ``PolicyStep``."""

    def __init__(self, policy: RequestPolicy, selected: SelectedRequest[ParsedRequest], check: ContentCheck) -> None:
        """``check`` is that of the request; ``self.check`` prepares what the rules compare."""
        self._policy = policy
        self._selected = selected
        self._collector = ImageFactsCollector.of(check, policy.documents)
        self.check = self._collector.collecting(check, policy.gate.held)
        self.headers: dict[str, str] = {}
        """Which external checks failed."""

    async def on_loaded(self, images: Sequence[tuple[str, InspectedImage]]) -> None:
        """Read the images as they were sent."""
        await self._collector.sent.on_loaded(images)

    async def before_moderation(self, parsed: ParsedRequest, content: CheckedContent) -> CheckedContent:
        """Apply the rules before moderation, and return the content as it would reach moderation."""
        await self._collector.on_prepared(content)
        texts, images = content.texts_of(parsed), self._collector.facts(parsed, content)
        facts = self._policy.facts(texts, images, self._selected.model.id)
        asked = await apply_input_rules(
            self.check, parsed, content, facts, self._policy, is_large=self._selected.is_large
        )
        self.headers = asked.headers
        return asked.content

    async def refused_fetch(self, refused: HostRefused) -> bytes:
        """Return the ``policy`` object of a request of which nothing was fetched from a host that a rule refuses."""
        parsed = self._selected.parsed
        image = refused_image(refused, parsed)
        await self._policy.check(self._policy.facts(tuple(parsed.texts), (image,), self._selected.model.id))
        return self._policy.preview(ModerationResult(skipped="the request was decided on before")).json()

    async def after_moderation(self, reviewed: Reviewed) -> bytes:
        """Return the ``policy`` object as JSON."""
        items = tuple(
            Scores(modality, "input", verdict.scores, flagged_categories(verdict), path)
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
        response = await inspected(selected, step.check, wanted(), step)
        response.headers.update(step.headers)
        yield response
