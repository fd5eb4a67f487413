"""The partition key of a project: DynamoDB takes none that is empty or over 2,048 bytes, and a name may be both."""

import hashlib

_LONGEST_NAME_BYTES = 1024


def partition(project: str) -> str:
    """Give a project's partition key; two projects never share one, since each kind of key begins with its own word."""
    encoded = project.encode()
    if len(encoded) <= _LONGEST_NAME_BYTES:
        return f"name:{project}"
    return f"sha256:{hashlib.sha256(encoded).hexdigest()}"
