"""An error as an upstream reports it, read for callers: its words masked, its names kept if they are names."""

import re
from dataclasses import dataclass
from typing import Any

import msgspec

from obscura.errors import ObscuraError
from obscura.masking import MASK, masked, masked_values

MAX_PARAM_CHARS = 200
MAX_DETAILS_BYTES = 4_096

_NAME = re.compile(r"(?=[^0-9])[A-Za-z0-9_.\-]{1,64}")
"""What a code or a type may be: vLLM's codes are statuses, which say nothing more."""


class _Fields(msgspec.Struct):
    message: str = ""
    param: str | None = None
    code: Any = None
    type: Any = None
    details: Any = None


class _ValidationItem(msgspec.Struct):
    msg: str = ""


class _Body(msgspec.Struct):
    error: _Fields | str | None = None
    message: str = ""
    detail: str | list[_ValidationItem] = ""


@dataclass(frozen=True, slots=True)
class ReportedError:
    """What an upstream's error says; ``message`` may be empty, everything else None."""

    message: str = ""
    param: str | None = None
    code: str | None = None
    type: str | None = None
    details: object | None = None

    def named(self, name: str) -> bool:
        """Whether its code or its type is ``name``."""
        return name in {self.code, self.type}

    def add_to[E: ObscuraError](self, error: E, *, param: bool = True) -> E:
        """Set on an error that was not raised yet the names, the details and, if asked, the param of this one."""
        error.response_code = self.code or error.response_code
        error.response_type = self.type
        error.details = self.details
        error.param = self.param if param else error.param
        return error


def read_reported(body: bytes) -> ReportedError:
    """Read the body of an error: OpenAI's and Anthropic's, and what other servers make of them; never raises."""
    try:
        parsed = msgspec.json.decode(body, type=_Body, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ReportedError()
    if isinstance(parsed.error, _Fields):
        return _reported(parsed.error)
    detail = parsed.detail if isinstance(parsed.detail, str) else "; ".join(item.msg for item in parsed.detail)
    return ReportedError(masked(parsed.error or parsed.message or detail))


def read_reported_fields(error: bytes) -> ReportedError:
    """Read what stands under ``error`` in such a body; never raises."""
    return read_reported(b'{"error":%b}' % error)


def _reported(fields: _Fields) -> ReportedError:
    return ReportedError(
        message=masked(fields.message),
        param=None if fields.param is None else masked(fields.param)[:MAX_PARAM_CHARS],
        code=_name(fields.code),
        type=_name(fields.type),
        details=_details(fields.details),
    )


def _name(value: object) -> str | None:
    """Return a code or a type, unless it is no name or looks like a credential."""
    is_name = isinstance(value, str) and _NAME.fullmatch(value) is not None
    return value if is_name and isinstance(value, str) and MASK not in masked(value) else None


def _details(value: object) -> object | None:
    """Return details with every string masked; none if they are larger than any that are meant to be read."""
    try:
        details = masked_values(value)
        return details if len(msgspec.json.encode(details)) <= MAX_DETAILS_BYTES else None
    except RecursionError:
        return None
