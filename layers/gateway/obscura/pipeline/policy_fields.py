"""The fields by which a request names a policy; no upstream gets them, outside of ``/policy`` they do nothing."""

from collections.abc import Mapping

from obscura.dialects.json.raw import Node, RawJson, is_string

POLICY_FIELDS = ("policy_id", "policy_user", "policy_user_id", "policy_project_id", "policy_target")


def take_policy_fields(body: RawJson) -> Mapping[str, str | Node]:
    """Take the fields off a body, and return those that it has: a string decoded, any other value as it was sent."""
    root = body.root
    taken = {name: root.pop(name) for name in POLICY_FIELDS if name in root}
    return {name: body.text(leaf) if is_string(leaf) else leaf for name, leaf in taken.items()}
