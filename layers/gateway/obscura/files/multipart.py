"""``multipart/form-data`` (RFC 7578), parsed as it arrives: in memory only, within limits (ADR 33)."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from obscura.errors import InvalidRequest, ObscuraError

OVERHEAD_BYTES = 64 * 1024
"""The most that boundaries, headers and the other fields may add to the file."""
MAX_FORM_PARTS = 8
MAX_VALUE_BYTES = 1024
DEFAULT_FILENAME = "upload"
MAX_FILENAME_CHARS = 255

# The parser warns of each malformed body; the response and the access log report it already.
logging.getLogger("python_multipart.multipart").setLevel(logging.ERROR)


def require_filename(filename: str, param: str) -> None:
    """Raise InvalidRequest for a path, for control characters and for a name over ``MAX_FILENAME_CHARS`` characters.

    A name is only ever returned; no file is opened by it (RFC 7578 §4.2 has the reason).
    """
    if len(filename) > MAX_FILENAME_CHARS:
        raise InvalidRequest(f"The file's name is over {MAX_FILENAME_CHARS} characters. Shorten it.", param=param)
    if "/" in filename or "\\" in filename or not filename.isprintable():
        raise InvalidRequest("The file's name must be a name, not a path, without control characters.", param=param)


@dataclass(frozen=True, slots=True)
class FileField:
    """The field of a form that holds its file: its name, its limit, and the error and hint for a larger file.

    ``narrowed`` returns the field with the limit for the kind of file that has these first bytes.
    """

    name: str
    max_bytes: int
    too_large: type[ObscuraError]
    hint: str
    narrowed: "Callable[[bytearray], FileField] | None" = None

    def of(self, content: bytearray) -> "FileField":
        """Return the field with the limit for a file that begins so."""
        return self.narrowed(content) if self.narrowed else self


@dataclass(slots=True)
class FormFile:
    """The file of a form."""

    filename: str
    content: bytearray = field(default_factory=bytearray)


@dataclass(slots=True)
class Form:
    """A form with one file."""

    fields: dict[str, str]
    file: FormFile


@dataclass(slots=True)
class _Part:
    """The part that is being parsed."""

    name: str = ""
    is_file: bool = False
    header: bytes = b""
    disposition: bytes = b""
    header_value: bytes = b""
    value: bytearray = field(default_factory=bytearray)


class FormParser:
    """Parses a form chunk by chunk; after an ObscuraError of ``feed`` it must not be used again."""

    def __init__(self, content_type: str, file_field: FileField, known_fields: frozenset[str] = frozenset()) -> None:
        """Raises InvalidRequest unless ``content_type`` is multipart/form-data with a boundary."""
        self._file_field = file_field
        self._known_fields = known_fields
        self._parser = _parser_for(content_type, self)
        self._part = _Part()
        self._parts = self._size_bytes = 0
        self._ended = False
        self._fields: dict[str, str] = {}
        self._file: FormFile | None = None

    def feed(self, chunk: bytes) -> None:
        """Parse the next chunk; raises InvalidRequest or the file field's ``too_large``."""
        self._size_bytes += len(chunk)
        require_form_size(self._size_bytes, self._file_field)
        try:
            self._parser.write(chunk)
        except FormParserError:
            raise _malformed("is malformed") from None

    def form(self) -> Form:
        """Return the form, once; raises InvalidRequest if it is truncated or has no file."""
        if not self._ended:
            raise _malformed("ends before its last boundary")
        if self._file is None:
            name = self._file_field.name
            raise InvalidRequest(f"The form has no field '{name}'. Send the file in it.", param=name)
        file, self._file = self._file, None
        return Form(self._fields, file)

    def discard(self) -> None:
        """Release the file, whatever came of the form.

        This object and its parser refer to each other: a refused form would keep its file until a garbage collection,
        after its request has given its share of the memory budget back (ADR 72).
        """
        self._file = None

    def on_part_begin(self) -> None:
        """Count the part: thousands of tiny ones would cost more CPU than their size suggests."""
        self._parts += 1
        if self._parts > MAX_FORM_PARTS:
            raise InvalidRequest(f"The form has more than {MAX_FORM_PARTS} fields. Send the file and few others.")
        self._part = _Part()

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        """Append to a header's name."""
        self._part.header += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        """Append to a header's value."""
        self._part.header_value += data[start:end]

    def on_header_end(self) -> None:
        """Keep the Content-Disposition, and ignore other headers."""
        if self._part.header.lower() == b"content-disposition":
            self._part.disposition = self._part.header_value
        self._part.header = self._part.header_value = b""

    def on_headers_finished(self) -> None:
        """Start the file or the field that the part is."""
        kind, options = parse_options_header(self._part.disposition)
        name = options.get(b"name", b"").decode(errors="replace")
        if kind != b"form-data" or not name:
            raise _malformed("has a part without 'Content-Disposition: form-data; name=…'")
        if name in self._fields or (name == self._file_field.name and self._file is not None):
            raise InvalidRequest(f"The form has the field '{name}' twice.", param=name)
        self._part.name, self._part.is_file = name, name == self._file_field.name
        if self._part.is_file:
            filename = _decoded(options.get(b"filename", b""), name) or DEFAULT_FILENAME
            require_filename(filename, name)
            self._file = FormFile(filename)
        elif name not in self._known_fields:
            fields = ", ".join(sorted({self._file_field.name, *self._known_fields}))
            raise InvalidRequest(f"The form has a field '{name[:100]}'. Known ones: {fields}.", param=name[:100])

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """Append to the file or to the field's value."""
        if self._part.is_file and self._file is not None:
            self._file.content += memoryview(data)[start:end]
            file_field = self._file_field.of(self._file.content)
            if len(self._file.content) > file_field.max_bytes:
                raise _too_large(file_field)
            return
        self._part.value += memoryview(data)[start:end]
        if len(self._part.value) > MAX_VALUE_BYTES:
            raise InvalidRequest(f"'{self._part.name}' is over {MAX_VALUE_BYTES:,} bytes.", param=self._part.name)

    def on_part_end(self) -> None:
        """Keep the value of a field that is not a file."""
        if not self._part.is_file:
            self._fields[self._part.name] = _decoded(bytes(self._part.value), self._part.name)

    def on_end(self) -> None:
        """Note that the last boundary was parsed."""
        self._ended = True


def require_form_size(size_bytes: int, file_field: FileField) -> None:
    """Raise the field's ``too_large`` if a form has more bytes, so far or as declared, than the limit allows."""
    if size_bytes > file_field.max_bytes + OVERHEAD_BYTES:
        raise _too_large(file_field)


def _parser_for(content_type: str, form: FormParser) -> MultipartParser:
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise InvalidRequest("The body must be a form: 'Content-Type: multipart/form-data; boundary=…'.")
    try:
        return MultipartParser(
            boundary,
            {
                "on_part_begin": form.on_part_begin,
                "on_part_data": form.on_part_data,
                "on_part_end": form.on_part_end,
                "on_header_field": form.on_header_field,
                "on_header_value": form.on_header_value,
                "on_header_end": form.on_header_end,
                "on_headers_finished": form.on_headers_finished,
                "on_end": form.on_end,
            },
        )
    except FormParserError:
        raise _malformed("has a boundary over the length that RFC 2046 §5.1.1 allows") from None


def _decoded(value: bytes, name: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise InvalidRequest(f"'{name}' is not valid UTF-8.", param=name) from None


def _too_large(file_field: FileField) -> ObscuraError:
    name = file_field.name
    return file_field.too_large(
        f"'{name}' is too large: it may have {file_field.max_bytes:,} bytes. {file_field.hint}", param=name
    )


def _malformed(what: str) -> InvalidRequest:
    return InvalidRequest(f"The multipart body {what}. Let an HTTP library write it.")
