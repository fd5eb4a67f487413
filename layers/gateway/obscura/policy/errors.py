"""The errors of the policy family, as those of obscura.errors."""

from obscura.errors import ObscuraError


class PolicyBlocked(ObscuraError):
    """A policy refuses the request or its answer, or holds it back."""

    status, code = 400, "policy_blocked"


class PolicyNotFound(ObscuraError):
    """A policy, or a version of one, that was never saved."""

    status, code = 404, "policy_not_found"


class VersionConflict(ObscuraError):
    """The policy has a newer version than the one that ``If-Match`` names."""

    status, code = 412, "version_conflict"
