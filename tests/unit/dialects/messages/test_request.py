"""Messages requests parsed: images with their paths and sources, and the texts for moderation."""

from collections.abc import Callable

import pytest

from obscura.dialects.base import SourceKind
from obscura.errors import InvalidRequest, ObscuraError, TooManyContentParts, TooManyImages
from tests.unit.dialects.messages.conversations import (
    a_request,
    assistant,
    image,
    parse,
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
        )
    )

    assert parsed_request.texts == [*map(str, range(1, 13)), "8", "9", "10"]


@pytest.mark.parametrize("count", [16, 17])
@pytest.mark.parametrize("inside", [user, lambda *blocks: user(tool_result("a", *blocks))], ids=["message", "result"])
def test_a_message_and_a_tool_result_may_have_sixteen_parts(count: int, inside: Callable[..., dict]) -> None:
    request = a_request(inside(*[text("x")] * count))

    if count == 16:
        assert len(parse(request).texts) == 16
    else:
        with pytest.raises(TooManyContentParts):
            parse(request)


def test_the_seventeenth_image_is_named() -> None:
    with pytest.raises(TooManyImages) as caught:
        parse(a_request(user(*[image()] * 16), user(image())))

    assert caught.value.param == "messages[1].content[0].source.data"


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
