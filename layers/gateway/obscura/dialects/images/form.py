"""Multipart image edits (RFC 7578): a whole body into fields and files, and back with the prepared files."""

import secrets
from dataclasses import dataclass, field

import msgspec
import pybase64
from msgspec import Raw
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from obscura.dialects.images.rules import NUMBERS
from obscura.dialects.json.raw import RawJson, RawObject, is_string
from obscura.errors import InvalidRequest, UnsupportedField

FILES = ("image", "image[]", "mask")
MAX_PARTS = 64
MAX_FIELD_BYTES = 256 * 1024
_CHUNK_BYTES = 1 << 20
"""Of a body, what is copied at once while it is parsed."""
_JSON_VALUE = (b"true", b"false", b"null")


@dataclass(slots=True)
class FormImage:
    """A file of a form, by the name of its field, and where errors find it; ``sent`` takes its place once prepared."""

    name: str
    path: str
    data: bytes
    sent: bytes = b""

    def replace(self, data_url: bytes | str) -> None:
        """Take the prepared image, as a data URL."""
        self.sent = data_url if isinstance(data_url, bytes) else data_url.encode()


@dataclass(slots=True)
class ImageForm:
    """A form: its fields as JSON, its files in order."""

    fields: dict[str, Raw] = field(default_factory=dict)
    files: list[FormImage] = field(default_factory=list)

    def to_json(self) -> bytes:
        """Return the fields as a JSON object, which the rules of JSON requests are applied to."""
        return msgspec.json.encode(self.fields)


class _Reader:
    """Collects the parts of one body."""

    def __init__(self) -> None:
        self.form = ImageForm()
        self.ended = False
        self._parts = 0
        self._header = self._value = self._disposition = b""
        self._name = ""
        self._content = bytearray()

    def on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise InvalidRequest(f"The form has more than {MAX_PARTS} fields. Send fewer.")
        self._disposition, self._content = b"", bytearray()

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def on_headers_finished(self) -> None:
        kind, options = parse_options_header(self._disposition)
        self._name = options.get(b"name", b"").decode(errors="replace")
        if kind != b"form-data" or not self._name:
            raise _malformed("has a part without 'Content-Disposition: form-data; name=…'")
        if b"filename" in options and self._name not in FILES:
            raise UnsupportedField(
                f"The form has a file '{self._name[:100]}', which is not known here: image, image[] and mask are.",
                param=self._name[:100],
            )
        taken = {file.name for file in self.form.files} if self._name == "mask" else self.form.fields
        if self._name in taken:
            raise InvalidRequest(f"The form has the field '{self._name[:100]}' twice.", param=self._name[:100])

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._content += memoryview(data)[start:end]
        if self._name not in FILES and len(self._content) > MAX_FIELD_BYTES:
            raise InvalidRequest(f"'{self._name[:100]}' is over {MAX_FIELD_BYTES:,} bytes.", param=self._name[:100])

    def on_part_end(self) -> None:
        if self._name in FILES:
            number = sum(file.name != "mask" for file in self.form.files)
            path = "mask" if self._name == "mask" else f"image[{number}]"
            self.form.files.append(FormImage(self._name, path, bytes(self._content)))
        else:
            self.form.fields[self._name] = _leaf(self._name, bytes(self._content))

    def on_end(self) -> None:
        self.ended = True


def read_image_form(content_type: str, body: bytes | bytearray) -> ImageForm:
    """Parse a whole body; raises InvalidRequest if it is malformed, and UnsupportedField for files not known here."""
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise InvalidRequest("The body must be JSON, or a form: 'Content-Type: multipart/form-data; boundary=…'.")
    reader = _Reader()
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": reader.on_part_begin,
                "on_part_data": reader.on_part_data,
                "on_part_end": reader.on_part_end,
                "on_header_field": reader.on_header_field,
                "on_header_value": reader.on_header_value,
                "on_header_end": reader.on_header_end,
                "on_headers_finished": reader.on_headers_finished,
                "on_end": reader.on_end,
            },
        )
        for start in range(0, len(body), _CHUNK_BYTES):
            parser.write(bytes(body[start : start + _CHUNK_BYTES]))
    except FormParserError:
        raise _malformed("is malformed") from None
    if not reader.ended:
        raise _malformed("ends before its last boundary")
    return reader.form


def write_form(root: RawObject, form: ImageForm, body: RawJson) -> tuple[str, bytes]:
    """Return the content type and the body of a form with the fields of ``root`` and the prepared files."""
    boundary = f"obscura{secrets.token_hex(16)}"
    pieces: list[bytes] = []
    for name, leaf in root.items():
        value = body.text(leaf).encode() if is_string(leaf) else body.render(leaf)
        pieces += (_head(boundary, name), b"\r\n", value, b"\r\n")
    for number, file in enumerate(form.files):
        head, _, encoded = file.sent.partition(b",")
        media_type = head.removeprefix(b"data:").partition(b";")[0]
        extension = media_type.rpartition(b"/")[2].decode()
        pieces += (
            _head(
                boundary, file.name, f'; filename="{"mask" if file.name == "mask" else f"image-{number}"}.{extension}"'
            ),
            b"Content-Type: %b\r\n\r\n" % media_type,
            pybase64.b64decode(encoded),
            b"\r\n",
        )
    pieces.append(f"--{boundary}--\r\n".encode())
    return f"multipart/form-data; boundary={boundary}", b"".join(pieces)


def _head(boundary: str, name: str, more: str = "") -> bytes:
    # RFC 7578 §4.2 and the HTML standard, "multipart/form-data encoding algorithm": these three are written so.
    escaped = name.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")
    return f'--{boundary}\r\nContent-Disposition: form-data; name="{escaped}"{more}\r\n'.encode()


def _leaf(name: str, value: bytes) -> Raw:
    """Return a field as a JSON value: numbers and switches of the known fields as such, all else as strings."""
    if name in NUMBERS and (value in _JSON_VALUE or (value.isdigit() and (value == b"0" or value[:1] != b"0"))):
        return Raw(value)
    try:
        return Raw(msgspec.json.encode(value.decode()))
    except UnicodeDecodeError:
        raise InvalidRequest(f"'{name[:100]}' is not valid UTF-8.", param=name[:100]) from None


def _malformed(what: str) -> InvalidRequest:
    return InvalidRequest(f"The multipart body {what}. Let an HTTP library write it.")
