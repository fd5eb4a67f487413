"""File parts of Responses requests: images, PDFs, texts, and what cannot be checked."""

import base64
import json
from typing import Any

import pytest

from obscura.errors import FileNotFound, InvalidRequest, UnsupportedOperation
from tests.unit.dialects.responses.requests import (
    FILE_ID,
    a_message,
    a_request,
    as_native,
    parsed,
    text,
    the_unchecked,
    to_upstream,
)

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(20)).decode()
PDF = base64.b64encode(b"%PDF-1.7\n" + bytes(20)).decode()
ZIP = base64.b64encode(b"PK\3\4" + bytes(20)).decode()
URL = "https://x.test/a.png"
FILE: dict[str, Any] = {"type": "input_file"}


@pytest.mark.parametrize(
    ("part", "path", "kind"),
    [
        ({"type": "input_image", "file_id": "file-abc"}, "file_id", "input_image"),
        (FILE | {"file_id": "file-abc"}, "file_id", "input_file"),
        (FILE | {"file_id": "file-abc", "mime_type": "image/png"}, "file_id", "input_file"),
        (FILE | {"file_id": FILE_ID.upper()}, "file_id", "input_file"),
        (FILE | {"input_file": {"file_id": "file_1", "mime_type": "image/png"}}, "input_file.file_id", "input_file"),
    ],
)
def test_an_id_that_is_not_of_our_form_is_no_file_unless_it_is_passed(part: dict, path: str, kind: str) -> None:
    request = a_request([a_message(part)])

    unchecked = the_unchecked(request)

    assert isinstance(unchecked.error, FileNotFound)
    assert (unchecked.kind, unchecked.error.status, unchecked.error.param) == (kind, 404, f"input[0].content[0].{path}")
    assert as_native(request, passing=[kind])["input"][0]["content"] == [part]


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ({"file_data": f"data:application/pdf;base64,{ZIP}"}, "file_data"),
        ({"file_data": ZIP, "mime_type": "text/plain"}, "file_data"),
        ({"file_data": "AAAA", "mime_type": "application/zip"}, "file_data"),
        ({"file_data": "/////////w==", "mime_type": "text/plain"}, "file_data"),
        ({"file_data": "data:text/plain,hello"}, "file_data"),
        ({"input_file": {"file_data": ZIP, "mime_type": "application/zip"}}, "input_file.file_data"),
    ],
)
def test_a_file_that_is_no_image_pdf_or_text_is_unchecked(source: dict, path: str) -> None:
    unchecked = the_unchecked(a_request([a_message(FILE | {"filename": "a"} | source)]))

    assert isinstance(unchecked.error, UnsupportedOperation)
    assert (unchecked.kind, unchecked.error.param) == ("input_file", f"input[0].content[0].{path}")


@pytest.mark.parametrize("file", [{"file_data": PDF}, {"file_url": URL}])
def test_a_variable_of_a_prompt_is_no_pdf(file: dict) -> None:
    unchecked = the_unchecked({"model": "m", "prompt": {"id": "p", "variables": {"a": FILE | file}}})

    assert unchecked.error.param == f"prompt.variables.a.{next(iter(file))}"


def test_an_image_in_a_file_is_an_image_whatever_its_declared_type_says() -> None:
    part = FILE | {"file_data": f"data:text/plain;base64,{PNG}"}

    (slot,) = parsed(a_request([a_message(part)])).images

    assert slot.path == "input[0].content[0].file_data"


@pytest.mark.parametrize("words", ["Grüße, 你好", "<?xml version='1.0'?><svg/>", "\ufeffhello"])
@pytest.mark.parametrize("spelling", ["data URL", "base64", "nested"])
def test_a_text_file_becomes_moderated_text(words: str, spelling: str) -> None:
    encoded = base64.b64encode(words.encode()).decode()
    files: dict[str, dict] = {
        "data URL": {"file_data": f"data:text/plain; charset=utf-8;base64,{encoded}"},
        "base64": {"file_data": encoded, "mime_type": "Text/Markdown"},
        "nested": {"input_file": {"file_data": encoded, "mime_type": "text/csv"}},
    }
    request = a_request(
        [a_message(FILE | files[spelling] | {"filename": "a.txt", "prompt_cache_breakpoint": {"mode": "explicit"}})]
    )

    expected = f"a.txt\n\n{words.removeprefix(chr(0xFEFF))}"
    assert list(parsed(request).texts) == [expected]
    assert as_native(request)["input"][0]["content"] == [
        text(expected) | {"prompt_cache_breakpoint": {"mode": "explicit"}}
    ]
    assert json.loads(to_upstream(request).body)["messages"][0]["content"][0]["text"] == expected


@pytest.mark.parametrize(
    ("part", "path"),
    [
        (FILE | {"file_data": ["AAAA"]}, "file_data"),
        (FILE | {"file_id": {"id": FILE_ID}}, "file_id"),
        (FILE | {"input_file": {"file_url": 1}}, "input_file.file_url"),
        (FILE | {"input_file": {}, "file_id": "file-abc"}, "file_id"),
        (FILE | {"input_file": {"file_id": FILE_ID}, "file_url": URL}, "file_url"),
        (FILE | {"file_data": PNG, "file_url": URL}, "file_url"),
        (FILE | {"input_file": {"file_data": PNG, "file_id": FILE_ID}}, "input_file.file_id"),
        (FILE | {"input_file": "file-abc"}, "input_file"),
        (FILE | {"input_file": ["file-abc"]}, "input_file"),
        (FILE | {"file_id": FILE_ID, "detail": "huge"}, "detail"),
        (FILE | {"input_file": {"file_id": FILE_ID, "detail": "huge"}}, "input_file.detail"),
    ],
)
def test_a_malformed_file_is_named_by_its_path(part: dict, path: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        parsed(a_request([a_message(part)]))

    assert raised.value.param == f"input[0].content[0].{path}"


@pytest.mark.parametrize("spelling", [{"file_id": FILE_ID, "detail": "low"}, {
    "input_file": {"file_id": FILE_ID, "mime_type": "image/png"}, "detail": "low",
}, {"input_file": {"file_id": FILE_ID, "mime_type": "image/png", "detail": "low"}}])  # fmt: skip
def test_the_detail_of_a_file_part_is_that_of_its_images(spelling: dict) -> None:
    request = parsed(a_request([a_message(FILE | spelling)]))

    assert [slot.detail for slot in request.images] + [slot.detail for slot in request.documents] == ["low"]
