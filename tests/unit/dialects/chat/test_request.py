"""Chat requests parsed: images, videos, texts, and the errors of malformed requests."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obscura.dialects.base import ImageSlot
from obscura.dialects.chat.request import ChatRequest
from obscura.errors import ObscuraError
from tests.support.chat_bodies import PIXEL, a_message, a_request, parse, replaced
from tests.support.json_texts import values

PART = "messages[0].content[0]"
URL = "https://example.com/a.png"


def the_slot(part: object) -> ImageSlot:
    (slot,) = parse(a_request(a_message(part))).images
    return slot


@pytest.mark.parametrize(
    ("part", "path", "detail"),
    [
        ({"type": "image_url", "image_url": {"url": URL}}, "image_url.url", "auto"),
        ({"type": "image_url", "image_url": {"url": URL, "detail": "low"}}, "image_url.url", "low"),
        ({"type": "image_url", "image_url": {"url": URL, "detail": "auto"}}, "image_url.url", "auto"),
        ({"type": "image_url", "image_url": {"url": URL, "detail": "high"}}, "image_url.url", "high"),
        ({"type": "image_url", "image_url": {"url": URL, "detail": None}}, "image_url.url", "auto"),
        ({"type": "image_url", "image_url": URL}, "image_url", "auto"),
        ({"type": "image_url", "image_url": URL, "detail": "high"}, "image_url", "high"),
        ({"type": "input_image", "image_url": URL}, "image_url", "auto"),
        ({"type": "input_image", "image_url": URL, "detail": "low"}, "image_url", "low"),
        ({"type": "input_image", "image_url": {"url": URL}, "detail": "low"}, "image_url.url", "low"),
        ({"image_url": {"url": URL}}, "image_url.url", "auto"),
        ({"image_url": URL}, "image_url", "auto"),
    ],
    ids=str,
)
def test_an_image_is_found_in_every_form(part: dict, path: str, detail: str) -> None:
    slot = the_slot(part)

    assert (slot.path, bytes(slot.source), slot.detail) == (f"{PART}.{path}", URL.encode(), detail)


@pytest.mark.parametrize("role", ["system", "developer", "user", "assistant", "tool", "anything"])
def test_an_image_is_found_in_a_message_of_any_role(role: str) -> None:
    request = a_request(
        {"role": "user", "content": "hi"}, a_message({"type": "image_url", "image_url": PIXEL}, role=role)
    )

    assert [slot.path for slot in parse(request).images] == ["messages[1].content[0].image_url"]


def test_images_are_in_request_order_and_each_is_replaced_in_place() -> None:
    request = a_request(
        a_message({"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "u1"}}),
        a_message({"type": "image_url", "image_url": {"url": "u1"}}, "b", {"type": "input_image", "image_url": "u3"}),
    )
    parsed_request = parse(request)

    for number, slot in enumerate(parsed_request.images):
        slot.replace(b"data:%d" % number)

    first, second = json.loads(parsed_request.to_upstream().body)["messages"]
    assert first["content"][1] == {"type": "image_url", "image_url": {"url": "data:0"}}
    assert second["content"] == [
        {"type": "image_url", "image_url": {"url": "data:1"}},
        "b",
        {"type": "input_image", "image_url": "data:2"},
    ]


def test_all_texts_are_collected_in_request_order_for_moderation() -> None:
    request = a_request(
        {"role": "system", "content": "one"},
        a_message("two", {"type": "text", "text": "three"}, {"text": "four"}, {"type": "input_text", "text": "five"}),
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "six"}], "refusal": None},
        {"role": "tool", "tool_call_id": "c", "content": "s\u00e9v\u00ean \U0001f600"},
        a_message({"type": "image_url", "image_url": PIXEL, "text": "eight"}),
        {"role": "user", "content": "n" * 5000},
    )

    assert parse(request).texts == [
        "one", "two", "three", "four", "five", "six", "s\u00e9v\u00ean \U0001f600", "eight", "n" * 5000,
    ]  # fmt: skip


@pytest.mark.parametrize("content", [None, "", []])
def test_a_message_may_be_empty(content: object) -> None:
    request = a_request({"role": "assistant", "content": content, "tool_calls": []}, {"role": "assistant"})

    parsed_request = parse(request)

    assert json.loads(parsed_request.to_upstream().body) == request
    assert not parsed_request.images


@pytest.mark.parametrize(("stream", "streamed"), [(True, True), (False, False), (None, False)])
def test_the_stream_field_decides_whether_the_response_is_streamed(stream: object, streamed: bool) -> None:
    parsed_request = parse(a_request({"role": "user", "content": "hi"}, stream=stream))

    assert parsed_request.streamed is streamed
    assert parsed_request.to_upstream().streamed is streamed


A_MESSAGE = {"role": "user", "content": "hi"}


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        ({"messages": [A_MESSAGE]}, "model"),
        (a_request(A_MESSAGE, model=None), "model"),
        (a_request(A_MESSAGE, model=""), "model"),
        (a_request(A_MESSAGE, model=7), "model"),
        (a_request(A_MESSAGE, model=["m"]), "model"),
        ({"model": "m"}, "messages"),
        ({"model": "m", "messages": None}, "messages"),
        ({"model": "m", "messages": []}, "messages"),
        ({"model": "m", "messages": {}}, "messages"),
        ({"model": "m", "messages": "hi"}, "messages"),
        (a_request(A_MESSAGE, "hi"), "messages[1]"),
        (a_request(None), "messages[0]"),
        (a_request([]), "messages[0]"),
        (a_request({"content": "hi"}), "messages[0].role"),
        (a_request(A_MESSAGE, {"role": None, "content": "hi"}), "messages[1].role"),
        (a_request({"role": 1, "content": "hi"}), "messages[0].role"),
        (a_request({"role": "", "content": "hi"}), "messages[0].role"),
        (a_request({"role": "user", "content": 1}), "messages[0].content"),
        (a_request({"role": "user", "content": False}), "messages[0].content"),
        (a_request({"role": "user", "content": {"type": "text"}}), "messages[0].content"),
        (a_request(a_message("a", None)), "messages[0].content[1]"),
        (a_request(a_message(1)), PART),
        (a_request(a_message([])), PART),
        (a_request(a_message({"type": None})), f"{PART}.type"),
        (a_request(a_message({"type": 1})), f"{PART}.type"),
        (a_request(a_message({"type": "image_url"})), f"{PART}.image_url"),
        (a_request(a_message({"type": "input_image", "file_id": 7})), f"{PART}.file_id"),
        (a_request(a_message({"type": "image_url", "image_url": None})), f"{PART}.image_url"),
        (a_request(a_message({"type": "image_url", "image_url": 1})), f"{PART}.image_url"),
        (a_request(a_message({"type": "image_url", "image_url": []})), f"{PART}.image_url"),
        (a_request(a_message({"type": "image_url", "image_url": {}})), f"{PART}.image_url.url"),
        (a_request(a_message({"type": "image_url", "image_url": {"url": None}})), f"{PART}.image_url.url"),
        (a_request(a_message({"type": "image_url", "image_url": {"url": {}}})), f"{PART}.image_url.url"),
        (a_request(a_message({"image_url": {"url": URL, "detail": "huge"}})), f"{PART}.image_url.detail"),
        (a_request(a_message({"image_url": {"url": URL, "detail": "LOW"}})), f"{PART}.image_url.detail"),
        (a_request(a_message({"image_url": {"url": URL, "detail": ""}})), f"{PART}.image_url.detail"),
        (a_request(a_message({"image_url": {"url": URL, "detail": 1}})), f"{PART}.image_url.detail"),
        (a_request(a_message({"image_url": {"url": URL, "detail": ["low"]}})), f"{PART}.image_url.detail"),
        (a_request(a_message({"image_url": URL, "detail": "x"})), f"{PART}.detail"),
        (a_request(A_MESSAGE, stream="true"), "stream"),
        (a_request(A_MESSAGE, stream=1), "stream"),
        (a_request(A_MESSAGE, stream={}), "stream"),
    ],
    ids=str,
)
def test_a_missing_or_mistyped_field_is_named_by_its_path(request_: dict, param: str) -> None:
    with pytest.raises(ObscuraError) as caught:
        parse(request_)

    assert (caught.value.status, caught.value.code, caught.value.param) == (400, "invalid_request", param)


def test_an_invalid_detail_beside_image_url_is_named_by_its_own_path() -> None:
    with pytest.raises(ObscuraError) as caught:
        parse(a_request(a_message({"type": "input_image", "image_url": {"url": URL}, "detail": "huge"})))

    assert caught.value.param == f"{PART}.detail"


UNCHECKABLE = [
    {"type": "image_embeds", "image_embeds": "x"},
    {"type": "image_embeds", "image_embeds": {"a": "x"}},
    {"image_embeds": "x"},
    {"type": "image_pil", "image_pil": "x"},
    {"image_pil": "x"},
    {"type": "image", "image": PIXEL},
    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
    {"type": "image_file", "image_file": {"file_id": "f"}},
    {"type": "input_video", "video_url": URL},
    {"type": "video", "video": [URL]},
    {"type": "Text", "text": "read by some servers, known to none"},
    {"type": "text\u200b", "text": "one more character"},
    {"type": "document", "source": {"type": "text", "data": "in the form of another API"}},
    {},
]
VIDEOS = [{"type": "video_url", "video_url": {"url": URL}}, {"type": "video_url", "video_url": URL}, {"video_url": URL}]


@pytest.mark.parametrize("part", UNCHECKABLE, ids=str)
def test_an_image_in_a_form_that_cannot_be_checked_is_rejected(part: dict) -> None:
    (unchecked,) = parse(a_request(A_MESSAGE, a_message("look", part))).unchecked

    assert (unchecked.kind, unchecked.path) == (part.get("type", ""), "messages[1].content[1]")
    assert (unchecked.error.code, unchecked.error.param) == ("unsupported_operation", "messages[1].content[1]")


@pytest.mark.parametrize("part", UNCHECKABLE + VIDEOS, ids=str)
def test_an_uncheckable_image_beside_a_valid_one_is_rejected_too(part: dict) -> None:
    with pytest.raises(ObscuraError) as caught:
        request = parse(a_request(a_message(part | {"image_url": {"url": PIXEL}, "image": PIXEL})))
        raise request.unchecked[0].error

    assert caught.value.code == "unsupported_operation"
    assert caught.value.param.startswith(PART)


@pytest.mark.parametrize("part", [{"image": PIXEL}, {"type": "IMAGE", "image": PIXEL}, {"video": [URL]}], ids=str)
def test_an_image_under_another_key_that_servers_read_is_rejected(part: dict) -> None:
    assert parse(a_request(a_message(part))).unchecked


def test_sixteen_parts_of_any_kind_are_accepted_and_seventeen_rejected() -> None:
    kinds = ["a", {"type": "text", "text": "b"}, {"type": "input_audio", "input_audio": {}}, {"type": "file"}]

    parse(a_request(a_message(*kinds * 4), a_message(*kinds * 4)))

    with pytest.raises(ObscuraError) as caught:
        parse(a_request(A_MESSAGE, a_message(*kinds * 4, "one more")))
    assert (caught.value.code, caught.value.param) == ("too_many_content_parts", "messages[1].content")


def parse_or_reject(request: object) -> ChatRequest | None:
    try:
        return parse(request)
    except ObscuraError as error:
        assert error.status == 400
        return None


@given(values)
def test_any_json_is_a_request_or_a_client_error(value: object) -> None:
    parsed_request = parse_or_reject(value)

    assert parsed_request is None or json.loads(replaced(parsed_request).to_upstream().body) == value


FULL = a_request(
    {"role": "system", "content": "be brief"},
    a_message(
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}},
        {"type": "input_image", "image_url": PIXEL, "detail": "high"},
        "and describe",
    ),
    {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]},
    stream=True,
    stream_options={"include_usage": True},
)


def paths_in(value: object, so_far: tuple = ()) -> list[tuple]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path for key, one in inner for path in [(*so_far, key), *paths_in(one, (*so_far, key))]]


@given(st.sampled_from(paths_in(FULL)), values)
def test_any_json_anywhere_in_a_request_is_a_request_or_a_client_error(path: tuple, value: object) -> None:
    request = json.loads(json.dumps(FULL))
    holder = request
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value

    parsed_request = parse_or_reject(request)

    assert parsed_request is None or json.loads(replaced(parsed_request).to_upstream().body) == request


@pytest.mark.parametrize("part", VIDEOS, ids=str)
def test_a_video_is_found_and_replaced_in_every_form(part: dict) -> None:
    parsed_request = parse(a_request(A_MESSAGE, a_message("look", part)))

    (slot,) = parsed_request.videos
    slot.replace(b"data:video/mp4;base64,AAAA")

    assert slot.path.startswith("messages[1].content[1].video_url")
    assert bytes(slot.source) == URL.encode()
    assert b"data:video/mp4;base64,AAAA" in parsed_request.to_upstream().body
    assert URL.encode() not in parsed_request.to_upstream().body


def test_an_image_that_was_not_replaced_is_not_sent() -> None:
    parsed_request = parse(a_request(a_message({"type": "image_url", "image_url": {"url": PIXEL}})))

    part = json.loads(parsed_request.to_upstream().body)["messages"][0]["content"][0]

    assert part == {"type": "image_url", "image_url": {"url": None}}
