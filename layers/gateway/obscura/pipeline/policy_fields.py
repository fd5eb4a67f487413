"""The fields by which a request names a policy; no upstream gets them, outside of ``/policy`` they do nothing."""

from collections.abc import Mapping

from obscura.dialects.json.raw import Node, RawJson, is_string
from obscura.dialects.rules.containers import fold

PREFIX = "policy_"
INLINE = "policy"
"""The field of a whole policy, which other gateways take in a request."""


def take_policy_fields(body: RawJson) -> Mapping[str, str | Node]:
    """Take the fields off a body, and return those that it has: a string decoded, any other value as it was sent.

    Those that only a reader without regard to letter case or normal form would take for one are taken too.
    """
    root = body.root
    names = [name for name in root if is_policy_field(name)]
    taken = {name: root.pop(name) for name in names}
    return {name: body.text(leaf) if is_string(leaf) else leaf for name, leaf in taken.items()}


def is_spelled_out(name: str) -> bool:
    """Whether every reader takes a name for the same one."""
    return name.isascii() and name.islower()


def is_policy_field(name: str) -> bool:
    """Whether a name is that of such a field, or would be read as one."""
    folded = name if is_spelled_out(name) else fold(name)
    return folded == INLINE or folded.startswith(PREFIX)
