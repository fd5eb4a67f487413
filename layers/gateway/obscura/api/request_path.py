"""The path of a request: decoded, but for the slashes that are data and no separators."""

import re
from urllib.parse import unquote

_KEPT = re.compile("%(?=25|2f|5c)", re.IGNORECASE)


def decode_path(raw_path: str) -> str:
    r"""Decode a path as it was sent, except ``%2F``, ``%5C`` and ``%25``, by which paths are therefore never routed.

    An encoded slash is data (RFC 3986 §2.2). A proxy that decides by the path, and takes it as data too, would
    otherwise let through ``/v1%2Fchat%2Fcompletions`` as something else. What is not UTF-8 becomes U+FFFD.
    """
    return unquote(_KEPT.sub("%25", raw_path)) if "%" in raw_path else raw_path


def decode_parameter(parameter: str) -> str:
    """Decode what ``decode_path`` left in a path's parameter: SDKs send the model ``a/b`` as ``a%2Fb``."""
    return unquote(parameter) if "%" in parameter else parameter
