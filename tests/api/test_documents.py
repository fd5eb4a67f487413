"""PDFs in the pipeline: loaded, rendered, moderated page by page, and replaced by what was moderated.

A dialect of the tests' own adds them to a chat request, to see what they are replaced by.
"""

import io
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pybase64
import pytest
from PIL import Image

from obscura.access_record import AccessRecord
from obscura.auth.access import Principal
from obscura.auth.api_keys import create_key
from obscura.bootstrap import open_services
from obscura.dialects.base import (
    ContentLimits,
    DocumentSlot,
    RequestHead,
    SourceKind,
)
from obscura.dialects.chat.request import ChatDialect, ChatRequest
from obscura.dialects.json.raw import RawJson
from obscura.errors import ObscuraError
from obscura.files.base import FileAttributes
from obscura.files.service import store_file
from obscura.moderation.base import Verdict
from obscura.pipeline.handle import handle_request
from obscura.pipeline.request import GatewayRequest, GatewayResponse
from obscura.pipeline.services import Services
from obscura.settings import Settings
from obscura.stores.open import local_stores
from obscura.stores.sqlite.database import open_database
from tests.security.documents.hostile import encrypted
from tests.support.fake_upstream import answers
from tests.support.gateway import chat_request, image_part, running_gateway, text
from tests.support.image_urls import data_url
from tests.support.loopback_server import LoopbackServer, loopback_server
from tests.support.pdfs import a_pdf, one_page, text_operators
from tests.unit.imaging.images import a_plain

PATH = "messages[0].content[1].file.file_data"
A4_TOKENS = 32 * 46
"""905 x 1280 px in squares of 28 px."""
RED = data_url(a_plain(56, 56, "PNG", (255, 0, 0)))
BLUE = data_url(a_plain(112, 56, "PNG", (0, 0, 255)))


@dataclass
class SentDocument:
    """A document of a request, and what it was replaced by."""

    source: bytes
    kind: SourceKind = SourceKind.URL
    detail: str = "auto"
    path: str = PATH
    images_before: int = 0
    images: list[Any] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def slot(self) -> DocumentSlot:
        return DocumentSlot(
            self.path, memoryview(self.source), self.detail, self.replace, self.kind, self.images_before
        )

    def replace(self, images: Sequence[bytes | str], texts: Sequence[str]) -> None:
        self.images, self.texts = list(images), list(texts)


def inline(document: bytes, **more: Any) -> SentDocument:
    return SentDocument(b"data:application/pdf;base64," + pybase64.b64encode(document), **more)


class DocumentDialect(ChatDialect):
    def __init__(self, documents: Sequence[SentDocument]) -> None:
        self._documents = documents

    def parse(self, head: RequestHead, body: RawJson, limits: ContentLimits) -> ChatRequest:
        request = super().parse(head, body, limits)
        request.content.documents.extend(sent.slot() for sent in self._documents)
        return request


@dataclass
class Recorder:
    """A moderator that records what it sees, and flags what contains a word."""

    flagged: str = "FLAGGED"
    flags_images: bool = False
    identity: str = "recorder"
    local: bool = False
    images: list[bytes] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    async def review_image(self, data_url: bytes) -> Verdict:
        self.images.append(data_url)
        return Verdict(self.flags_images, "violence")

    async def review_text(self, text: str) -> Verdict:
        self.texts.append(text)
        return Verdict(self.flagged in text, "violence")


@dataclass
class Body:
    content: bytes

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self.content


@dataclass
class Pipeline:
    services: Services
    moderator: Recorder
    headers: dict[str, str]

    async def send(
        self,
        *documents: SentDocument,
        parts: Sequence[dict] = (text("Read it"),),
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> tuple[GatewayResponse, AccessRecord]:
        record = AccessRecord("req_1")
        head = RequestHead("/v1/chat/completions", headers={**self.headers, **headers})
        request = GatewayRequest(head, Body(json.dumps(chat_request(*parts)).encode()), record)
        async with handle_request(request, DocumentDialect(documents), self.services) as response:
            return response, record


@asynccontextmanager
async def pipeline(tmp_path: Path, upstream: LoopbackServer, **settings: Any) -> AsyncIterator[Pipeline]:
    given = Settings(upstream_url=upstream.v1, moderation="off", data_dir=tmp_path, **settings)
    with closing(open_database(None)) as database:
        stores = local_stores(database, tmp_path)
        _, secret = await create_key(stores.keys, "tests")
        async with open_services(given, stores) as services:
            moderator = Recorder()
            watched = replace(services, moderator=moderator, verdicts=None)
            yield Pipeline(watched, moderator, {"authorization": f"Bearer {secret}"})


async def test_pages_are_moderated_and_sent_as_images_and_text(tmp_path: Path, upstream: LoopbackServer) -> None:
    document = inline(a_pdf(["The first page", "The second page"]))
    async with pipeline(tmp_path, upstream) as served:
        response, record = await served.send(document)

    assert response.status == 200
    assert sorted(served.moderator.images) == sorted(document.images)
    assert all(image.startswith(b"data:image/") for image in document.images)
    assert document.texts == ["The first page", "The second page"]
    assert served.moderator.texts == ["Read it", "The first page\n\nThe second page"]
    assert response.headers["x-image-tokens"] == f"{A4_TOKENS},{A4_TOKENS}"
    assert [(image.format, image.pixels_after, image.tokens) for image in record.images] == [
        ("PDF", "905x1280", A4_TOKENS)
    ] * 2


async def test_pages_stand_among_the_images_as_in_the_request(tmp_path: Path, upstream: LoopbackServer) -> None:
    first, last = inline(a_pdf(), images_before=1, detail="low"), inline(a_pdf(), images_before=2)
    async with pipeline(tmp_path, upstream) as served:
        response, _ = await served.send(first, last, parts=[image_part(RED), image_part(BLUE)])

    assert response.headers["x-image-tokens"] == f"4,{19 * 27},8,{A4_TOKENS}"


@pytest.mark.parametrize("operators", [text_operators("FLAGGED", mode=3), b"1 1 1 rg " + text_operators("FLAGGED")])
async def test_text_that_only_the_text_layer_has_is_moderated(
    operators: bytes, tmp_path: Path, upstream: LoopbackServer
) -> None:
    document = inline(one_page(operators))
    async with pipeline(tmp_path, upstream) as served:
        with pytest.raises(ObscuraError) as blocked:
            await served.send(document)

    assert blocked.value.code == "moderation_blocked"
    assert (document.images, upstream.received) == ([], [])


async def test_a_blocked_page_is_named(tmp_path: Path, upstream: LoopbackServer) -> None:
    async with pipeline(tmp_path, upstream) as served:
        served.moderator.flags_images = True
        with pytest.raises(ObscuraError, match="Page 1 of the document was blocked") as blocked:
            await served.send(inline(a_pdf()))

    assert (blocked.value.code, blocked.value.param) == ("moderation_blocked", PATH)


async def stored_id(served: Pipeline, content: bytes) -> bytes:
    attributes = FileAttributes("report.pdf", "user_data", 3600)
    owner = Principal("tests", zero_retention=False)
    file = await store_file(content, attributes, owner, served.services.file_service, served.services.clock.now())
    return file.id.encode()


async def test_a_stored_document_is_used_by_its_id(tmp_path: Path, upstream: LoopbackServer) -> None:
    async with pipeline(tmp_path, upstream, max_document_bytes=1000) as served:
        document = SentDocument(await stored_id(served, a_pdf(["Stored"]) + bytes(1000)), SourceKind.FILE_ID)
        await served.send(document)
        with pytest.raises(ObscuraError) as conflict:
            await served.send(document, headers={"x-zero-retention": "true"})
        image = SentDocument(await stored_id(served, a_plain(9, 9, "PNG")), SourceKind.FILE_ID)
        await served.send(image)

    assert document.texts == ["Stored"]
    assert (conflict.value.code, conflict.value.param) == ("retention_conflict", PATH)
    assert (len(image.images), image.texts) == (1, [""])


async def test_a_document_comes_by_url_through_the_guard(tmp_path: Path, upstream: LoopbackServer) -> None:
    async with loopback_server(answers(a_pdf(["From a host"]))) as host:
        document = SentDocument(f"{host.v1}/report.pdf".encode())
        async with pipeline(tmp_path, upstream, fetch_allow=(host.origin,)) as served:
            await served.send(document)
        assert document.texts == ["From a host"]

        async with pipeline(tmp_path, upstream) as served:
            with pytest.raises(ObscuraError) as refused:
                await served.send(document)

    assert (refused.value.code, refused.value.param) == ("unsafe_image_url", PATH)


def case(document: SentDocument, code: str, words: str, **settings: Any) -> Any:
    return pytest.param(document, code, words, settings, id=words)


@pytest.mark.parametrize(
    ("document", "code", "words", "settings"),
    [
        case(SentDocument(b"data:application/pdf;base64,JVBER"), "invalid_document", "base64 is cut off"),
        case(SentDocument(b"data:application/pdf,%25PDF"), "invalid_document", "must be base64"),
        case(SentDocument(b"JVBER!", SourceKind.BASE64), "invalid_document", "alphabet"),
        case(inline(b"plain text"), "invalid_document", "not a PDF"),
        case(inline(b"%PDF-1.7 nothing"), "invalid_document", "broken"),
        case(inline(encrypted(b"x")), "invalid_document", "password"),
        case(inline(a_pdf(["x"] * 4)), "document_too_large", "4 pages; 3", max_document_pages=3),
        case(inline(a_pdf(["x"] * 4)), "too_many_images", "4 images", max_images=3),
        case(inline(a_pdf()), "document_too_large", "more than 500 bytes", max_document_bytes=500),
        case(inline(a_pdf(["x"] * 3), detail="high"), "document_too_large", "lower detail", max_pixels=8_000_000),
        case(SentDocument(b"file_" + b"0" * 36, SourceKind.FILE_ID), "file_not_found", "no file with this id"),
        case(SentDocument(b"https://" + b"a" * 20_000), "invalid_image_url", "too long"),
    ],
)
async def test_each_error_names_the_document_and_the_limit(
    document: SentDocument, code: str, words: str, settings: dict, tmp_path: Path, upstream: LoopbackServer
) -> None:
    async with pipeline(tmp_path, upstream, **settings) as served:
        with pytest.raises(ObscuraError, match=words) as refused:
            await served.send(document)

    assert (refused.value.status, refused.value.code, refused.value.param) in {(400, code, PATH), (404, code, PATH)}
    assert (served.moderator.images, upstream.received) == ([], [])


async def test_pages_and_images_together_are_limited(tmp_path: Path, upstream: LoopbackServer) -> None:
    two, other = inline(a_pdf(["x"] * 2)), inline(a_pdf(["x"] * 2), path="messages[0].content[2].file.file_data")
    async with pipeline(tmp_path, upstream, max_images=4) as served:
        await served.send(two, other)
        with pytest.raises(ObscuraError, match="5 images, each page of a document counted") as refused:
            await served.send(two, other, parts=[image_part(RED)])

    assert refused.value.code == "too_many_images"
    assert refused.value.param in {two.path, other.path}


async def store(url: Callable[..., Any], content: bytes, name: str = "report.pdf") -> Any:
    return await url("/v1/files", files={"file": (name, content, "application/pdf")}, data={"purpose": "user_data"})


async def test_a_stored_pdf_is_listed_downloaded_and_deleted() -> None:
    document = a_pdf(["Stored"])
    async with running_gateway() as gateway:
        stored = (await store(gateway.client.post, document)).json()
        content = await gateway.client.get(f"/v1/files/{stored['id']}/content")
        deleted = await gateway.client.delete(f"/v1/files/{stored['id']}")

    assert (stored["mime_type"], stored["bytes"], stored["filename"]) == (
        "application/pdf", len(document), "report.pdf"
    )  # fmt: skip
    assert (content.content, content.headers["content-type"]) == (document, "application/pdf")
    assert (content.headers["x-content-type-options"], content.headers["content-disposition"]) == (
        "nosniff", "attachment"
    )  # fmt: skip
    assert deleted.json()["deleted"] is True


def upload_errors() -> Iterator[Any]:
    yield pytest.param(b"%PDF-1.7 nothing", "invalid_document", {}, id="broken")
    yield pytest.param(encrypted(b"x"), "invalid_document", {}, id="encrypted")
    yield pytest.param(a_pdf(["x"] * 4), "document_too_large", {"max_document_pages": 3}, id="pages")
    limits = {"max_document_bytes": 500, "max_stored_document_bytes": 500}
    yield pytest.param(a_pdf(["x"] * 3), "document_too_large", limits, id="bytes")


@pytest.mark.parametrize(("content", "code", "settings"), list(upload_errors()))
async def test_a_pdf_is_checked_when_it_is_stored(content: bytes, code: str, settings: dict) -> None:
    async with running_gateway(**settings) as gateway:
        response = await store(gateway.client.post, content)
        listed = await gateway.client.get("/v1/files")

    assert (response.status_code, response.json()["error"]["code"]) == (400, code)
    assert response.json()["error"]["param"] == "file"
    assert listed.json()["data"] == []


async def test_an_image_that_mentions_a_pdf_is_an_image() -> None:
    image = io.BytesIO()
    Image.new("RGB", (9, 9)).save(image, "JPEG", comment=b"made from %PDF-1.7")
    async with running_gateway() as gateway:
        stored = await store(gateway.client.post, image.getvalue(), "photo.jpg")

    assert b"%PDF-" in image.getvalue()[:1024]
    assert stored.json()["mime_type"] == "image/jpeg"


async def test_pdfs_and_images_have_limits_of_their_own() -> None:
    padded = a_pdf() + b"%" + bytes(300_000)
    photograph = a_plain(9, 9, "PNG") + bytes(300_000)
    async with running_gateway(max_image_bytes=200_000) as gateway:
        document = await store(gateway.client.post, padded)
        image = await store(gateway.client.post, photograph)
        upload = {"filename": "a.pdf", "purpose": "user_data", "bytes": 300_000, "mime_type": "application/pdf"}
        begun = await gateway.client.post("/v1/uploads", json=upload)
        too_large = await gateway.client.post("/v1/uploads", json=upload | {"bytes": 2**25 + 1})
        not_a_pdf = await gateway.client.post("/v1/uploads", json=upload | {"mime_type": "image/png"})

    assert (document.status_code, image.json()["error"]["code"]) == (200, "image_too_large")
    assert begun.status_code == 200
    assert too_large.json()["error"]["code"] == "document_too_large"
    assert not_a_pdf.json()["error"]["code"] == "image_too_large"


async def test_the_id_of_a_pdf_is_no_image_and_the_other_way_round(tmp_path: Path, upstream: LoopbackServer) -> None:
    async with running_gateway(upstream_url=upstream.v1) as gateway:
        stored = (await store(gateway.client.post, a_pdf())).json()
        as_image = {"type": "image_url", "image_url": {"file_id": stored["id"]}}
        refused = await gateway.chat(chat_request(as_image))

    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "unsupported_image_format"
    assert "is a PDF" in refused.json()["error"]["message"]
    assert refused.json()["error"]["param"].startswith("messages[0].content[0].image_url")
