"""The requests that the file endpoints take: each model is the check and the schema in ``/openapi.json`` alike."""

import re
from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from obscura.dialects.file_ids import is_file_id
from obscura.files.base import FileAttributes
from obscura.files.multipart import MAX_FILENAME_CHARS, require_filename

Purpose = Literal["user_upload", "vision", "user_data"]
DEFAULT_PURPOSE: Purpose = "user_upload"
PURPOSES: tuple[str, ...] = get_args(Purpose)
DEFAULT_TTL_S, MIN_TTL_S, MAX_TTL_S = 24 * 3600, 3600, 7 * 24 * 3600
MAX_LISTED = 10_000
ANTHROPIC_LISTED = 20
"""What Anthropic's list has in a page without a ``limit``."""
ListedPurpose = Literal[
    Purpose,
    "vision_reference",
    "assistants",
    "assistants_output",
    "batch",
    "batch_output",
    "fine-tune",
    "fine-tune-results",
    "evals",
]
"""What a list may be asked for: the purposes here, and those of OpenAI's API, of which no file here is."""
_PAGE = "page_"
_FILE_ID = r"^file_[0-9a-f]{36}$"
_DIGITS = re.compile(r"[0-9]{1,15}")
_NAME_PATTERN = r"^[^/\\\u0000-\u001f\u007f-\u00a0]+$"
"""What the schema can say of ``require_filename``."""


def _filename(name: str) -> str:
    require_filename(name, "filename")
    return name


def _file_id(text: str) -> str:
    if not is_file_id(text):
        raise PydanticCustomError("file_id", "It must be a file's id: the last one of the page before")
    return text


def _page(text: str) -> str:
    if not (text.startswith(_PAGE) and is_file_id(text.removeprefix(_PAGE))):
        raise PydanticCustomError("page", "It must be the next_page of the page before")
    return text


def page_after(file_id: str) -> str:
    """Return the cursor of the page that follows a file."""
    return f"{_PAGE}{file_id}"


def _plain_digits(value: object) -> object:
    """Convert a text of ASCII digits alone: ``int`` takes signs, spaces, underscores and other scripts' digits too."""
    return int(value) if isinstance(value, str) and _DIGITS.fullmatch(value) else value


# A model's errors are reported in the order of its fields.
class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)


class ExpiresAfter(_Request):
    """The end of a file's life."""

    anchor: Literal["created_at"]
    seconds: int = Field(ge=MIN_TTL_S, le=MAX_TTL_S, description="From an hour to seven days.")


class FileOptions(_Request):
    """The fields beside the file, in the form that stores one."""

    expires_after: ExpiresAfter | None = None
    expires_in_seconds: int | None = Field(default=None, ge=MIN_TTL_S, le=MAX_TTL_S, description="As Anthropic has it.")
    purpose: Purpose = Field(default=DEFAULT_PURPOSE, description="Files are images or PDFs, whatever their purpose.")

    @classmethod
    def of_form(cls, fields: dict[str, str]) -> Self:
        """Validate the fields of a form; raises pydantic's ValidationError."""
        expires_after = {
            name: _plain_digits(fields[_bracketed(name)])
            for name in ExpiresAfter.model_fields
            if _bracketed(name) in fields
        }
        purpose = {"purpose": fields["purpose"]} if "purpose" in fields else {}
        seconds = {name: _plain_digits(fields[name]) for name in (_EXPIRES_IN,) if name in fields}
        return cls.model_validate({"expires_after": expires_after or None, **seconds, **purpose})

    @classmethod
    def form_schema(cls) -> dict[str, object]:
        """Return the JSON schema of each field of the form."""
        expires_after = ExpiresAfter.model_json_schema()["properties"]
        own = cls.model_json_schema()["properties"]
        seconds = next(schema for schema in own[_EXPIRES_IN]["anyOf"] if schema["type"] == "integer")
        return {"purpose": own["purpose"], _EXPIRES_IN: seconds} | {
            _bracketed(name): schema for name, schema in expires_after.items()
        }

    @classmethod
    def form_rules(cls) -> dict[str, object]:
        """Return what the JSON schema of the form says of its fields together: an end of life has all of its own."""
        names = [_bracketed(name) for name in ExpiresAfter.model_fields]
        return {"dependentRequired": {name: [other for other in names if other != name] for name in names}}

    def attributes(self, filename: str) -> FileAttributes:
        """Return the attributes of the file of this name."""
        return FileAttributes(filename, self.purpose, self.expires_in_seconds or _ttl_s(self.expires_after))


_EXPIRES_IN = "expires_in_seconds"


def _bracketed(name: str) -> str:
    return f"expires_after[{name}]"


FORM_FIELDS = frozenset({"purpose", _EXPIRES_IN, *map(_bracketed, ExpiresAfter.model_fields)})


class CreateUpload(_Request, extra="forbid"):
    """A file that will be sent in parts."""

    filename: Annotated[str, AfterValidator(_filename)] = Field(
        min_length=1, json_schema_extra={"maxLength": MAX_FILENAME_CHARS, "pattern": _NAME_PATTERN}
    )
    mime_type: str = Field(min_length=1, description="Decides the limit alone; the bytes decide what the file is.")
    bytes: int = Field(ge=1, lt=10**15, description="The size of the whole file.")
    purpose: Purpose | None = DEFAULT_PURPOSE
    expires_after: ExpiresAfter | None = None

    @property
    def attributes(self) -> FileAttributes:
        """The attributes of the file that the parts will make."""
        return FileAttributes(self.filename, self.purpose or DEFAULT_PURPOSE, _ttl_s(self.expires_after))


class CompleteUpload(_Request, extra="forbid"):
    """The parts of an upload, in order."""

    part_ids: tuple[str, ...] = Field(min_length=1)
    md5: str | None = Field(default=None, min_length=1, description="Of the whole file, in hexadecimal digits.")


class ListFilesQuery(_Request):
    """The query of a list of files."""

    limit: Annotated[int, Field(ge=1, le=MAX_LISTED), BeforeValidator(_plain_digits)] | None = None
    order: Literal["asc", "desc"] = Field(default="desc", description="By time of creation.")
    purpose: ListedPurpose | None = None
    after: Annotated[str, AfterValidator(_file_id)] | None = Field(
        default=None, description="The last id of the page before.", json_schema_extra={"pattern": _FILE_ID}
    )
    after_id: Annotated[str, AfterValidator(_file_id)] | None = Field(
        default=None, description="The same, as Anthropic has it.", json_schema_extra={"pattern": _FILE_ID}
    )
    page: Annotated[str, AfterValidator(_page)] | None = Field(
        default=None,
        description="The next_page of the page before.",
        json_schema_extra={"pattern": _FILE_ID.replace("^", f"^{_PAGE}")},
    )

    @property
    def cursor(self) -> str | None:
        """The id of the last file of the page before."""
        return self.after or self.after_id or (self.page.removeprefix(_PAGE) if self.page else None)


def _ttl_s(expires_after: ExpiresAfter | None) -> int:
    return expires_after.seconds if expires_after else DEFAULT_TTL_S
