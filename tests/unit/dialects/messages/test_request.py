"""Messages requests parsed: images with their paths and sources, and the texts for moderation."""

from collections.abc import Callable

import pytest

from obscura.dialects.base import SourceKind
from obscura.errors import (
    FileNotFound,
    InvalidRequest,
    ObscuraError,
    TooManyContentParts,
    UnsupportedOperation,
)
from tests.unit.dialects.messages.conversations import (
    OURS,
    PAGE_TEXT,
    PDF,
    a_request,
    a_tool,
    assistant,
    image,
    parse,
    passed_natively,
    text,
    tool_result,
    tool_use,
    user,
)


def test_every_image_is_found_with_its_path_in_request_order() -> None:
    document = {"type": "document", "source": {"type": "content", "content": [text("page"), image()]}}

    parsed_request = parse(
        a_request(user(image(), tool_result("a", text("x"), image())), assistant("ok"), user(document))
    )

    assert [slot.path for slot in parsed_request.images] == [
        "messages[0].content[0].source.data",
        "messages[0].content[1].content[1].source.data",
        "messages[2].content[0].source.content[1].source.data",
    ]


@pytest.mark.parametrize(
    ("source", "kind", "key"),
    [
        ({"type": "base64", "media_type": "image/tiff", "data": "QUJD"}, SourceKind.BASE64, "data"),
        ({"type": "base64", "data": "QUJD"}, SourceKind.BASE64, "data"),
        ({"type": "url", "url": "https://example.com/a.png"}, SourceKind.URL, "url"),
        ({"type": "file", "file_id": "file_1"}, SourceKind.FILE_ID, "file_id"),
    ],
)
def test_a_source_is_parsed_by_its_type_and_its_media_type_is_ignored(source: dict, kind: SourceKind, key: str) -> None:
    (slot,) = parse(a_request(user({"type": "image", "source": source}))).images

    assert (slot.kind, bytes(slot.source).decode(), slot.detail) == (kind, source[key], "auto")
    assert slot.path == f"messages[0].content[0].source.{key}"


@pytest.mark.parametrize(
    ("block", "param"),
    [
        ({"type": "image"}, "source"),
        ({"type": "image", "source": "https://example.com/a.png"}, "source"),
        ({"type": "image", "source": {}}, "source.type"),
        ({"type": "image", "source": {"type": "blob"}}, "source.type"),
        ({"type": "image", "source": {"type": "base64"}}, "source.data"),
        ({"type": "image", "source": {"type": "base64", "data": None}}, "source.data"),
        ({"type": "image", "source": {"type": "url", "data": "QUJD"}}, "source.url"),
        ({"type": "image", "source": {"type": "file", "file_id": 7}}, "source.file_id"),
        ({}, "type"),
        ({"type": None}, "type"),
    ],
)
def test_a_malformed_block_is_rejected_with_its_path(block: dict, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(a_request(user(block)))

    assert caught.value.param == f"messages[0].content[0].{param}"


def test_every_text_that_the_model_reads_is_moderated() -> None:
    document = {
        "type": "document",
        "title": "8",
        "context": "9",
        "source": {"type": "text", "media_type": "text/plain", "data": "10"},
    }
    search_result = {"type": "search_result", "title": "11", "source": "s", "content": [text("12")]}
    fetched = {"type": "web_fetch_tool_result", "content": {"type": "web_fetch_result", "content": document}}

    parsed_request = parse(
        a_request(
            user("2"),
            assistant({"type": "thinking", "thinking": "3", "signature": "s"}, text("4"), tool_use(word="-")),
            user(tool_result("a", "5"), tool_result("b", text("6")), text("7"), document, search_result, fetched),
            system=[text("1")],
            tools=[a_tool("13", description="14")],
            stop_sequences=["15"],
        )
    )

    numbered = sorted(int(words) for words in parsed_request.texts if words.isdigit())
    assert numbered == sorted([*range(1, 16), 8, 9, 10])
    assert parsed_request.texts[0] == "2"
    assert {"look_up", "word\n-", "s"} < set(parsed_request.texts)


@pytest.mark.parametrize("count", [16, 17])
@pytest.mark.parametrize("inside", [user, lambda *blocks: user(tool_result("a", *blocks))], ids=["message", "result"])
def test_a_message_and_a_tool_result_may_have_sixteen_parts(count: int, inside: Callable[..., dict]) -> None:
    request = a_request(inside(*[text("x")] * count))

    if count == 16:
        assert len(parse(request).texts) == 16
    else:
        with pytest.raises(TooManyContentParts):
            parse(request)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b"[]", "invalid_request"),
        (b"{}", "invalid_request"),
        (b'{"model":"m","messages":[{"role":"user","content":"hi"}]}', "invalid_request"),
        (b'{"model":"m","max_tokens":1,"messages":[{"content":"hi"}]}', "invalid_request"),
        (b'{"model":"m","max_tokens":1,"messages":[{"role":"user"}]}', "invalid_request"),
        (b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[["hi"]]}]}', "invalid_request"),
        (b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"\xff"}]}', "invalid_json"),
    ],
)
def test_a_body_that_is_no_request_is_rejected(body: bytes, code: str) -> None:
    with pytest.raises(ObscuraError) as caught:
        parse(body)

    assert (caught.value.status, caught.value.code) == (400, code)


EPHEMERAL = {"type": "ephemeral"}
INSIDE = pytest.mark.parametrize(
    "inside", [user, lambda block: user(tool_result("a", block))], ids=["user", "tool result"]
)


@pytest.mark.parametrize(
    ("source", "kind", "key"),
    [
        ({"type": "base64", "media_type": "application/pdf", "data": PDF}, SourceKind.BASE64, "data"),
        ({"type": "base64", "media_type": "text/plain", "data": PDF}, SourceKind.BASE64, "data"),
        ({"type": "url", "url": "https://example.com/a.pdf"}, SourceKind.URL, "url"),
        ({"type": "file", "file_id": OURS}, SourceKind.FILE_ID, "file_id"),
    ],
)
@INSIDE
def test_a_document_that_may_be_a_pdf_is_a_slot(
    source: dict, kind: SourceKind, key: str, inside: Callable[[dict], dict]
) -> None:
    parsed = parse(a_request(inside({"type": "document", "source": source, "title": "the title", "context": "why"})))

    (slot,) = parsed.documents
    assert (slot.kind, bytes(slot.source).decode()) == (kind, source[key])
    assert slot.path.endswith(f".source.{key}")
    assert ("the title" in parsed.texts, "why" in parsed.texts) == (True, True)
    assert not parsed.unchecked


@INSIDE
def test_the_pages_of_a_pdf_take_its_place_with_its_title_and_context(inside: Callable[[dict], dict]) -> None:
    source = {"type": "url", "url": "https://example.com/a.pdf"}
    block = {"type": "document", "source": source, "title": "T", "context": "why", "cache_control": EPHEMERAL}

    (message,) = passed_natively(a_request(inside(block)))["messages"]

    content = message["content"]
    blocks = content[0]["content"] if content[0]["type"] == "tool_result" else content
    assert blocks == [
        text("why"),
        text(f"T (page 1 of 1):\n\n{PAGE_TEXT}"),
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/jpeg", "data": "UFJFUA=="},
            "cache_control": EPHEMERAL,
        },
    ]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"citations": {"enabled": True}}, "citations.enabled"),
        ({"x_extra": 1}, "x_extra"),
        ({"source": {"type": "url", "url": "https://example.com/a.pdf", "data": PDF}}, "source.data"),
    ],
)
def test_what_the_pages_of_a_pdf_cannot_carry_is_refused_by_name(fields: dict, param: str) -> None:
    document = {"type": "document", "source": {"type": "base64", "data": PDF}} | fields

    with pytest.raises(UnsupportedOperation) as caught:
        parse(a_request(user(document)))

    assert caught.value.param == f"messages[0].content[0].{param}"


@pytest.mark.parametrize(
    ("source", "param"),
    [
        ({"type": "base64", "media_type": "application/pdf", "data": "QUFBQUFBQUFBQUFB"}, "source.data"),
        ({"type": "text", "media_type": "text/plain", "data": PDF}, "source"),
        ({"type": "text", "media_type": "application/pdf", "data": "words"}, "source"),
        ({"type": "bucket", "path": "a.pdf"}, "source"),
    ],
)
@INSIDE
def test_a_document_of_another_kind_is_unchecked(source: dict, param: str, inside: Callable[[dict], dict]) -> None:
    parsed = parse(a_request(inside({"type": "document", "source": source, "title": "the title"})))

    (part,) = parsed.unchecked
    assert (part.kind, part.error.code, part.error.param) == (
        "document",
        "unsupported_operation",
        f"{part.path}.{param}",
    )
    assert any("the title" in words for words in parsed.texts)
    assert not any(PDF in words for words in parsed.texts)


def test_a_document_by_an_unknown_file_id_is_not_found() -> None:
    (part,) = parse(a_request(user({"type": "document", "source": {"type": "file", "file_id": "file_011C"}}))).unchecked

    assert (part.kind, type(part.error)) == ("document", FileNotFound)
    assert (part.error.status, part.error.param) == (404, "messages[0].content[0].source.file_id")


def test_a_document_that_is_fetched_by_the_provider_is_unchecked_too() -> None:
    document = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}}
    fetched = {"type": "web_fetch_tool_result", "content": {"type": "web_fetch_result", "content": document}}

    (part,) = parse(a_request(user(fetched))).unchecked

    assert (part.kind, part.path) == ("document", "messages[0].content[0].content.content")


@pytest.mark.parametrize("kind", ["container_upload", "video", "Image", "input_file"])
def test_a_block_of_another_type_is_unchecked_and_its_words_moderated(kind: str) -> None:
    parsed = parse(
        a_request(user(text("look"), {"type": kind, "file_id": "file_1", "words": "two words", "data": PDF}))
    )

    (part,) = parsed.unchecked
    assert (part.kind, part.path, type(part.error)) == (kind, "messages[0].content[1]", UnsupportedOperation)
    assert any("two words" in words for words in parsed.texts)
    assert not any(PDF in words for words in parsed.texts)


@pytest.mark.parametrize(
    ("fields", "kind", "path"),
    [
        (
            {"mcp_servers": [{"type": "url", "name": "docs", "url": "https://mcp.example.com/key"}]},
            "mcp_servers",
            "mcp_servers[0]",
        ),
        ({"tools": [{"type": "web_fetch_20990101", "name": "web_fetch"}]}, "web_fetch", "tools[0]"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "web_search", "tools[0]"),
    ],
)
def test_what_the_provider_loads_by_itself_is_said_to_be_unmoderated(fields: dict, kind: str, path: str) -> None:
    (part,) = parse(a_request(**fields)).unmoderated

    assert (part.kind, part.path, part.error.param) == (kind, path, path)


def test_the_credentials_of_an_mcp_server_are_not_moderated() -> None:
    url = "https://user:pass@mcp.example.com/sse?key=secret"
    server = {"type": "url", "name": "docs", "url": url, "authorization_token": "secret"}

    assert parse(a_request(mcp_servers=[server])).texts == ["hello", "docs", "https://mcp.example.com/sse"]


@pytest.mark.parametrize(
    "request_",
    [
        a_request(Messages=[user("unseen")]),
        a_request(user("hi") | {"CONTENT": "unseen"}),
        a_request(user(text("look", Type="image"))),
        a_request(user(image(SOURCE={"type": "url", "url": "unseen"}))),
        a_request(user("hi") | {"\uff52ole": "system"}),
        a_request(**{"\u017fystem": "unseen"}),
    ],
)
def test_a_key_that_is_almost_a_known_one_is_rejected(request_: dict) -> None:
    with pytest.raises(InvalidRequest):
        parse(request_)
