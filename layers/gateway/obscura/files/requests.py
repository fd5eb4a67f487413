"""File names as callers give them."""

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec import Raw

from obscura.dialects.json.fields import required_text
from obscura.dialects.json.raw import (
    RawJson,
    RawObject,
    is_array,
    is_null,
    is_object,
    is_string,
    open_array,
    open_object,
)
from obscura.errors import ImageTooLarge, InvalidRequest, UnsupportedField
from obscura.files.multipart import Form, require_filename

PURPOSES = ("user_upload", "vision", "user_data")
DEFAULT_TTL_S, MIN_TTL_S, MAX_TTL_S = 24 * 3600, 3600, 7 * 24 * 3600
FORM_FIELDS = frozenset({"purpose", "expires_after[anchor]", "expires_after[seconds]"})
_UPLOAD_FIELDS = frozenset({"filename", "purpose", "bytes", "mime_type", "expires_after"})
_COMPLETION_FIELDS = frozenset({"part_ids", "md5"})
_MAX_DIGITS = 15


@dataclass(frozen=True, slots=True)
class FileAttributes:
    """What a file is called and for, and how many seconds it is to live."""

    filename: str
    purpose: str
    ttl_s: int


@dataclass(frozen=True, slots=True)
class CreateUpload:
    """A file that is to come in parts."""

    terms: FileAttributes
    declared_bytes: int


@dataclass(frozen=True, slots=True)
class CompleteUpload:
    """The order of an upload's parts, and the MD5 of the whole in hexadecimal digits, if the caller gave one."""

    part_ids: tuple[str, ...]
    md5: str | None


def parse_file_form(form: Form) -> FileAttributes:
    """Read the fields beside a form's file; raises InvalidRequest."""
    ttl_s = DEFAULT_TTL_S
    anchor, seconds = form.fields.get("expires_after[anchor]"), form.fields.get("expires_after[seconds]")
    if anchor is not None or seconds is not None:
        _check_anchor(anchor, "expires_after[anchor]")
        ttl_s = _lifetime_s(_number(seconds), "expires_after[seconds]")
    return FileAttributes(form.file.filename, _purpose(form.fields.get("purpose", PURPOSES[0])), ttl_s)


def parse_create_upload(body: RawJson, max_bytes: int) -> CreateUpload:
    """Read what begins an upload; raises InvalidRequest, UnsupportedField, or ImageTooLarge past ``max_bytes``."""
    _reject_unknown(body.root, _UPLOAD_FIELDS)
    filename = required_text(body, body.root, "filename")
    require_filename(filename, "filename")
    required_text(body, body.root, "mime_type")
    purpose = PURPOSES[0] if is_null(body.root.get("purpose")) else required_text(body, body.root, "purpose")
    declared_bytes = _number_of(body.root, "bytes")
    if declared_bytes is None or declared_bytes < 1:
        raise InvalidRequest("'bytes' is required: how many the whole file has.", param="bytes")
    if declared_bytes > max_bytes:
        raise ImageTooLarge(
            f"The file is to have {declared_bytes:,} bytes; {max_bytes:,} are allowed. Shrink it.", param="bytes"
        )
    return CreateUpload(FileAttributes(filename, _purpose(purpose), _lifetime_in(body)), declared_bytes)


def parse_complete_upload(body: RawJson) -> CompleteUpload:
    """Read what completes an upload; raises InvalidRequest or UnsupportedField."""
    _reject_unknown(body.root, _COMPLETION_FIELDS)
    leaf = body.root.get("part_ids")
    leaves = open_array(leaf, "part_ids") if is_array(leaf) else []
    if not leaves or not all(is_string(part_id) for part_id in leaves):
        raise InvalidRequest("'part_ids' must be an array of the parts' ids, in order.", param="part_ids")
    md5 = None if is_null(body.root.get("md5")) else required_text(body, body.root, "md5")
    return CompleteUpload(tuple(body.text(part_id) for part_id in leaves), md5)


def _lifetime_in(body: RawJson) -> int:
    leaf = body.root.get("expires_after")
    if is_null(leaf):
        return DEFAULT_TTL_S
    if not is_object(leaf):
        raise InvalidRequest("'expires_after' must be an object with anchor and seconds.", param="expires_after")
    expires_after = open_object(leaf, "expires_after")
    anchor = expires_after.get("anchor")
    _check_anchor(body.text(anchor) if is_string(anchor) else None, "expires_after.anchor")
    return _lifetime_s(_number_of(expires_after, "seconds"), "expires_after.seconds")


def _reject_unknown(holder: RawObject, known: frozenset[str]) -> None:
    for name in holder:
        if name not in known:
            fields = ", ".join(sorted(known))
            raise UnsupportedField(f"'{name[:100]}' is not known here. Known fields: {fields}.", param=name[:100])


def _check_anchor(anchor: str | None, param: str) -> None:
    if anchor != "created_at":
        raise InvalidRequest(f"'{param}' must be 'created_at'.", param=param)


def _lifetime_s(seconds: int | None, param: str) -> int:
    if seconds is None or not MIN_TTL_S <= seconds <= MAX_TTL_S:
        bounds = f"{MIN_TTL_S} to {MAX_TTL_S} (7 days)"
        raise InvalidRequest(f"'{param}' must be a whole number of seconds, {bounds}.", param=param)
    return seconds


def _purpose(purpose: str) -> str:
    if purpose not in PURPOSES:
        raise InvalidRequest(f"'purpose' must be one of {', '.join(PURPOSES)}: files are images.", param="purpose")
    return purpose


def _number_of(holder: RawObject, key: str) -> int | None:
    leaf = holder.get(key)
    return _number(bytes(leaf).decode(errors="replace")) if isinstance(leaf, Raw) else None


def _number(digits: str | None) -> int | None:
    if digits is None or not (digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS):
        return None
    return int(digits)


MAX_LISTED = 10_000


@dataclass(frozen=True, slots=True)
class ListFilesQuery:
    """At most ``limit`` files behind the id ``after``; None asks for all, or the first."""

    limit: int
    after: str | None
    newest_first: bool
    purpose: str | None


def parse_list_query(query: Mapping[str, str]) -> ListFilesQuery:
    """Read a query's parameters; raises InvalidRequest."""
    limit = query.get("limit", str(MAX_LISTED))
    if not (limit.isascii() and limit.isdigit() and len(limit) < 7 and 1 <= int(limit) <= MAX_LISTED):
        raise InvalidRequest(f"'limit' must be a whole number from 1 to {MAX_LISTED:,}.", param="limit")
    order = query.get("order", "desc")
    if order not in {"asc", "desc"}:
        raise InvalidRequest("'order' must be asc or desc.", param="order")
    purpose = query.get("purpose")
    if purpose is not None and purpose not in PURPOSES:
        raise InvalidRequest(f"'purpose' must be one of {', '.join(PURPOSES)}.", param="purpose")
    return ListFilesQuery(int(limit), query.get("after"), order == "desc", purpose)
