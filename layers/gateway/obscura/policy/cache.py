"""Versions of policies in memory: what is live is read again after 30 s, what never changes is not."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from time import monotonic

from obscura.policy.base import PolicyStore
from obscura.policy.document import PolicyDocument
from obscura.policy.engine import CompiledPolicy
from obscura.policy.versions import PolicyVersion, live_and_former_numbers

CURRENT_TTL_S = 30.0
"""How long a process may go on with what another process has replaced."""

MAX_CURRENT = 4_096
MAX_VERSIONS = 64
"""Versions whose documents, and what they compile to, are kept: at most some megabytes each."""


@dataclass(frozen=True, slots=True)
class CurrentPolicy:
    """The numbers of the live version and of the one before it; None where there is none."""

    live: int | None
    former: int | None


class CachedPolicies:
    """What requests read of the store of policies. A change that this process makes holds from its next request on.

    Every method raises StoreUnavailable: a policy that cannot be read is never taken for one that does not exist.
    """

    def __init__(
        self, store: PolicyStore, floor: PolicyDocument | None = None, now_s: Callable[[], float] = monotonic
    ) -> None:
        """``floor`` is the organisation's, which every compiled policy has beside its own rules."""
        self._store = store
        self._floor = floor
        self._current: _Expiring[CurrentPolicy | None] = _Expiring(now_s)
        self._projects: _Expiring[str | None] = _Expiring(now_s)
        self._versions: _Recent[PolicyVersion] = _Recent()
        self._compiled: _Recent[CompiledPolicy] = _Recent()
        self._floor_alone: CompiledPolicy | None = None

    async def current(self, policy_id: str) -> CurrentPolicy | None:
        """Return which versions of a policy hold, or None for an unknown policy."""

        async def read() -> CurrentPolicy | None:
            records = await self._store.records(policy_id)
            return CurrentPolicy(*live_and_former_numbers(records)) if records else None

        return await self._current.get(policy_id, read)

    async def version(self, policy_id: str, number: int) -> PolicyVersion | None:
        """Return one version, or None if there is none of this number."""
        key = (policy_id, number)
        found = self._versions.get(key)
        if found is None:
            found = await self._store.version(policy_id, number)
            if found is not None:
                self._versions.put(key, found)
        return found

    async def compiled(self, version: PolicyVersion) -> CompiledPolicy:
        """Return a version with its lists compiled, and the floor; compiled in a thread at its first use."""
        key = (version.document.policy_id, version.number)
        found = self._compiled.get(key)
        if found is None:
            found = await asyncio.to_thread(CompiledPolicy, version.document, self._floor)
            self._compiled.put(key, found)
        return found

    async def floor_alone(self) -> CompiledPolicy:
        """Return the floor compiled, which holds where no policy does; compiled in a thread at its first use."""
        if self._floor_alone is None:
            self._floor_alone = await asyncio.to_thread(CompiledPolicy, None, self._floor)
        return self._floor_alone

    async def project_policy(self, project: str) -> str | None:
        """Return the id of the policy that holds for a project's requests without ``policy_id``."""
        return await self._projects.get(project, lambda: self._store.project_policy(project))

    async def add(self, version: PolicyVersion) -> bool:
        """Store a version, or return False if its number is taken."""
        try:
            return await self._store.add(version)
        finally:  # a failed write may have been made
            self._current.forget(version.document.policy_id)

    async def assign_project(self, project: str, policy_id: str | None) -> None:
        """Let a policy hold for a project, or none."""
        try:
            await self._store.assign_project(project, policy_id)
        finally:
            self._projects.forget(project)


class _Expiring[Value]:
    """Values for ``CURRENT_TTL_S``. One that was forgotten while it was read is not kept."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._values: OrderedDict[str, tuple[float, Value]] = OrderedDict()
        self._forgotten = 0

    async def get(self, name: str, read: Callable[[], Awaitable[Value]]) -> Value:
        """Return the value of a name, read by ``read`` if there is none or it is too old."""
        asked_at_s = self._now_s()
        kept = self._values.get(name)
        if kept is not None and asked_at_s < kept[0]:
            return kept[1]
        forgotten = self._forgotten
        value = await read()
        if forgotten == self._forgotten:
            self._values[name] = (asked_at_s + CURRENT_TTL_S, value)
            self._values.move_to_end(name)
            if len(self._values) > MAX_CURRENT:
                self._values.popitem(last=False)
        return value

    def forget(self, name: str) -> None:
        """Read a name afresh from the next call on."""
        self._forgotten += 1
        self._values.pop(name, None)


class _Recent[Value]:
    """The ``MAX_VERSIONS`` values that were used last."""

    def __init__(self) -> None:
        self._values: OrderedDict[Hashable, Value] = OrderedDict()

    def get(self, key: Hashable) -> Value | None:
        """Return the value, or None."""
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def put(self, key: Hashable, value: Value) -> None:
        """Keep a value."""
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > MAX_VERSIONS:
            self._values.popitem(last=False)
