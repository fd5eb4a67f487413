"""What a request says of its policy, in its fields and headers."""

from collections.abc import Mapping
from dataclasses import dataclass

from obscura.dialects.json.raw import Node, is_null
from obscura.errors import InvalidRequest
from obscura.pipeline.policy_fields import INLINE, is_spelled_out

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
    for name in fields:
        if not is_spelled_out(name):
            raise InvalidRequest(
                f"'{name[:MAX_LABEL_CHARS]}' is spelled almost like a field of policies. Write the field's exact name.",
                param=name[:MAX_LABEL_CHARS],
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
