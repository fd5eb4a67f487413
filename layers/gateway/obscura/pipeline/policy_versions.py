"""Which versions of a policy a request is decided by."""

from dataclasses import dataclass

from obscura.policy.errors import PolicyNotFound
from obscura.policy.management import PolicyService
from obscura.policy.versions import PolicyVersion, parse_reference


@dataclass(frozen=True, slots=True)
class Versions:
    """The live and the former version of a request's policy; None where there is none."""

    live: PolicyVersion | None = None
    former: PolicyVersion | None = None


async def find_versions(reference: str, service: PolicyService) -> tuple[Versions, bool]:
    """Return the versions of ``policy_id`` or of ``policy_id@number``, and whether one is pinned."""
    policy_id, number = parse_reference(reference)
    cache = service.cache
    if number is not None:
        return Versions(await cache.version(policy_id, number)), True
    current = await cache.current(policy_id)
    if current is None or current.live is None:
        return Versions(), False
    former = None if current.former is None else await cache.version(policy_id, current.former)
    return Versions(await cache.version(policy_id, current.live), former), False


def policy_not_found(reference: str) -> PolicyNotFound:
    """Return the error of a name that no policy has."""
    return PolicyNotFound(
        f"There is no policy '{reference[:128]}', or no version of it is live. Correct 'policy_id', or leave it out.",
        param="policy_id",
    )
