"""File parts of chat requests: images, PDFs, texts, and what cannot be checked."""

import base64
import json

import pytest

from obscura.errors import ObscuraError
from tests.support.chat_bodies import PIXEL, a_message, a_request, parse

PART = "messages[0].content[0]"
URL = "https://example.com/a.png"
FILE_ID = f"file_{'0' * 36}"
CACHE = {"prompt_cache_breakpoint": {"mode": "explicit"}}
PDF = base64.b64encode(b"%PDF-1.7\n" + bytes(20)).decode()


@pytest.mark.parametrize(
    ("part", "path"),
    [
        ({"type": "file", "file": {"file_data": PIXEL}}, "file.file_data"),
        ({"type": "input_file", "file_data": "AAAA", "mime_type": "image/png"}, "file_data"),
        ({"type": "input_file", "file_id": FILE_ID, "mime_type": "IMAGE/jpeg"}, "file_id"),
        ({"type": "file", "file": {"file_id": FILE_ID, "mime_type": "image/png"}}, "file.file_id"),
        ({"type": "input_file", "input_file": {"file_data": "AAAA", "mime_type": "image/png"}}, "input_file.file_data"),
        ({"type": "file", "file": {"file_data": "iVBORw0KGgoAAAAN", "mime_type": "text/plain"}}, "file.file_data"),
        ({"type": "file", "file": {"file_url": URL, "mime_type": "image/png"}}, "file.file_url"),
    ],
    ids=str,
)
def test_a_file_that_is_an_image_is_sent_on_as_an_image(part: dict, path: str) -> None:
    parsed_request = parse(a_request(a_message(part | CACHE)))

    (slot,) = parsed_request.images
    slot.replace(b"data:image/png;base64,BBBB")

    assert slot.path == f"messages[0].content[0].{path}"
    assert json.loads(parsed_request.to_upstream().body)["messages"][0]["content"] == [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,BBBB"}} | CACHE
    ]


@pytest.mark.parametrize(
    ("part", "path"),
    [
        (
            {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PDF}", "detail": "low"}},
            "file.file_data",
        ),
        ({"type": "file", "file": {"file_data": f"data:text/plain;base64,{PDF}"}, "detail": "low"}, "file.file_data"),
        ({"type": "input_file", "file_data": PDF, "detail": "low"}, "file_data"),
        ({"type": "file", "file": {"file_id": FILE_ID}, "detail": "low"}, "file.file_id"),
        ({"type": "input_file", "input_file": {"file_id": FILE_ID, "detail": "low"}}, "input_file.file_id"),
        ({"type": "file", "file": {"file_url": "https://example.com/a"}, "detail": "low"}, "file.file_url"),
    ],
    ids=str,
)
def test_a_file_that_is_or_may_be_a_pdf_is_sent_on_as_its_pages(part: dict, path: str) -> None:
    parsed_request = parse(a_request(a_message("a", part | {"filename": "a.pdf"} | CACHE, "b")))

    (slot,) = parsed_request.documents
    slot.replace([b"data:1", b"data:2"], ["the first page's text", ""])

    assert (slot.path, slot.detail) == (f"messages[0].content[1].{path}", "low")
    assert "a.pdf" in parsed_request.texts
    assert json.loads(parsed_request.to_upstream().body)["messages"][0]["content"] == [
        "a",
        {"type": "text", "text": "a.pdf (page 1 of 2):\n\nthe first page's text"},
        {"type": "image_url", "image_url": {"url": "data:1"}},
        {"type": "text", "text": "a.pdf (page 2 of 2)"},
        {"type": "image_url", "image_url": {"url": "data:2"}} | CACHE,
        "b",
    ]


@pytest.mark.parametrize("nested", [True, False])
def test_a_text_file_is_sent_on_as_moderated_text(nested: bool) -> None:
    file = {"file_data": f"data:text/csv;base64,{base64.b64encode('Grüße;1'.encode()).decode()}", "filename": "a.csv"}
    part = {"type": "file", "file": file} if nested else {"type": "input_file"} | file

    parsed_request = parse(a_request(a_message(part | CACHE)))

    assert list(parsed_request.texts) == ["a.csv\n\nGrüße;1"]
    assert json.loads(parsed_request.to_upstream().body)["messages"][0]["content"] == [
        {"type": "text", "text": "a.csv\n\nGrüße;1"} | CACHE
    ]


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "file", "file": {}, "file_id": "file-abc"}, "file_id"),
        ({"type": "file", "file": {"file_id": FILE_ID}, "input_file": {"file_id": FILE_ID}}, "input_file"),
        ({"type": "file", "file": {}, "input_file": {}}, "input_file"),
        ({"type": "file", "file": {"file_data": PDF, "file_url": URL}}, "file.file_url"),
        ({"type": "file", "file": {"file_data": [PDF]}}, "file.file_data"),
        ({"type": "file", "file": FILE_ID}, "file"),
        ({"type": "file", "file": {"file_id": FILE_ID, "detail": "huge"}}, "file.detail"),
        ({"type": "file", "file": {"file_id": FILE_ID}, "detail": "huge"}, "detail"),
    ],
    ids=str,
)
def test_a_malformed_file_is_named_by_its_path(part: dict, param: str) -> None:
    with pytest.raises(ObscuraError) as caught:
        parse(a_request(a_message(part)))

    assert (caught.value.code, caught.value.param) == ("invalid_request", f"{PART}.{param}")


@pytest.mark.parametrize(
    ("file", "code", "param"),
    [
        ({"file_data": "data:application/x;base64,AAAA", "filename": "a.bin"}, "unsupported_operation", "file_data"),
        ({"file_data": "UEsDBBQAAAAIAAAAIQ", "filename": "a.docx"}, "unsupported_operation", "file_data"),
        ({"file_data": "data:text/plain,hello"}, "unsupported_operation", "file_data"),
        ({"file_id": "file-of-the-provider"}, "file_not_found", "file_id"),
    ],
    ids=str,
)
def test_a_file_of_another_kind_is_unchecked(file: dict, code: str, param: str) -> None:
    parsed_request = parse(a_request(a_message({"type": "file", "file": file})))

    (unchecked,) = parsed_request.unchecked
    assert (unchecked.kind, unchecked.path, unchecked.error.code) == ("file", PART, code)
    assert unchecked.error.param == f"{PART}.file.{param}"
    assert json.loads(parsed_request.to_upstream().body)["messages"][0]["content"][0]["file"] == file
