"""One request by the versions of its policy: what the pipeline holds between the steps (``Gate``)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from obscura.policy.decision import Evaluation
from obscura.policy.document import ExternalCheck
from obscura.policy.engine import CheckedRequest, CompiledPolicy
from obscura.policy.facts import CheckResult, ModerationResult, QuotaResult, RequestFacts
from obscura.policy.rollout import Held, Mode, Outcome, Plan, outcome


@dataclass(frozen=True, slots=True)
class Policies:
    """What is compiled for a request: the floor alone, and the versions of its policy with the floor."""

    floor: CompiledPolicy
    live: CompiledPolicy | None = None
    former: CompiledPolicy | None = None


@dataclass(frozen=True, slots=True)
class Decided:
    """The outcome of a request, and the evaluations of both versions for its event; None for one not evaluated."""

    outcome: Outcome
    live: Evaluation | None
    former: Evaluation | None


_NOTHING_FOUND = Evaluation()


class Gate:
    """The two policy steps of one request. A version is evaluated once, and only if the plan asks for it."""

    def __init__(self, policies: Policies, plan: Plan) -> None:
        """``plan`` is from ``rollout.plan``; for a request without a policy, ``Plan(Mode.ENFORCED, Held.NONE)``."""
        self.plan = plan
        self._policies = policies
        self._checked: dict[Held, CheckedRequest] = {}
        self.held: CompiledPolicy = self._policy(plan.held) or policies.floor
        """What holds for the request: its quotas are counted, its texts go on, its rules scan the answer."""

    @property
    def shadow(self) -> CompiledPolicy | None:
        """What reads the answer without effect: the live version in shadow, if it has rules for the text of answers."""
        live = self._policies.live if self.plan.mode is Mode.SHADOW else None
        return live if live is not None and live.scans_output else None

    @property
    def is_audited(self) -> bool:
        """Whether the decision makes an event: only where each of the documents that decide says it makes none, not."""
        policies = [self.held, *(one for held in self._checked if (one := self._policy(held)) is not None)]
        documents = [layer.layer.document for policy in policies for layer in policy.layers]
        return not documents or any(document.org_controls.audit_logs for document in documents)

    def check(
        self, facts: RequestFacts, quotas: Sequence[QuotaResult] = (), checks: Sequence[CheckResult] | None = ()
    ) -> CheckedRequest:
        """Apply the rules before moderation, and return the request as the version that holds leaves it."""
        policies = self._policies
        if policies.live is not None and self._needs(Held.LIVE, self.plan.mode is Mode.SHADOW):
            self._checked[Held.LIVE] = policies.live.check_request(facts, quotas, checks)
        if policies.former is not None and self._needs(Held.FORMER, also=False):
            self._checked[Held.FORMER] = policies.former.check_request(facts, quotas, checks)
        if self.plan.held not in self._checked:
            self._checked[Held.NONE] = policies.floor.check_request(facts, quotas, checks)
        return self._checked.get(self.plan.held) or self._checked[Held.NONE]

    def checks(self) -> list[ExternalCheck]:
        """Return the external checks of every version that was evaluated, those of the one that holds first."""
        evaluated = [policy for version in self._checked if (policy := self._policy(version)) is not None]
        return list(dict.fromkeys(check for policy in (self.held, *evaluated) for check in policy.input_checks))

    def add_checks(self, results: Mapping[ExternalCheck, CheckResult], texts: tuple[str, ...]) -> CheckedRequest:
        """Add the results of external checks; ``texts`` are what they leave of those of the version that holds."""
        held = self.plan.held if self.plan.held in self._checked else Held.NONE
        for version, checked in self._checked.items():
            policy = self._policy(version)
            if policy is not None:
                left = texts if version is held else checked.texts
                self._checked[version] = policy.add_checks(checked, results, left)
        return self._checked[held]

    def _policy(self, version: Held) -> CompiledPolicy | None:
        if version is Held.LIVE:
            return self._policies.live
        return self._policies.former if version is Held.FORMER else self._policies.floor

    def _needs(self, version: Held, also: bool) -> bool:
        return self.plan.compares or self.plan.held is version or also

    def decide(self, moderation: ModerationResult) -> Decided:
        """Apply the rules about moderation; after ``check``."""
        decided = {
            version: policy.decide(checked, moderation)
            for version, checked in self._checked.items()
            if (policy := self._policy(version)) is not None
        }
        live, former = decided.get(Held.LIVE), decided.get(Held.FORMER)
        floor = decided.get(Held.NONE) or _NOTHING_FOUND
        return Decided(outcome(self.plan, floor, live or floor, former), live, former)
