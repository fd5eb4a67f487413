"""The forms of ids of stored files and uploads."""

import re

_FILE_ID = re.compile(r"file_[0-9a-f]{36}")
_UPLOAD_ID = re.compile(r"upload_[0-9a-f]{36}")


def is_file_id(text: str) -> bool:
    """Whether a text has the form of a stored file's id; no other text may become part of a blob's name or a key."""
    return _FILE_ID.fullmatch(text) is not None


def is_upload_id(text: str) -> bool:
    """Whether a text has the form of an upload's id."""
    return _UPLOAD_ID.fullmatch(text) is not None
