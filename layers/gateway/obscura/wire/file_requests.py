"""What a caller may say of a file (OpenAI's API reference, "Files" and "Uploads"), in a form or in JSON."""

from dataclasses import dataclass

from msgspec import Raw

from obscura.errors import ImageTooLarge, InvalidRequest, UnsupportedField
from obscura.wire.fields import required_text
from obscura.wire.filenames import check_filename
from obscura.wire.multipart import Form
from obscura.wire.raw_body import RawBody, RawObject, is_array, is_null, is_object, is_string, items, members

PURPOSES = ("user_upload", "vision", "user_data")
DEFAULT_LIFETIME_S, LEAST_LIFETIME_S, MOST_LIFETIME_S = 24 * 3600, 3600, 7 * 24 * 3600
FORM_FIELDS = frozenset({"purpose", "expires_after[anchor]", "expires_after[seconds]"})
_UPLOAD_FIELDS = frozenset({"filename", "purpose", "bytes", "mime_type", "expires_after"})
_COMPLETION_FIELDS = frozenset({"part_ids", "md5"})
_LONGEST_NUMBER = 15


@dataclass(frozen=True, slots=True)
class FileTerms:
    """What a file is called and for, and how many seconds it is to live."""

    filename: str
    purpose: str
    lifetime_s: int


@dataclass(frozen=True, slots=True)
class UploadAsk:
    """A file that is to come in parts."""

    terms: FileTerms
    declared_bytes: int


@dataclass(frozen=True, slots=True)
class CompletionAsk:
    """The order of an upload's parts, and the MD5 of the whole in hexadecimal digits, if the caller gave one."""

    part_ids: tuple[str, ...]
    md5: str | None


def terms_of_form(form: Form) -> FileTerms:
    """Read the fields beside a form's file; raises InvalidRequest."""
    lifetime_s = DEFAULT_LIFETIME_S
    anchor, seconds = form.fields.get("expires_after[anchor]"), form.fields.get("expires_after[seconds]")
    if anchor is not None or seconds is not None:
        _check_anchor(anchor, "expires_after[anchor]")
        lifetime_s = _lifetime_s(_number(seconds), "expires_after[seconds]")
    return FileTerms(form.file.filename, _purpose(form.fields.get("purpose", PURPOSES[0])), lifetime_s)


def read_upload(body: RawBody, most_bytes: int) -> UploadAsk:
    """Read what begins an upload; raises InvalidRequest, UnsupportedField, or ImageTooLarge past ``most_bytes``."""
    _check_known(body.root, _UPLOAD_FIELDS)
    filename = required_text(body, body.root, "filename")
    check_filename(filename, "filename")
    required_text(body, body.root, "mime_type")
    purpose = PURPOSES[0] if is_null(body.root.get("purpose")) else required_text(body, body.root, "purpose")
    declared_bytes = _number_of(body.root, "bytes")
    if declared_bytes is None or declared_bytes < 1:
        raise InvalidRequest("'bytes' is required: how many the whole file has.", param="bytes")
    if declared_bytes > most_bytes:
        raise ImageTooLarge(
            f"The file is to have {declared_bytes:,} bytes; {most_bytes:,} are allowed. Shrink it.", param="bytes"
        )
    return UploadAsk(FileTerms(filename, _purpose(purpose), _lifetime_in(body)), declared_bytes)


def read_completion(body: RawBody) -> CompletionAsk:
    """Read what completes an upload; raises InvalidRequest or UnsupportedField."""
    _check_known(body.root, _COMPLETION_FIELDS)
    leaf = body.root.get("part_ids")
    leaves = items(leaf, "part_ids") if is_array(leaf) else []
    if not leaves or not all(is_string(part_id) for part_id in leaves):
        raise InvalidRequest("'part_ids' must be an array of the parts' ids, in order.", param="part_ids")
    md5 = None if is_null(body.root.get("md5")) else required_text(body, body.root, "md5")
    return CompletionAsk(tuple(body.text(part_id) for part_id in leaves), md5)


def _lifetime_in(body: RawBody) -> int:
    leaf = body.root.get("expires_after")
    if is_null(leaf):
        return DEFAULT_LIFETIME_S
    if not is_object(leaf):
        raise InvalidRequest("'expires_after' must be an object with anchor and seconds.", param="expires_after")
    expires_after = members(leaf, "expires_after")
    anchor = expires_after.get("anchor")
    _check_anchor(body.text(anchor) if is_string(anchor) else None, "expires_after.anchor")
    return _lifetime_s(_number_of(expires_after, "seconds"), "expires_after.seconds")


def _check_known(holder: RawObject, known: frozenset[str]) -> None:
    for name in holder:
        if name not in known:
            fields = ", ".join(sorted(known))
            raise UnsupportedField(f"'{name[:100]}' is not known here. Known fields: {fields}.", param=name[:100])


def _check_anchor(anchor: str | None, param: str) -> None:
    if anchor != "created_at":
        raise InvalidRequest(f"'{param}' must be 'created_at'.", param=param)


def _lifetime_s(seconds: int | None, param: str) -> int:
    if seconds is None or not LEAST_LIFETIME_S <= seconds <= MOST_LIFETIME_S:
        bounds = f"{LEAST_LIFETIME_S} to {MOST_LIFETIME_S} (7 days)"
        raise InvalidRequest(f"'{param}' must be a whole number of seconds, {bounds}.", param=param)
    return seconds


def _purpose(purpose: str) -> str:
    if purpose not in PURPOSES:
        raise InvalidRequest(f"'purpose' must be one of {', '.join(PURPOSES)}: files are pictures.", param="purpose")
    return purpose


def _number_of(holder: RawObject, key: str) -> int | None:
    leaf = holder.get(key)
    return _number(bytes(leaf).decode(errors="replace")) if isinstance(leaf, Raw) else None


def _number(digits: str | None) -> int | None:
    if digits is None or not (digits.isascii() and digits.isdigit() and len(digits) <= _LONGEST_NUMBER):
        return None
    return int(digits)
