"""The fields by which a request names a policy; no upstream gets them, outside of ``/policy`` they do nothing."""

from collections.abc import Mapping

from obscura.dialects.json.raw import Node, RawJson, is_string

PREFIX = "policy_"
INLINE = "policy"
"""The field of a whole policy, which other gateways take in a request."""


def take_policy_fields(body: RawJson) -> Mapping[str, str | Node]:
    """Take the fields off a body, and return those that it has: a string decoded, any other value as it was sent."""
    root = body.root
    names = [name for name in root if name.startswith(PREFIX) or name == INLINE]
    taken = {name: root.pop(name) for name in names}
    return {name: body.text(leaf) if is_string(leaf) else leaf for name, leaf in taken.items()}
