"""What the management API shows of policies, and the fields of its requests."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal, Self

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from obscura.policy.decision import Evaluation
from obscura.policy.document_types import PolicyId
from obscura.policy.management import Policy, PolicySummary, Simulated
from obscura.policy.parse import stored_form
from obscura.policy.render import Shown
from obscura.policy.rollout import Held, Mode, Plan, outcome
from obscura.policy.trial import Trial
from obscura.policy.versions import Change, PolicyVersion, VersionRecord, live_and_former_numbers

MAX_SAMPLES = 1_000
MAX_SHOWN_CHARS = 1_000_000
"""Characters of texts and outputs in the answer to a simulation, which on Lambda may have 6 MB."""

_STORED_FORM = "In the stored form, which GET /api/policy-gateway/schema describes."


def rfc3339(at: datetime) -> str:
    """Return an instant as RFC 3339 writes it, in UTC."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


class PolicyObject(BaseModel):
    """One version of a policy."""

    object: Literal["policy"] = "policy"
    policy_id: str
    version: int
    draft: bool
    live_version: int | None = Field(description="The version that holds for requests; null if all are drafts.")
    sha256: str = Field(description="Of what the document means: equal for two that mean the same.")
    etag: str = Field(description="For If-Match; also in the header ETag.")
    created_at: str = Field(description="When the first version was saved, as in RFC 3339.")
    updated_at: str = Field(description="When this version was saved.")
    reverted_from: int | None
    document: dict[str, Any] = Field(description=_STORED_FORM)

    @classmethod
    def of(cls, policy: Policy) -> Self:
        """Return the object of a version."""
        version, records = policy.version, policy.records
        live, _ = live_and_former_numbers(records)
        return cls(
            policy_id=policy.policy_id,
            version=version.number,
            draft=version.draft,
            live_version=live,
            sha256=version.sha256,
            etag=version.etag,
            created_at=rfc3339(records[0].created_at),
            updated_at=rfc3339(version.created_at),
            reverted_from=version.reverted_from,
            document=stored_form(version.document),
        )


class PolicyListEntry(BaseModel):
    """A policy in the list, by its newest version."""

    object: Literal["policy"] = "policy"
    policy_id: str
    name: str
    version: int = Field(description="The newest one.")
    draft: bool
    live_version: int | None
    etag: str
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, summary: PolicySummary) -> Self:
        """Return the entry of a policy."""
        first, newest = summary.records[0], summary.records[-1]
        live, _ = live_and_former_numbers(summary.records)
        return cls(
            policy_id=summary.policy_id,
            name=newest.name,
            version=newest.number,
            draft=newest.draft,
            live_version=live,
            etag=newest.etag,
            created_at=rfc3339(first.created_at),
            updated_at=rfc3339(newest.created_at),
        )


class PolicyList(BaseModel):
    """Policies, in the order of their ids."""

    object: Literal["list"] = "list"
    data: list[PolicyListEntry]
    has_more: bool


class VersionObject(BaseModel):
    """A version in a policy's history."""

    object: Literal["policy.version"] = "policy.version"
    version: int
    name: str
    draft: bool
    live: bool
    sha256: str
    etag: str
    created_at: str
    reverted_from: int | None

    @classmethod
    def of(cls, record: VersionRecord, live: int | None) -> Self:
        """Return the object of a version."""
        return cls(
            version=record.number,
            name=record.name,
            draft=record.draft,
            live=record.number == live,
            sha256=record.sha256,
            etag=record.etag,
            created_at=rfc3339(record.created_at),
            reverted_from=record.reverted_from,
        )


class VersionList(BaseModel):
    """A policy's versions, the newest first."""

    object: Literal["list"] = "list"
    policy_id: str
    data: list[VersionObject]
    has_more: bool

    @classmethod
    def of(cls, policy_id: str, records: Sequence[VersionRecord], before: int | None, limit: int) -> Self:
        """Return a page of at most ``limit`` versions, those before version ``before`` if it is given."""
        live, _ = live_and_former_numbers(records)
        older = [record for record in reversed(records) if before is None or record.number < before]
        data = [VersionObject.of(record, live) for record in older[:limit]]
        return cls(policy_id=policy_id, data=data, has_more=len(older) > limit)


class PolicyDiff(BaseModel):
    """What differs between two versions."""

    object: Literal["policy.diff"] = "policy.diff"
    policy_id: str
    from_version: int = Field(serialization_alias="from")
    to_version: int = Field(serialization_alias="to")
    changes: list[dict[str, Any]] = Field(description="Each with path, change (added, removed, changed), from and to.")

    @classmethod
    def of(cls, policy_id: str, versions: tuple[int, int], changes: Sequence[Change]) -> Self:
        """Return the object of these changes."""
        return cls(
            policy_id=policy_id,
            from_version=versions[0],
            to_version=versions[1],
            changes=[change.as_json() for change in changes],
        )


class RevertPolicy(BaseModel):
    """A revert."""

    model_config = ConfigDict(strict=True, extra="forbid")

    version: int = Field(ge=1, le=999_999_999, description="The version whose document becomes the next one.")


class AssignPolicy(BaseModel):
    """The policy of a project."""

    model_config = ConfigDict(strict=True, extra="forbid")

    policy_id: PolicyId | None = Field(description="The policy of requests that name none; null takes it off.")


class ProjectObject(BaseModel):
    """A project, by the policy that holds for its requests that name none."""

    object: Literal["project"] = "project"
    project_id: str
    policy_id: str | None


class ConfigObject(BaseModel):
    """A policy as the clients of other policy gateways read it."""

    config: dict[str, Any] = Field(description=_STORED_FORM)
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, policy: Policy) -> Self:
        """Return the object of a version."""
        shown = PolicyObject.of(policy)
        return cls(config=shown.document, created_at=shown.created_at, updated_at=shown.updated_at)


class HistoryEntry(BaseModel):
    """A version as the clients of other policy gateways read it."""

    id: str = Field(description="The policy's id and the version: support@3.")
    type: Literal["revision"] = "revision"
    created_at: str
    policy_id: str
    policy_version: int
    policy_name: str
    scenario_categories: list[str] = Field(description="The moderation categories that the document flags.")
    config: dict[str, Any] = Field(description=_STORED_FORM)

    @classmethod
    def of(cls, version: PolicyVersion) -> Self:
        """Return the entry of a version."""
        document = version.document
        return cls(
            id=version.reference,
            created_at=rfc3339(version.created_at),
            policy_id=document.policy_id,
            policy_version=version.number,
            policy_name=document.name,
            scenario_categories=list(document.rules.flagged_categories),
            config=stored_form(document),
        )


class PolicyHistory(BaseModel):
    """Versions of all policies or of one, the newest first."""

    entries: list[HistoryEntry]
    has_more: bool


class SimulatePolicy(BaseModel):
    """Samples, and the policy that decides on them: a stored one by its id, or a document."""

    model_config = ConfigDict(strict=True, extra="forbid")

    policy_id: str | None = Field(default=None, description="A stored policy: support, or support@3 for a version.")
    policy: dict[str, Any] | None = Field(default=None, description="A document, in place of a stored policy.")
    samples: list[dict[str, Any]] = Field(
        min_length=1, max_length=MAX_SAMPLES, description="Requests, as 'obscura policy test' reads them from files."
    )


class SimulatedDecision(BaseModel):
    """What a policy decides on one sample, enforced."""

    name: str
    decision: str
    reason_code: str
    rule: str | None
    triggered_categories: list[str]
    allowlist_hits: list[str]
    denylist_hits: list[str]
    coverage: dict[str, Any]
    texts: list[str] | None = Field(
        description="What the model would get, if it is not what was sent. Null past a million characters in all."
    )
    output: str | None = Field(description="What the caller would get: of the sample's output, or in its place.")
    failures: list[str] | None = Field(description="What differs from the sample's 'expect'; null without one.")

    @classmethod
    def of(cls, trial: Trial, simulated: Simulated, *, shows_texts: bool) -> Self:
        """Return the decision of a trial."""
        held = outcome(Plan(Mode.ENFORCED, Held.LIVE), Evaluation(), trial.evaluation)
        view = Shown(held, simulated.policy_id, simulated.version, trial.case.target).view()
        texts = trial.checked.texts
        changed = texts != trial.checked.facts.texts and trial.evaluation.decision.reaches_model
        return cls(
            name=trial.case.name,
            decision=view.decision,
            reason_code=view.reason_code,
            rule=view.rule,
            triggered_categories=view.triggered_categories,
            allowlist_hits=view.allowlist_hits,
            denylist_hits=view.denylist_hits,
            coverage=msgspec.to_builtins(view.coverage),
            texts=list(texts) if changed and shows_texts else None,
            output=trial.output if shows_texts else None,
            failures=None if trial.case.expect is None else list(trial.failures()),
        )


class Simulation(BaseModel):
    """The decisions on all samples, in their order."""

    object: Literal["policy.simulation"] = "policy.simulation"
    policy_id: str
    policy_version: int | None = Field(description="Null for a document that is not stored.")
    counts: dict[str, int] = Field(description="Samples by decision.")
    results: list[SimulatedDecision]

    @classmethod
    def of(cls, simulated: Simulated) -> Self:
        """Return the object of a simulation."""
        results: list[SimulatedDecision] = []
        shown_chars = 0
        for trial in simulated.trials:
            shown_chars += sum(map(len, trial.checked.texts)) + len(trial.output or "")
            results.append(SimulatedDecision.of(trial, simulated, shows_texts=shown_chars <= MAX_SHOWN_CHARS))
        return cls(
            policy_id=simulated.policy_id,
            policy_version=simulated.version,
            counts=dict(Counter(result.decision for result in results)),
            results=results,
        )
