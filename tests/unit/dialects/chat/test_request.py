"""What a chat request may look like, and what is read of it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obscura.dialects.base import ImageSlot
from obscura.dialects.chat.request import ChatRequest
from obscura.errors import ObscuraError
from tests.support.chat_bodies import PIXEL, a_request, parsed, says
from tests.support.json_texts import values

PART = "messages[0].content[0]"
URL = "https://example.com/a.png"


def the_slot(part: object) -> ImageSlot:
    (slot,) = parsed(a_request(says(part))).image_slots
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
def test_an_image_is_found_in_every_shape(part: dict, path: str, detail: str) -> None:
    slot = the_slot(part)

    assert (slot.path, slot.source, slot.detail) == (f"{PART}.{path}", URL.encode(), detail)


@pytest.mark.parametrize("role", ["system", "developer", "user", "assistant", "tool", "anything"])
def test_an_image_is_found_whoever_says_it(role: str) -> None:
    request = a_request({"role": "user", "content": "hi"}, says({"type": "image_url", "image_url": PIXEL}, role=role))

    assert [slot.path for slot in parsed(request).image_slots] == ["messages[1].content[0].image_url"]


def test_images_stand_in_request_order_and_are_replaced_each_in_its_place() -> None:
    request = a_request(
        says({"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "u1"}}),
        says({"type": "image_url", "image_url": {"url": "u1"}}, "b", {"type": "input_image", "image_url": "u3"}),
    )
    ask = parsed(request)

    for number, slot in enumerate(ask.image_slots):
        slot.replace(b"data:%d" % number)

    first, second = json.loads(ask.to_upstream().body)["messages"]
    assert first["content"][1] == {"type": "image_url", "image_url": {"url": "data:0"}}
    assert second["content"] == [
        {"type": "image_url", "image_url": {"url": "data:1"}},
        "b",
        {"type": "input_image", "image_url": "data:2"},
    ]


def test_all_text_is_gathered_in_request_order_for_moderation() -> None:
    request = a_request(
        {"role": "system", "content": "one"},
        says("two", {"type": "text", "text": "three"}, {"text": "four"}, {"type": "input_text", "text": "five"}),
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "six"}], "refusal": None},
        {"role": "tool", "tool_call_id": "c", "content": "s\u00e9v\u00ean \U0001f600"},
        says({"type": "image_url", "image_url": PIXEL, "text": "eight"}),
        {"role": "user", "content": "n" * 5000},
    )

    assert parsed(request).texts == [
        "one", "two", "three", "four", "five", "six", "s\u00e9v\u00ean \U0001f600", "eight", "n" * 5000,
    ]  # fmt: skip


@pytest.mark.parametrize("content", [None, "", []])
def test_a_message_may_say_nothing(content: object) -> None:
    request = a_request({"role": "assistant", "content": content, "tool_calls": []}, {"role": "assistant"})

    ask = parsed(request)

    assert json.loads(ask.to_upstream().body) == request
    assert not ask.image_slots


@pytest.mark.parametrize(("stream", "streamed"), [(True, True), (False, False), (None, False)])
def test_stream_says_whether_the_answer_streams(stream: object, streamed: bool) -> None:
    ask = parsed(a_request({"role": "user", "content": "hi"}, stream=stream))

    assert ask.streamed is streamed
    assert ask.to_upstream().streamed is streamed


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
        (a_request(says("a", None)), "messages[0].content[1]"),
        (a_request(says(1)), PART),
        (a_request(says([])), PART),
        (a_request(says({"type": None})), f"{PART}.type"),
        (a_request(says({"type": 1})), f"{PART}.type"),
        (a_request(says({"type": "image_url"})), f"{PART}.image_url"),
        (a_request(says({"type": "input_image", "file_id": "f"})), f"{PART}.image_url"),
        (a_request(says({"type": "image_url", "image_url": None})), f"{PART}.image_url"),
        (a_request(says({"type": "image_url", "image_url": 1})), f"{PART}.image_url"),
        (a_request(says({"type": "image_url", "image_url": []})), f"{PART}.image_url"),
        (a_request(says({"type": "image_url", "image_url": {}})), f"{PART}.image_url.url"),
        (a_request(says({"type": "image_url", "image_url": {"url": None}})), f"{PART}.image_url.url"),
        (a_request(says({"type": "image_url", "image_url": {"url": {}}})), f"{PART}.image_url.url"),
        (a_request(says({"image_url": {"url": URL, "detail": "huge"}})), f"{PART}.image_url.detail"),
        (a_request(says({"image_url": {"url": URL, "detail": "LOW"}})), f"{PART}.image_url.detail"),
        (a_request(says({"image_url": {"url": URL, "detail": ""}})), f"{PART}.image_url.detail"),
        (a_request(says({"image_url": {"url": URL, "detail": 1}})), f"{PART}.image_url.detail"),
        (a_request(says({"image_url": {"url": URL, "detail": ["low"]}})), f"{PART}.image_url.detail"),
        (a_request(says({"image_url": URL, "detail": "x"})), f"{PART}.detail"),
        (a_request(A_MESSAGE, stream="true"), "stream"),
        (a_request(A_MESSAGE, stream=1), "stream"),
        (a_request(A_MESSAGE, stream={}), "stream"),
    ],
    ids=str,
)
def test_what_is_missing_or_of_the_wrong_type_is_named_by_its_path(request_: dict, param: str) -> None:
    with pytest.raises(ObscuraError) as refused:
        parsed(request_)

    assert (refused.value.status, refused.value.code, refused.value.param) == (400, "invalid_request", param)


def test_a_detail_beside_the_image_url_object_is_named_where_it_stands() -> None:
    with pytest.raises(ObscuraError) as refused:
        parsed(a_request(says({"type": "input_image", "image_url": {"url": URL}, "detail": "huge"})))

    assert refused.value.param == f"{PART}.detail"


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
]
VIDEOS = [{"type": "video_url", "video_url": {"url": URL}}, {"type": "video_url", "video_url": URL}, {"video_url": URL}]


@pytest.mark.parametrize("part", UNCHECKABLE, ids=str)
def test_an_image_in_a_form_that_cannot_be_checked_is_refused(part: dict) -> None:
    with pytest.raises(ObscuraError) as refused:
        parsed(a_request(A_MESSAGE, says("look", part)))

    assert (refused.value.code, refused.value.param) == ("unsupported_operation", "messages[1].content[1]")


@pytest.mark.parametrize("part", UNCHECKABLE + VIDEOS, ids=str)
def test_a_harmless_image_url_beside_it_does_not_let_it_through(part: dict) -> None:
    with pytest.raises(ObscuraError) as refused:
        parsed(a_request(says(part | {"image_url": {"url": PIXEL}})))

    assert (refused.value.code, refused.value.param) == ("unsupported_operation", PART)


@pytest.mark.parametrize("part", [{"image": PIXEL}, {"type": "IMAGE", "image": PIXEL}, {"video": [URL]}], ids=str)
def test_an_image_under_another_key_that_servers_read_is_refused(part: dict) -> None:
    with pytest.raises(ObscuraError) as refused:
        parsed(a_request(says(part)))

    assert refused.value.code == "unsupported_operation"


def test_sixteen_parts_of_any_kind_are_taken_and_seventeen_refused() -> None:
    kinds = ["a", {"type": "text", "text": "b"}, {"type": "input_audio", "input_audio": {}}, {"type": "file"}]

    assert parsed(a_request(says(*kinds * 4), says(*kinds * 4)))

    with pytest.raises(ObscuraError) as refused:
        parsed(a_request(A_MESSAGE, says(*kinds * 4, "one more")))
    assert (refused.value.code, refused.value.param) == ("too_many_content_parts", "messages[1].content")


def test_sixteen_images_are_taken_and_the_seventeenth_is_named() -> None:
    eight = says(*[{"type": "image_url", "image_url": PIXEL}] * 8)

    assert len(parsed(a_request(eight, eight)).image_slots) == 16

    with pytest.raises(ObscuraError) as refused:
        parsed(a_request(eight, eight, says("one more", {"type": "image_url", "image_url": {"url": PIXEL}})))
    assert (refused.value.code, refused.value.param) == ("too_many_images", "messages[2].content[1].image_url.url")


def ask_or_refusal(request: object) -> ChatRequest | None:
    try:
        return parsed(request)
    except ObscuraError as refusal:
        assert refusal.status == 400
        return None


@given(values)
def test_any_json_is_a_request_or_a_refusal(value: object) -> None:
    ask = ask_or_refusal(value)

    assert ask is None or json.loads(ask.to_upstream().body) == value


FULL = a_request(
    {"role": "system", "content": "be brief"},
    says(
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}},
        {"type": "input_image", "image_url": PIXEL, "detail": "high"},
        "and say",
    ),
    {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]},
    stream=True,
    stream_options={"include_usage": True},
)


def paths_in(value: object, so_far: tuple = ()) -> list[tuple]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path for key, one in inner for path in [(*so_far, key), *paths_in(one, (*so_far, key))]]


@given(st.sampled_from(paths_in(FULL)), values)
def test_any_json_at_any_place_of_a_request_is_a_request_or_a_refusal(path: tuple, value: object) -> None:
    request = json.loads(json.dumps(FULL))
    holder = request
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value

    ask = ask_or_refusal(request)

    assert ask is None or json.loads(ask.to_upstream().body) == request


@pytest.mark.parametrize("part", VIDEOS, ids=str)
def test_a_video_is_a_slot_of_its_own(part: dict) -> None:
    ask = parsed(a_request(A_MESSAGE, says("look", part)))

    (slot,) = ask.video_slots
    slot.replace(b"data:video/mp4;base64,AAAA")

    assert slot.path.startswith("messages[1].content[1].video_url")
    assert bytes(slot.source) == URL.encode()
    assert b"data:video/mp4;base64,AAAA" in ask.to_upstream().body
    assert URL.encode() not in ask.to_upstream().body


@pytest.mark.parametrize(
    ("part", "path"),
    [
        ({"type": "file", "file": {"file_data": PIXEL}}, "file.file_data"),
        ({"type": "input_file", "file_data": "AAAA", "mime_type": "image/png"}, "file_data"),
        ({"type": "input_file", "file_id": "file_1", "mime_type": "IMAGE/jpeg"}, "file_id"),
    ],
    ids=str,
)
def test_a_file_that_is_an_image_is_treated_as_one_and_leaves_as_one(part: dict, path: str) -> None:
    ask = parsed(a_request(says(part)))

    (slot,) = ask.image_slots
    slot.replace(b"data:image/png;base64,BBBB")

    assert slot.path == f"messages[0].content[0].{path}"
    assert json.loads(ask.to_upstream().body)["messages"][0]["content"] == [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,BBBB"}}
    ]


def test_a_file_of_another_kind_rides_along() -> None:
    part = {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"}}

    ask = parsed(a_request(says(part)))

    assert ask.image_slots == []
    assert json.loads(ask.to_upstream().body)["messages"][0]["content"] == [part]
