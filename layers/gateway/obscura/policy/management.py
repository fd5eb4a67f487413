"""Management of policies: save, revert, find, list, simulate. Every function raises StoreUnavailable."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from obscura.errors import InvalidRequest
from obscura.execution import gather_or_raise_first
from obscura.policy.base import CheckClient, EventSink, PolicyStores
from obscura.policy.cache import CachedPolicies
from obscura.policy.cases import Case
from obscura.policy.document import PolicyDocument
from obscura.policy.engine import CompiledPolicy, may_use
from obscura.policy.errors import PolicyNotFound, VersionConflict
from obscura.policy.events import revision_event
from obscura.policy.parse import require_code_reader
from obscura.policy.trial import Trial, try_case
from obscura.policy.versions import (
    PolicyVersion,
    VersionRecord,
    live_and_former,
    next_version,
    parse_reference,
    satisfies_if_match,
)
from obscura.policy.versions import revert as reverted_version

MAX_SAVE_ATTEMPTS = 20
"""Saves of one policy at the same instant that a save may lose to before it gives up."""

MAX_HISTORY_BYTES = 3 * 1024 * 1024
"""Of documents in one answer, which on Lambda may have 6 MB."""


@dataclass(frozen=True, slots=True)
class PolicyService:
    """The policies of a deployment: their stores, what is cached of them, the floor, the events, the checks."""

    stores: PolicyStores
    cache: CachedPolicies
    events: EventSink
    floor: PolicyDocument | None
    checks: CheckClient

    @classmethod
    def of(
        cls, stores: PolicyStores, events: EventSink, floor: PolicyDocument | None, checks: CheckClient
    ) -> "PolicyService":
        """Return the service of these stores, with an empty cache."""
        return cls(stores, CachedPolicies(stores.versions, floor), events, floor, checks)


@dataclass(frozen=True, slots=True)
class Policy:
    """One version of a policy, beside the records of all of them, the oldest first."""

    version: PolicyVersion
    records: Sequence[VersionRecord]

    @property
    def policy_id(self) -> str:
        """Its id."""
        return self.version.document.policy_id


@dataclass(frozen=True, slots=True)
class PolicySummary:
    """A policy in a list."""

    policy_id: str
    records: Sequence[VersionRecord]


async def save_policy(document: PolicyDocument, if_match: str | None, policies: PolicyService, at: datetime) -> Policy:
    """Save a document as the next version of its policy.

    Raises VersionConflict if ``if_match``, the header of this name, is not of the newest version, and InvalidRequest
    for a rule that this deployment cannot follow.
    """
    require_code_reader(document)
    return await _add(document.policy_id, if_match, policies, lambda newest: next_version(document, newest, at))


async def revert_policy(
    policy_id: str, number: int, if_match: str | None, policies: PolicyService, at: datetime
) -> Policy:
    """Save the document of an earlier version as the next one; raises PolicyNotFound, VersionConflict."""
    target = (await find_version(policy_id, number, policies, param="version")).version

    def revert(newest: VersionRecord | None) -> PolicyVersion:
        if newest is None:
            raise _no_policy(policy_id, "policy_id")
        return reverted_version(target, newest, at)

    return await _add(policy_id, if_match, policies, revert)


async def _add(
    policy_id: str,
    if_match: str | None,
    policies: PolicyService,
    make: Callable[[VersionRecord | None], PolicyVersion],
) -> Policy:
    """Add what ``make`` makes after the newest version, again after a newer one if another save was first."""
    for _ in range(MAX_SAVE_ATTEMPTS):
        records = await policies.stores.versions.records(policy_id)
        newest = records[-1] if records else None
        if not satisfies_if_match(if_match, newest):
            raise _conflict(policy_id, newest)
        version = make(newest)
        if await policies.cache.add(version):
            policies.events.put(revision_event(version))
            return Policy(version, await policies.stores.versions.records(policy_id))
    raise VersionConflict(f"Others save '{policy_id}' again and again. Try again in a moment.")


def _conflict(policy_id: str, newest: VersionRecord | None) -> VersionConflict:
    if newest is None:
        return VersionConflict(
            f"'{policy_id}' does not exist yet, so no If-Match holds. Leave the header out to save a first version."
        )
    return VersionConflict(
        f"The newest version of '{policy_id}' is {newest.number}, whose ETag is {newest.etag}. "
        "Read it, make your change to it, and save with this ETag in If-Match."
    )


async def find_version(policy_id: str, number: int | None, policies: PolicyService, param: str = "policy_id") -> Policy:
    """Return a version of a policy, the newest if ``number`` is None; raises PolicyNotFound at ``param``."""
    records = await find_records(policy_id, policies)
    number = records[-1].number if number is None else number
    version = await policies.cache.version(policy_id, number)
    if version is None:
        raise PolicyNotFound(f"'{policy_id}' has no version {number}; its newest is {records[-1].number}.", param=param)
    return Policy(version, records)


async def find_records(policy_id: str, policies: PolicyService, param: str = "policy_id") -> Sequence[VersionRecord]:
    """Return the records of a policy, at least one; raises PolicyNotFound."""
    records = await policies.stores.versions.records(policy_id)
    if not records:
        raise _no_policy(policy_id, param)
    return records


def _no_policy(policy_id: str, param: str) -> PolicyNotFound:
    return PolicyNotFound(
        f"There is no policy '{policy_id[:128]}'. GET /api/policy-gateway/policies lists all that there are.",
        param=param,
    )


async def list_policies(after: str | None, limit: int, policies: PolicyService) -> list[PolicySummary]:
    """Return policies in the order of their ids, at most ``limit`` after one of them."""
    ids = [one for one in await policies.stores.versions.policy_ids() if after is None or one > after]

    async def summary(policy_id: str) -> PolicySummary:
        return PolicySummary(policy_id, await policies.stores.versions.records(policy_id))

    found = await gather_or_raise_first([summary(policy_id) for policy_id in ids[:limit]])
    return [one for one in found if one.records]


async def read_history(
    policy_id: str | None, limit: int, policies: PolicyService
) -> tuple[Sequence[PolicyVersion], bool]:
    """Return versions of all policies or of one, the newest first, and whether there are more.

    At most ``limit``, and fewer if their documents have more than ``MAX_HISTORY_BYTES``. Raises PolicyNotFound.
    """
    store = policies.stores.versions
    if policy_id is None:
        ids = await store.policy_ids()
        listed = await gather_or_raise_first([_records_of(one, policies) for one in ids])
    else:
        listed = [(policy_id, await find_records(policy_id, policies))]
    known = sorted(
        ((record.created_at, one, record.number) for one, records in listed for record in records), reverse=True
    )
    found: list[PolicyVersion] = []
    size_bytes = 0
    for _, one, number in known[:limit]:
        version = await store.version(one, number)
        if version is None:
            continue
        size_bytes += len(version.document.model_dump_json(exclude_unset=True))
        if found and size_bytes > MAX_HISTORY_BYTES:
            break
        found.append(version)
    return found, len(known) > len(found)


async def _records_of(policy_id: str, policies: PolicyService) -> tuple[str, Sequence[VersionRecord]]:
    return policy_id, await policies.stores.versions.records(policy_id)


async def assign_project(project: str, policy_id: str | None, policies: PolicyService) -> None:
    """Let a policy hold for a project's requests that name none; None takes it off.

    Raises PolicyNotFound, or InvalidRequest if the policy is not for the project.
    """
    if policy_id is not None:
        records = await find_records(policy_id, policies)
        live = live_and_former(records)[0] or records[-1]
        document = (await find_version(policy_id, live.number, policies)).version.document
        if not may_use(document, project):
            allowed = ", ".join(document.org_controls.project_keys)
            raise InvalidRequest(
                f"'{policy_id}' is for the projects {allowed} only (org_controls.project_keys). Add the project there, "
                "or assign another policy.",
                param="policy_id",
            )
    await policies.cache.assign_project(project, policy_id)


@dataclass(frozen=True, slots=True)
class Simulated:
    """Samples as a policy decides on them, enforced; ``version`` is None for a document that is not stored."""

    policy_id: str
    version: int | None
    trials: Sequence[Trial]


async def simulate_stored(reference: str, cases: Sequence[Case], policies: PolicyService) -> Simulated:
    """Decide on samples by a stored policy: the live version, or the newest if all are drafts, or ``policy_id@3``.

    Raises PolicyNotFound, InvalidRequest.
    """
    policy_id, number = parse_reference(reference)
    if number is None:
        records = await find_records(policy_id, policies)
        number = (live_and_former(records)[0] or records[-1]).number
    version = (await find_version(policy_id, number, policies)).version
    compiled = await policies.cache.compiled(version)
    return Simulated(policy_id, number, await _try_all(compiled, cases))


async def simulate_document(document: PolicyDocument, cases: Sequence[Case], policies: PolicyService) -> Simulated:
    """Decide on samples by a document that is not stored."""
    compiled = await asyncio.to_thread(CompiledPolicy, document, policies.floor)
    return Simulated(document.policy_id, None, await _try_all(compiled, cases))


async def _try_all(policy: CompiledPolicy, cases: Sequence[Case]) -> Sequence[Trial]:
    """Off the event loop: texts of megabytes take tens of milliseconds."""
    return await asyncio.to_thread(lambda: [try_case(policy, case) for case in cases])
