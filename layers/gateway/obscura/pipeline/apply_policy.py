"""The policy of one request: which version holds, what its rules find before and after moderation, what is decided."""

import random
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

import msgspec

from obscura.auth.access import Principal
from obscura.dialects.json.raw import Node, is_null
from obscura.errors import InvalidRequest, ObscuraError, PermissionDenied, QuotaExceeded, StoreUnavailable
from obscura.execution import run_off_loop
from obscura.pipeline.policy_fields import INLINE
from obscura.pipeline.services import Services
from obscura.policy.document import PolicyDocument
from obscura.policy.engine import CheckedRequest, may_use
from obscura.policy.errors import PolicyBlocked, PolicyNotFound
from obscura.policy.events import event_of, features_of
from obscura.policy.facts import ModerationResult, QuotaResult, RequestFacts
from obscura.policy.gate import Decided, Gate, Policies
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
from obscura.policy.versions import PolicyVersion, parse_reference

OFF_LOOP_CHARS = 100_000
MAX_LABEL_CHARS = 200


@dataclass(frozen=True, slots=True)
class NamedPolicy:
    """What a request says of its policy. ``project`` is a label for its event: the project itself is the key's."""

    policy_id: str | None = None
    user: str | None = None
    project: str | None = None
    target: str | None = None


def read_named_policy(fields: Mapping[str, str | Node], headers: Mapping[str, str]) -> NamedPolicy:
    """Read the fields and the headers, which win; raises InvalidRequest for a value that is no short string."""
    if INLINE in fields:
        raise InvalidRequest(
            "A policy is not part of a request: save it at /api/policy-gateway/policies, and name it in 'policy_id'.",
            param=INLINE,
        )

    def label(name: str) -> str | None:
        value = fields.get(name)
        if value is None or (not isinstance(value, str) and is_null(value)):
            return None
        if not isinstance(value, str) or len(value) > MAX_LABEL_CHARS:
            raise InvalidRequest(f"'{name}' must be a string of at most {MAX_LABEL_CHARS} characters.", param=name)
        return value or None

    def header(name: str) -> str | None:
        value = headers.get(name, "").strip()
        if len(value) > MAX_LABEL_CHARS:
            raise InvalidRequest(f"The header {name} must have at most {MAX_LABEL_CHARS} characters.")
        return value or None

    user, other_user = label("policy_user"), label("policy_user_id")
    project, target = label("policy_project_id"), label("policy_target")
    return NamedPolicy(
        label("policy_id"),
        header("x-policy-user") or user or other_user,
        header("x-policy-project") or project,
        header("x-policy-target") or target,
    )


@dataclass(frozen=True, slots=True)
class _Versions:
    """The live and the former version of a request's policy; None where there is none."""

    live: PolicyVersion | None = None
    former: PolicyVersion | None = None


class RequestPolicy:
    """The policy step of one request, from the choice of the version to the settlement of its quotas."""

    def __init__(  # noqa: PLR0913, PLR0917 what one request's policy is made of
        self,
        named: NamedPolicy,
        principal: Principal,
        services: Services,
        versions: _Versions,
        gate: Gate,
        rolled_back_at_s: float | None,
    ) -> None:
        """Made by ``of``."""
        self.named = named
        self.gate = gate
        self._principal = principal
        self._services = services
        self._policies = services.open_policies()
        self._versions = versions
        self._rolled_back_at_s = rolled_back_at_s
        self._counters: list[QuotaCounter] = []
        self._reserved = False
        self._record_later: Callable[[Decided], Awaitable[None]] | None = None
        self._decided: Decided | None = None

    @classmethod
    async def of(cls, named: NamedPolicy, principal: Principal, services: Services) -> "RequestPolicy":
        """Choose the versions that hold; raises PolicyNotFound, PermissionDenied, StoreUnavailable."""
        service = services.open_policies()
        reference = named.policy_id or await service.cache.project_policy(principal.project)
        floor = await service.cache.floor_alone()
        if reference is None:
            gate = Gate(Policies(floor), Plan(Mode.ENFORCED, Held.NONE))
            return cls(named, principal, services, _Versions(), gate, None)
        versions, is_pinned = await _find_versions(reference, service)
        live = versions.live
        if live is None:
            raise _not_found(reference)
        if not may_use(live.document, principal.project):
            raise PermissionDenied("This project may not use this policy. Use one that is for it.", param="policy_id")
        policies = Policies(
            floor,
            await service.cache.compiled(live),
            None if versions.former is None else await service.cache.compiled(versions.former),
        )
        if is_pinned:
            return cls(named, principal, services, versions, Gate(policies, Plan(Mode.ENFORCED, Held.LIVE)), None)
        rollout, policy_id = live.document.rollout, live.document.policy_id
        rolled_back_at_s = None
        if rollout.rollback_on_spike:
            rolled_back_at_s = await service.stores.rollouts.rolled_back_at_s(policy_id, live.number)
        planned = plan(
            rollout,
            policy_id=policy_id,
            user=named.user,
            target=named.target,
            sample=random.random(),  # noqa: S311 a sample, no secret
            has_former=versions.former is not None,
            rolled_back=rolled_back(rollout, rolled_back_at_s, services.clock.now().timestamp()),
        )
        return cls(named, principal, services, versions, Gate(policies, planned), rolled_back_at_s)

    @property
    def now_s(self) -> float:
        """The time, in Unix seconds."""
        return self._services.clock.now().timestamp()

    @property
    def documents(self) -> list[PolicyDocument]:
        """Every document whose rules may be applied to the request."""
        versions = [one.document for one in (self._versions.live, self._versions.former) if one is not None]
        return versions if self._policies.floor is None else [self._policies.floor, *versions]

    async def check(self, facts: RequestFacts) -> CheckedRequest:
        """Apply the rules that come before moderation."""
        quotas = await self._exhausted()
        is_large = sum(map(len, facts.texts)) > OFF_LOOP_CHARS
        return await run_off_loop(lambda: self.gate.check(facts, quotas), off_loop=is_large)

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
        record = partial(self._record, checked, moderation)
        if decided.outcome.effective.reaches_model and reservation(self._counters):
            self._record_later, self._decided = record, decided
        else:
            await record(decided)
        return self._shown(decided.outcome)

    async def _record(self, checked: CheckedRequest, moderation: ModerationResult, decided: Decided) -> None:
        await self._count(decided)
        self._send_event(self._shown(decided.outcome), checked, moderation, decided)

    def _shown(self, outcome: Outcome) -> Shown:
        version = self._versions.former if self.gate.plan.held is Held.FORMER else self._versions.live
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

    def _send_event(
        self, shown: Shown, checked: CheckedRequest, moderation: ModerationResult, decided: Decided
    ) -> None:
        former, live = self._versions.former, self._versions.live
        document = None if live is None else live.document
        event = event_of(
            shown,
            checked.facts,
            event_id=f"evt_{secrets.token_hex(12)}",
            created_at=self._services.clock.now().isoformat().replace("+00:00", "Z"),
            name=None if document is None else document.name or None,
            data_classification=None if document is None else document.org_controls.data_classification,
            former=None if former is None or decided.former is None else (former.number, decided.former),
            features=features_of(checked.facts, moderation, shown.outcome.reported, checked.redactor.kinds),
        )
        self._policies.events.put(msgspec.structs.replace(event, project_label=self.named.project))

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
        if changes:
            with suppress(StoreUnavailable):  # the answer is complete by then
                await self._policies.stores.quotas.add(changes, self._services.clock.now())


def with_policy[E: ObscuraError](error: E, shown: Shown) -> E:
    """Add the decision to an error that is not yet raised."""
    error.policy = shown.json()
    error.headers |= shown.headers()
    return error


async def _find_versions(reference: str, service: PolicyService) -> tuple[_Versions, bool]:
    """Return the versions of ``policy_id`` or of ``policy_id@number``, and whether one is pinned."""
    policy_id, number = parse_reference(reference)
    cache = service.cache
    if number is not None:
        return _Versions(await cache.version(policy_id, number)), True
    current = await cache.current(policy_id)
    if current is None or current.live is None:
        return _Versions(), False
    former = None if current.former is None else await cache.version(policy_id, current.former)
    return _Versions(await cache.version(policy_id, current.live), former), False


def _not_found(reference: str) -> PolicyNotFound:
    return PolicyNotFound(
        f"There is no policy '{reference[:128]}', or no version of it is live. Correct 'policy_id', or leave it out.",
        param="policy_id",
    )
