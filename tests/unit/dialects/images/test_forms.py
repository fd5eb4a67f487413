"""Forms of edits: read, and written again."""

import msgspec
import pytest

from obscura.dialects.base import ContentLimits
from obscura.dialects.images.form import MAX_PARTS, ImageForm, read_image_form
from obscura.dialects.images.request import parse_edit_form
from obscura.dialects.json.raw import RawJson
from obscura.errors import ObscuraError
from tests.support.image_requests import GREEN, fields_of
from tests.support.image_urls import data_url

TYPE = "multipart/form-data; boundary=b"


def a_part(name: str, value: bytes, filename: str | None = None) -> bytes:
    more = "" if filename is None else f'; filename="{filename}"'
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + value + b"\r\n"


def a_form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--b--\r\n"


PROMPT = (a_part("model", b"m"), a_part("prompt", 'Étoile "1"\r\n'.encode()))


def test_fields_and_files_are_written_as_they_were_read() -> None:
    body = a_form(*PROMPT, a_part("n", b"2"), a_part("user", b"7"), a_part("mask", GREEN, "a"), a_part("image", GREEN))
    form = read_image_form(TYPE, body)
    parsed = parse_edit_form(form, RawJson(form.to_json()), ContentLimits())
    for slot in parsed.images:
        slot.replace(data_url(GREEN).encode())

    sent = parsed.to_upstream("other")

    again = read_image_form(sent.content_type, sent.body)
    assert fields_of(again) == {"model": "other", "prompt": 'Étoile "1"\r\n', "n": 2, "user": "7"}
    assert [(file.name, file.data) for file in again.files] == [("image", GREEN), ("mask", GREEN)]
    assert [slot.path for slot in parsed.images] == ["image[0]", "mask"]
    assert [slot.path for slot in parsed.pictured] == ["image[0]"]


@pytest.mark.parametrize(
    ("content_type", "body", "param"),
    [
        ("multipart/form-data", a_form(*PROMPT), None),
        ("multipart/mixed; boundary=b", a_form(*PROMPT), None),
        (TYPE, b"", None),
        (TYPE, b"--c\r\n", None),
        (TYPE, a_form(*PROMPT)[:-6], None),
        (TYPE, a_form(*PROMPT, PROMPT[0]), "model"),
        (TYPE, a_form(a_part("mask", GREEN), a_part("mask", GREEN)), "mask"),
        (TYPE, a_form(a_part("markup", GREEN, "a.png")), "markup"),
        (TYPE, a_form(a_part("prompt", b"\xff")), "prompt"),
        (TYPE, a_form(a_part("prompt", b"x" * 300_000)), "prompt"),
        (TYPE, a_form(*(a_part(f"a{number}", b"") for number in range(MAX_PARTS + 1))), None),
        (TYPE, b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--\r\n", None),
    ],
)
def test_a_form_that_is_not_one_is_refused(content_type: str, body: bytes, param: str | None) -> None:
    with pytest.raises(ObscuraError) as refusal:
        read_image_form(content_type, body)
    assert (refusal.value.status, refusal.value.param) == (400, param)


@pytest.mark.parametrize(
    ("value", "leaf"), [(b"2", 2), (b"0", 0), (b"07", "07"), (b"true", True), (b"null", None), (b"1e9", "1e9")]
)
def test_numbers_of_known_fields_are_numbers(value: bytes, leaf: object) -> None:
    form = read_image_form(TYPE, a_form(a_part("n", value), a_part("prompt", value)))

    assert msgspec.json.decode(form.to_json()) == {"n": leaf, "prompt": value.decode()}


def test_a_form_without_fields_is_an_empty_object() -> None:
    assert ImageForm().to_json() == b"{}"
