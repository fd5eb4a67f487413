"""The Protocols of this package: what the pipeline brings to the pure functions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from obscura.policy.document import ExternalCheck
from obscura.policy.events import DecisionEvent
from obscura.policy.facts import CheckResult, RequestFacts
from obscura.policy.rollout import RolloutCount
from obscura.policy.versions import PolicyVersion, VersionRecord


class PolicyStore(Protocol):
    """Immutable versions of policies. Every method raises StoreUnavailable."""

    async def policy_ids(self) -> Sequence[str]:
        """Return the ids of all policies, sorted."""
        ...

    async def records(self, policy_id: str) -> Sequence[VersionRecord]:
        """Return all versions of a policy without their documents, drafts included, the oldest first.

        Empty for an unknown policy. It sees every version whose ``add`` has returned.
        """
        ...

    async def version(self, policy_id: str, number: int) -> PolicyVersion | None:
        """Return one version, or None if there is none of this number."""
        ...

    async def add(self, version: PolicyVersion) -> bool:
        """Store a version under its number, or return False if that number is taken: exact under any concurrency."""
        ...

    async def project_policy(self, project: str) -> str | None:
        """Return the id of the policy that holds for a project's requests without ``policy_id``."""
        ...

    async def assign_project(self, project: str, policy_id: str | None) -> None:
        """Let a policy hold for a project's requests without ``policy_id``; None takes it off."""
        ...


class RolloutCounters(Protocol):
    """Counts of live versions by the minute, and rollbacks. Every method raises StoreUnavailable."""

    async def add(self, policy_id: str, version: int, bucket: int, count: RolloutCount) -> None:
        """Add to the counts of a minute: exact under any concurrency."""
        ...

    async def counts(self, policy_id: str, version: int, buckets: Sequence[int]) -> Mapping[int, RolloutCount]:
        """Return the counts of these minutes."""
        ...

    async def rolled_back_at_s(self, policy_id: str, version: int) -> float | None:
        """Return when a version was last rolled back, in Unix seconds."""
        ...

    async def roll_back(self, policy_id: str, version: int, at_s: float, since_s: float | None) -> bool:
        """Record a rollback if the last one is still ``since_s``, or return False: one process records each."""
        ...


class QuotaCounters(Protocol):
    """Counters of quotas by key (``QuotaCounter.key``). Every method raises StoreUnavailable."""

    async def used(self, keys: Sequence[str]) -> Mapping[str, int]:
        """Return the counts of those that exist."""
        ...

    async def reserve(self, limits: Mapping[str, int], at: datetime) -> str | None:
        """Add one to each counter if all stay within their limits; else add to none and return one that is used up."""
        ...

    async def add(self, changes: Mapping[str, int], at: datetime) -> None:
        """Add to counters, which may go past their limits or down; a count never falls below zero."""
        ...


@dataclass(frozen=True, slots=True)
class PolicyStores:
    """What of policies outlives a request: their versions, and the counters of rollouts and quotas."""

    versions: PolicyStore
    rollouts: RolloutCounters
    quotas: QuotaCounters


class CheckClient(Protocol):
    """Asks external checks."""

    async def ask(
        self, check: ExternalCheck, facts: RequestFacts, image_urls: Sequence[str], *, output: bool = False
    ) -> CheckResult:
        """Return a check's result within its time limit. Raises nothing: a failure is ``CheckResult.failed``.

        With ``output`` the facts' texts are those of an answer.
        """
        ...


class EventSink(Protocol):
    """Takes events, one a decision."""

    def put(self, event: DecisionEvent) -> None:
        """Take an event at once, or count it as lost if the buffer is full; never waits, never raises."""
        ...

    def put_soon(self, make: Callable[[], DecisionEvent | None]) -> None:
        """Make an event and take it when the event loop is next free, in the order of the calls; never raises."""
        ...
