"""The inspector finds what is planted in an upstream body, and does not report what moderation saw."""

import json
from typing import Any

import pytest

from tests.security.shapes.carriers import Carrier, carriers, chosen
from tests.security.shapes.gateway_in_process import Seen
from tests.security.shapes.inspector import inspect
from tests.security.shapes.json_writer import Members, Raw, write
from tests.security.shapes.ordinary import SIGNATURE
from tests.security.shapes.places import minimal_request, places
from tests.security.shapes.plants import IMAGE_URL, PHRASE, data_url, encoded, image, video, wave
from tests.security.shapes.readings import strings_of
from tests.security.shapes.shapes import spellings

DIALECTS = ("chat", "responses", "messages")
TOLERATED = {"small_hex", "small_percent", "small_integers"}
"""Encodings that issue 10 lets pass in a field that is not known, once they are moderated as text; file ids too."""


def found(request: Any, dialect: str, seen: Seen | None = None, *unmoderated: str) -> list[str]:
    findings = inspect([write(request).encode()], dialect, seen or Seen(), frozenset(unmoderated))
    return [finding.what for finding in findings if not finding.tolerated]


def is_tolerated(carrier: Carrier) -> bool:
    return carrier.group in {"plain", "file"} or carrier.name in TOLERATED


def moderated(carrier: Carrier) -> Seen:
    """What moderation sees if all strings of a carrier are taken for text."""
    return Seen(texts=strings_of(json.loads(carrier.value.text)))


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("carrier", carriers(), ids=lambda carrier: carrier.name)
def test_each_carrier_is_found_in_an_unknown_field(dialect: str, carrier: Carrier) -> None:
    base = minimal_request(dialect)
    wrapped = Members([("x", Members([("y", [carrier.value])]))])
    for value in (carrier.value, wrapped):
        if is_tolerated(carrier):
            assert not found(base | {"x_extra": value}, dialect, moderated(carrier))
        else:
            assert found(base | {"x_extra": value}, dialect)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("carrier", carriers(), ids=lambda carrier: carrier.name)
def test_media_and_addresses_moderated_as_text_are_found_nevertheless(dialect: str, carrier: Carrier) -> None:
    place = next(place for place in places(dialect) if place.path in {"user", "inference_geo"})
    for request in (place.request(carrier.value), minimal_request(dialect) | {"x_extra": carrier.value}):
        may_pass = is_tolerated(carrier) or carrier.group == "text"

        assert bool(found(request, dialect, moderated(carrier))) is not may_pass


@pytest.mark.parametrize("carrier", chosen("phrase", "phrase_escaped", "phrase_as_json", "word", "https_url", "base64"))
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_text_that_moderation_did_not_see_is_found(dialect: str, carrier: Carrier) -> None:
    key = "input" if dialect == "responses" else "messages"
    request = minimal_request(dialect) | {key: [{"role": "user", "content": carrier.value}]}
    text = json.loads(carrier.value.text)

    assert found(request, dialect)
    assert not found(request, dialect, Seen(texts=[text, PHRASE]))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_text_place_of_the_schemas_is_watched(dialect: str) -> None:
    unwatched = [
        place.path
        for place in places(dialect)
        if place.kind in {"text", "list/text", "open", "enumeration/text"}
        and not found(place.request(Raw(json.dumps(PHRASE))), dialect)
    ]
    opaque = ("encrypted_content", "encrypted_index", "encrypted_stdout", "signature", "redacted_thinking>.data")
    media = ("input_audio<InputAudio>.data", "video_url<VideoURL>.url", "InputAudio>.data")

    assert [path for path in unwatched if not path.endswith((*opaque, *media))] == []


def test_escapes_in_the_arguments_of_a_call_hide_no_text() -> None:
    [carrier] = chosen("phrase_as_json")
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": carrier.value}}
    request = minimal_request("chat") | {"messages": [{"role": "assistant", "tool_calls": [call]}]}

    assert found(request, "chat", moderated(carrier)) == ["text"]
    assert not found(request, "chat", Seen(texts=[*moderated(carrier).texts, PHRASE]))


def test_arguments_may_be_moderated_string_by_string() -> None:
    arguments = json.dumps({"k": IMAGE_URL, "more": ["x" * 80]}, separators=(",", ":"))
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    request = minimal_request("chat") | {"messages": [{"role": "assistant", "tool_calls": [call]}]}

    assert not found(request, "chat", Seen(texts=[arguments]))
    assert not found(request, "chat", Seen(texts=[IMAGE_URL, "x" * 80]))
    assert found(request, "chat", Seen(texts=[IMAGE_URL]))


@pytest.mark.parametrize("name", ["PNG", "JPEG", "GIF", "WEBP"])
def test_a_prepared_image_is_not_reported(name: str) -> None:
    prepared = image(name)
    url, seen = data_url(prepared, f"image/{name.lower()}"), Seen(images={prepared})
    source = {"type": "base64", "media_type": f"image/{name.lower()}", "data": encoded(prepared)}
    requests: list[tuple[str, Any]] = [
        ("chat", {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]}),
        ("chat", {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": url}]}]}),
        ("responses", {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": url}]}]}),
        ("messages", {"messages": [{"role": "user", "content": [{"type": "image", "source": source}]}]}),
    ]
    for dialect, request in requests:
        assert not found(minimal_request(dialect) | request, dialect, seen)
        assert found(minimal_request(dialect) | request, dialect)
        assert found(minimal_request(dialect) | request, dialect, Seen(images={prepared + b"\0"}))


@pytest.mark.parametrize(("carrier", "key"), [("phrase", "content"), ("chat_parts", "messages")])
def test_a_key_that_another_reader_takes_for_the_known_one_is_found(carrier: str, key: str) -> None:
    [planted] = chosen(carrier)
    value: Any = planted.value if key == "content" else [{"role": "user", "content": planted.value}]
    for name, variant in spellings(key):
        message = Members([("role", "user"), ("content", "hello"), (variant, value)])
        request = minimal_request("chat")
        members = (
            Members([*request.items(), (variant, value)]) if key == "messages" else request | {"messages": [message]}
        )

        assert found(members, "chat"), name
        seen = Seen(texts=["hello there hello"])
        assert found(members, "chat", seen), name


def test_the_first_of_two_equal_keys_is_read_too() -> None:
    message = Members([("role", "user"), ("content", PHRASE), ("content", "hello")])

    assert found(minimal_request("chat") | {"messages": [message]}, "chat") == ["text (other reading)"]


def test_values_that_providers_made_pass_by_name_but_not_as_media() -> None:
    def request(signature: str) -> Any:
        block = {"type": "thinking", "thinking": "hm", "signature": signature}
        return minimal_request("messages") | {"messages": [{"role": "assistant", "content": [block]}]}

    assert not found(request(SIGNATURE), "messages")
    assert found(request(encoded(image("PNG"))), "messages")
    assert found(minimal_request("messages") | {"x_signature": SIGNATURE * 8}, "messages")


def test_sound_and_video_pass_if_the_answer_names_them() -> None:
    def request(part: Any) -> Any:
        return minimal_request("chat") | {"messages": [{"role": "user", "content": [part]}]}

    sound = {"type": "input_audio", "input_audio": {"data": encoded(wave()), "format": "wav"}}
    clip = {"type": "video_url", "video_url": {"url": data_url(video(), "video/mp4")}}
    hidden = {"type": "input_audio", "input_audio": {"data": encoded(image("PNG")), "format": "wav"}}

    assert found(request(sound), "chat") == ["input_audio that x-unmoderated does not name"]
    assert not found(request(sound), "chat", None, "input_audio")
    assert found(request(clip), "chat", None, "input_audio")
    assert not found(request(clip), "chat", None, "video_url")
    assert found(request(hidden), "chat", None, "input_audio") == ["image as input_audio"]


def test_the_pieces_of_a_long_text_must_cover_it() -> None:
    text = "".join(f"{index:08x}" for index in range(2000))
    request = minimal_request("chat") | {"messages": [{"role": "user", "content": text}]}
    pieces = [text[start : start + 4000] for start in range(0, len(text), 3000)]

    assert not found(request, "chat", Seen(texts=pieces))
    assert found(request, "chat", Seen(texts=pieces[:2] + pieces[3:]))
    assert found(request, "chat", Seen(texts=pieces[:-2]))


def test_an_address_in_a_schema_or_in_prose_is_text_and_in_an_unknown_field_it_is_not() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "default": IMAGE_URL}}}
    tools = [{"type": "function", "function": {"name": "f", "parameters": schema}}]
    seen = Seen(texts=[IMAGE_URL, "See https://example.com/a for more."])

    assert not found(minimal_request("chat") | {"tools": tools}, "chat", seen)
    assert not found(minimal_request("chat") | {"x": "See https://example.com/a for more."}, "chat", seen)
    assert found(minimal_request("chat") | {"x": IMAGE_URL}, "chat", seen)
    assert found(
        minimal_request("chat") | {"x": json.dumps({"u": IMAGE_URL})},
        "chat",
        Seen(texts=[json.dumps({"u": IMAGE_URL})]),
    )


@pytest.mark.parametrize("start", [b"\xef\xbb\xbf{}", b'{"a": "\\ud800"}', b"{} {}", b"\xff"])
def test_a_body_that_readers_take_differently_is_found(start: bytes) -> None:
    assert inspect([start], "chat", Seen())
