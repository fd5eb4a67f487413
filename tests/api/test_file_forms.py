"""Malformed and hostile forms: each gets a 4xx within bounds, and nothing of it is kept."""

import gc
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obscura.errors import ImageTooLarge, ObscuraError
from obscura.files.multipart import FileField, FormParser
from obscura.files.requests import FORM_FIELDS
from obscura.pipeline.read_body import read_form
from tests.support.forms import BOUNDARY, FORM, form, kept_in, part
from tests.support.gateway import Gateway
from tests.support.slow_body import arriving, pieces_read
from tests.unit.imaging.images import a_photograph

PHOTO = a_photograph(300, 200, "JPEG")
FILE = part("file", PHOTO, filename="a.jpg")
FILE_FIELD = FileField("file", 1_000_000, ImageTooLarge, "Shrink it.")
MULTIPART = "multipart/form-data"

BAD: dict[str, tuple[dict[str, str], bytes]] = {
    "no content type": ({}, form(FILE)),
    "JSON": ({"content-type": "application/json"}, b"{}"),
    "no boundary": ({"content-type": MULTIPART}, form(FILE)),
    "an empty boundary": ({"content-type": f"{MULTIPART}; boundary="}, form(FILE)),
    "a boundary of 300 characters": ({"content-type": f"{MULTIPART}; boundary={'b' * 300}"}, form(FILE)),
    "another boundary": ({"content-type": f"{MULTIPART}; boundary=other"}, form(FILE)),
    "a compressed body": (FORM | {"content-encoding": "gzip"}, form(FILE)),
    "nothing": (FORM, b""),
    "no part": (FORM, form()),
    "an end that is missing": (FORM, FILE),
    "an end that is half": (FORM, form(FILE)[:-4]),
    "a part that is cut off": (FORM, form(FILE)[:2000]),
    "headers that are cut off": (FORM, FILE[:40]),
    "10,000 tiny parts": (FORM, form(*[part(f"p{number}", b"") for number in range(10_000)])),
    "10,000 tiny files": (FORM, form(*[part("file", b"", filename="a")] * 10_000)),
    "a header of 60,000 bytes": (FORM, form(part("file", PHOTO, filename="a", header=f"x-a: {'b' * 60_000}\r\n"))),
    "a header's name of 60,000 bytes": (FORM, form(part("file", PHOTO, filename="a", header=f"{'b' * 60_000}: a\r\n"))),
    "1,000 headers": (FORM, form(part("file", PHOTO, filename="a", header="x-a: b\r\n" * 1000))),
    "a header without a colon": (FORM, form(part("file", PHOTO, filename="a", header="x\r\n"))),
    "no disposition": (FORM, f"--{BOUNDARY}\r\n\r\n".encode() + PHOTO + f"\r\n--{BOUNDARY}--\r\n".encode()),
    "a disposition without a name": (
        FORM,
        f"--{BOUNDARY}\r\nContent-Disposition: form-data\r\n\r\nx\r\n--{BOUNDARY}--\r\n".encode(),
    ),
    "another field's name": (FORM, form(part("image", PHOTO, filename="a.jpg"))),
    "no file": (FORM, form(part("purpose", b"vision"))),
    "two files": (FORM, form(FILE, FILE)),
    "a field twice": (FORM, form(FILE, part("purpose", b"vision"), part("purpose", b"vision"))),
    "a value of 2,000 bytes": (FORM, form(FILE, part("purpose", b"v" * 2000))),
    "a value that is no UTF-8": (FORM, form(FILE, part("purpose", b"\xff"))),
    "a name that is a path": (FORM, form(part("file", PHOTO, filename="../../etc/passwd"))),
    "a name that is an absolute path": (FORM, form(part("file", PHOTO, filename="/etc/passwd"))),
    "a name with a backslash": (FORM, form(part("file", PHOTO, filename="..\\\\x\\\\a.jpg"))),
    "a name with a null": (FORM, form(part("file", PHOTO, filename="a\0.jpg"))),
    "a name of 300 characters": (FORM, form(part("file", PHOTO, filename="a" * 300))),
    "a whole mebibyte of preamble": (FORM, b"\r\n" + b"x" * 1_200_000 + form(FILE)),
}


@pytest.mark.parametrize(("headers", "body"), BAD.values(), ids=BAD)
@pytest.mark.gateway(max_image_bytes=1_000_000)
async def test_a_malformed_form_is_a_client_error_and_nothing_is_kept(
    headers: dict[str, str], body: bytes, demo_gateway: Gateway
) -> None:
    response = await demo_gateway.client.post("/v1/files", content=body, headers=headers)

    assert response.status_code in {400, 413}
    assert response.json()["error"]["code"] in {"invalid_request", "image_too_large", "invalid_image"}
    assert response.json()["error"]["message"].endswith((".", "…'."))
    assert kept_in(demo_gateway.data_dir) == []


@pytest.mark.parametrize("filename", ["cät 🐈.jpg", 'say "hi".jpg', "a b;c.jpg", "..", "a" * 255])
async def test_a_name_is_kept_as_it_was_sent(filename: str, demo_gateway: Gateway) -> None:
    response = await demo_gateway.client.post("/v1/files", files={"file": (filename, PHOTO)})

    assert response.json()["filename"] in {filename, filename.replace('"', "%22")}


async def test_a_file_without_a_name_gets_one(demo_gateway: Gateway) -> None:
    response = await demo_gateway.client.post("/v1/files", content=form(part("file", PHOTO)), headers=FORM)

    assert response.json()["filename"] == "upload"


async def test_no_more_of_a_form_is_read_than_its_limit() -> None:
    begun = part("file", b"", filename="a.jpg")[:-2]
    request = arriving(begun, *[bytes(65_536)] * 100, content_type=FORM["content-type"])

    with pytest.raises(ImageTooLarge):
        await read_form(request, FILE_FIELD)

    assert pieces_read(request) == 17


async def test_the_file_of_a_refused_form_is_released_with_its_request() -> None:
    begun = part("file", b"", filename="a.jpg")[:-2]
    request = arriving(begun, *[bytes(65_536)] * 100, content_type=FORM["content-type"])
    gc.disable()
    tracemalloc.start()
    try:
        with pytest.raises(ImageTooLarge):
            await read_form(request, FILE_FIELD)
        assert tracemalloc.get_traced_memory()[0] < 200_000  # the file had 1,000,000
    finally:
        tracemalloc.stop()
        gc.enable()


async def test_a_form_that_declares_too_much_is_rejected_before_its_first_byte() -> None:
    request = arriving(form(FILE), content_type=FORM["content-type"], content_length="2000000")

    with pytest.raises(ImageTooLarge):
        await read_form(request, FILE_FIELD)

    assert pieces_read(request) == 0


@pytest.mark.parametrize("size", [1, 2, 7, 64, 1000])
def test_a_form_is_parsed_the_same_whatever_its_chunks(size: int) -> None:
    content = b"\r\n--b0undar" * 500 + b"\r\n" + PHOTO
    body = form(part("file", content, filename="a.jpg"), part("purpose", b"vision"))

    read = reader()
    for start in range(0, len(body), size):
        read.feed(body[start : start + size])

    found = read.form()
    assert bytes(found.file.content) == content
    assert found.fields == {"purpose": "vision"}


@given(st.lists(st.one_of(st.binary(max_size=60), st.sampled_from([FILE, f"--{BOUNDARY}".encode(), b"\r\n", b"--"]))))
def test_any_bytes_are_a_form_or_an_obscura_error(pieces: list[bytes]) -> None:
    read = reader()
    try:
        for piece in pieces:
            read.feed(piece)
        read.form()
    except ObscuraError as error:
        assert error.status == 400


def test_a_file_is_in_memory_once_while_it_is_read() -> None:
    read = reader(FileField("file", 20_000_000, ImageTooLarge, "Shrink it."))
    chunk = bytes(65_536)

    tracemalloc.start()
    read.feed(part("file", b"", filename="a.jpg")[:-2])
    for _ in range(240):
        read.feed(chunk)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak_bytes < 40_000_000


def reader(file_field: FileField = FILE_FIELD) -> FormParser:
    return FormParser(FORM["content-type"], file_field, FORM_FIELDS)
