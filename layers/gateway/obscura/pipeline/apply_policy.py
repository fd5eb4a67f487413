"""The policy of one request: which version holds, what its rules find before and after moderation, what is decided."""

import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from obscura.auth.access import Principal
from obscura.errors import ObscuraError, PermissionDenied, QuotaExceeded, StoreUnavailable
from obscura.execution import run_off_loop, to_the_end
from obscura.pipeline.decision_events import DecisionEvents
from obscura.pipeline.named_policy import NamedPolicy
from obscura.pipeline.policy_versions import Versions, find_versions, policy_not_found
from obscura.pipeline.services import Services
from obscura.policy.base import CheckClient
from obscura.policy.document import PolicyDocument
from obscura.policy.engine import CheckedRequest, may_use
from obscura.policy.errors import PolicyBlocked
from obscura.policy.facts import ImageFacts, ModerationResult, QuotaResult, RequestFacts
from obscura.policy.gate import Decided, Gate, Policies
from obscura.policy.image_hashes import OFF_LOOP_COMPARISONS, comparisons, hash_hit
from obscura.policy.management import PolicyService
from obscura.policy.quotas import QuotaCounter, counters, exhausted, reservation, settlement
from obscura.policy.render import Shown, refusal_message, with_output
from obscura.policy.rollout import (
    Held,
    Mode,
    Outcome,
    Plan,
    bucket_of,
    buckets_in_window,
    cooldown_ends_at_s,
    counted,
    is_spike,
    plan,
    rolled_back,
)

OFF_LOOP_CHARS = 100_000


class RequestPolicy:
    """The policy step of one request, from the choice of the version to the settlement of its quotas."""

    def __init__(  # noqa: PLR0913, PLR0917 what one request's policy is made of
        self,
        named: NamedPolicy,
        principal: Principal,
        services: Services,
        policies: PolicyService,
        versions: Versions,
        gate: Gate,
        rolled_back_at_s: float | None,
    ) -> None:
        """Made by ``of``."""
        self.named = named
        self.gate = gate
        self._principal = principal
        self._services = services
        self._policies = policies
        self._versions = versions
        self._rolled_back_at_s = rolled_back_at_s
        self._counters: list[QuotaCounter] = []
        self._reserved = False
        found = [one.document for one in (versions.live, versions.former) if one is not None]
        self.documents: list[PolicyDocument] = found if policies.floor is None else [policies.floor, *found]
        """Every document whose rules may be applied to the request."""
        self._named_version = versions.former if gate.plan.held is Held.FORMER else versions.live
        self.events = DecisionEvents(named, versions, gate, services.clock, policies.events)
        self._record_later: Callable[[Decided], Awaitable[Shown]] | None = None
        self._decided: Decided | None = None

    @classmethod
    async def of(cls, named: NamedPolicy, principal: Principal, services: Services) -> "RequestPolicy":
        """Choose the versions that hold; raises PolicyNotFound, PermissionDenied, StoreUnavailable."""
        service = await services.open_policies()
        reference = named.policy_id or await service.cache.project_policy(principal.project)
        floor = await service.cache.floor_alone()
        if reference is None:
            gate = Gate(Policies(floor), Plan(Mode.ENFORCED, Held.NONE))
            return cls(named, principal, services, service, Versions(), gate, None)
        versions, is_pinned = await find_versions(reference, service)
        live = versions.live
        if live is None:
            raise policy_not_found(reference)
        if not may_use(live.document, principal.project):
            raise PermissionDenied("This project may not use this policy. Use one that is for it.", param="policy_id")
        policies = Policies(
            floor,
            await service.cache.compiled(live),
            None if versions.former is None else await service.cache.compiled(versions.former),
        )
        if is_pinned:
            return cls(
                named, principal, services, service, versions, Gate(policies, Plan(Mode.ENFORCED, Held.LIVE)), None
            )
        rollout, policy_id = live.document.rollout, live.document.policy_id
        rolled_back_at_s: float | None = None
        is_rolled_back = False
        if rollout.rollback_on_spike:
            rolled_back_at_s = await service.stores.rollouts.rolled_back_at_s(policy_id, live.number)
            is_rolled_back = rolled_back(rollout, rolled_back_at_s, services.clock.now().timestamp())
        planned = plan(
            rollout,
            policy_id=policy_id,
            user=named.user,
            target=named.target,
            sample=random.random(),  # noqa: S311 a sample, no secret
            has_former=versions.former is not None,
            rolled_back=is_rolled_back,
        )
        return cls(named, principal, services, service, versions, Gate(policies, planned), rolled_back_at_s)

    @property
    def now_s(self) -> float:
        """The time, in Unix seconds."""
        return self._services.clock.now().timestamp()

    @property
    def checks(self) -> CheckClient:
        """Who asks external checks."""
        return self._policies.checks

    def facts(self, texts: tuple[str, ...], images: tuple[ImageFacts, ...], model: str) -> RequestFacts:
        """Return what the policy decides on: what a request has, and who sends it to which model."""
        return RequestFacts(
            texts=texts,
            images=images,
            model=model,
            project=self._principal.project,
            user=self.named.user,
            target=self.named.target,
            zero_retention=self._principal.zero_retention,
        )

    async def check(self, facts: RequestFacts, *, is_answer: bool = False) -> CheckedRequest:
        """Apply the rules that come before moderation; the answer of another proxy's model takes part of no quota."""
        quotas = () if is_answer or not self.gate.held.has_quotas else await self._exhausted()
        images = len(facts.images)
        compared = images and images * sum(comparisons(document.images) for document in self.documents)
        is_large = sum(map(len, facts.texts)) > OFF_LOOP_CHARS or compared > OFF_LOOP_COMPARISONS
        return await run_off_loop(lambda: self.gate.check(facts, quotas, None), off_loop=is_large)

    async def _exhausted(self) -> Sequence[QuotaResult]:
        now = self._services.clock.now()
        for layer in self.gate.held.layers:
            name, document = layer.layer.name, layer.layer.document
            self._counters += counters(
                document,
                user=self.named.user,
                project=self._principal.project,
                now=now,
                layer="floor" if name == "floor" else "policy",
            )
        if not self._counters:
            return ()
        used = await self._policies.stores.quotas.used([counter.key for counter in self._counters])
        return exhausted(self._counters, used, now)

    async def decide(self, checked: CheckedRequest, moderation: ModerationResult) -> Shown:
        """Apply the rules about moderation, and return what is shown of the decision.

        It is counted and its event sent here, or for a request that has yet to take part of its quotas by ``reserve``.
        """
        decided = self.gate.decide(moderation)
        if self._counters and decided.outcome.effective.reaches_model and reservation(self._counters):
            self._record_later, self._decided = partial(self._record, checked, moderation), decided
            return self._shown(decided.outcome)
        return await self._record(checked, moderation, decided)

    async def _record(self, checked: CheckedRequest, moderation: ModerationResult, decided: Decided) -> Shown:
        await self._count(decided)
        shown = self._shown(decided.outcome)
        self.events.send(shown, checked, moderation, decided)
        return shown

    def preview(self, moderation: ModerationResult) -> Shown:
        """Return what ``decide`` would, for an inspection: nothing is counted, and there is no event."""
        return self._shown(self.gate.decide(moderation).outcome)

    def hash_matches(self, shown: Shown, facts: RequestFacts) -> Iterator[tuple[str, dict[str, object]]]:
        """Yield an event for each layer whose list an image matches, in the words of the operator's lists."""
        for finding in shown.outcome.reported.findings:
            if finding.name != "images.blocked_hashes":
                continue
            layer = finding.rule.partition(".")[0]
            document = self._policies.floor if layer == "floor" else self._reported_document()
            image = next((one for one in facts.images if one.path == finding.param), None)
            if document is None or image is None:
                continue
            rules = document.images
            hit = hash_hit(image, rules.blocked_hashes, rules.max_hash_distance)
            if hit is not None:
                name = "policy floor" if layer == "floor" else f"policy {shown.policy_id}@{shown.version}"
                found: dict[str, object] = {"list": name, "category": None, "hash_type": hit.hash_type}
                found["distance"] = hit.distance
                yield "hash_match", found

    def _reported_document(self) -> PolicyDocument | None:
        return None if self._named_version is None else self._named_version.document

    def _shown(self, outcome: Outcome) -> Shown:
        version = self._named_version
        if version is None:
            return Shown(outcome, None, None, self.named.target)
        return Shown(outcome, version.document.policy_id, version.number, self.named.target)

    async def _count(self, decided: Decided) -> None:
        live = self._versions.live
        if live is None or not self.gate.plan.counts_for_rollback:
            return
        rollout, policy_id = live.document.rollout, live.document.policy_id
        if not rollout.rollback_on_spike:
            return
        now_s, store = self._services.clock.now().timestamp(), self._policies.stores.rollouts
        await store.add(policy_id, live.number, bucket_of(now_s), counted(rollout, decided.outcome.decision))
        since_s = self._rolled_back_at_s
        window = buckets_in_window(rollout, now_s, 0.0 if since_s is None else cooldown_ends_at_s(rollout, since_s))
        if is_spike(rollout, await store.counts(policy_id, live.number, window), window):
            await store.roll_back(policy_id, live.number, now_s, since_s)

    def refusal(self, shown: Shown) -> ObscuraError:
        """Return the error of a decision that is one."""
        held = shown.outcome.held
        finding = held.findings[0]
        message = refusal_message(held, self.gate.held.document)
        error: ObscuraError
        if finding.quota is not None:
            error = QuotaExceeded(
                f"The quota is used up: {finding.detail}. Try again when its window is over.",
                retry_after_s=finding.quota.retry_after_s,
            )
        else:
            error = PolicyBlocked(message, param=finding.param)
            error.category = next(iter(held.triggered_categories), None)
        return with_policy(error, shown)

    async def reserve(self) -> None:
        """Count the request in its quotas, before it is sent; raises QuotaExceeded if another one was faster."""
        wanted = reservation(self._counters)
        if not wanted or self._record_later is None or self._decided is None:
            return
        now, decided = self._services.clock.now(), self._decided
        limits = {counter.key: counter.limit for counter in self._counters if counter.key in wanted}
        used_up = await self._policies.stores.quotas.reserve(limits, now)
        if used_up is not None:
            result = next(counter for counter in self._counters if counter.key == used_up).used_up(now)
            refused = replace(decided, outcome=with_output(decided.outcome, self.gate.held.exhausted([result])))
            await self._record_later(refused)
            raise self.refusal(self._shown(refused.outcome))
        self._reserved = True
        await self._record_later(decided)

    async def settle(self, *, tokens: int | None, estimate: int, reached_model: bool) -> None:
        """Count the tokens of the answer, or give the request back if the model was never asked."""
        if not self._counters or not (reached_model or self._reserved):
            return
        changes = settlement(self._counters, tokens=tokens, estimate=estimate, reached_model=reached_model)
        if not changes:
            return

        async def add() -> None:
            with suppress(StoreUnavailable):  # the answer is complete by then
                await self._policies.stores.quotas.add(changes, self._services.clock.now())

        # A client that has its answer, or wants no more of it, ends the request: not what it has cost.
        await to_the_end(add())


def with_policy[E: ObscuraError](error: E, shown: Shown) -> E:
    """Add the decision to an error that is not yet raised."""
    error.policy = shown.json()
    error.headers |= shown.headers()
    return error
