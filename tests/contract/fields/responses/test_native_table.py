"""What becomes of each field natively, planted with words, URLs and images, is what the docs' table says.

The planted strings stand at every place of the openai SDK's types where a caller may write one, at any depth.
"""

import typing
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pytest
from openai.types.responses import ResponseInputItemParam
from openai.types.responses import response_create_params as params
from openai.types.responses.response_computer_tool_call_output_screenshot_param import (
    ResponseComputerToolCallOutputScreenshotParam,
)
from openai.types.responses.response_input_file_content_param import ResponseInputFileContentParam
from openai.types.responses.response_input_file_param import ResponseInputFileParam
from openai.types.responses.response_input_image_content_param import ResponseInputImageContentParam
from openai.types.responses.response_input_image_param import ResponseInputImageParam
from openai.types.responses.response_input_text_param import ResponseInputTextParam
from openai.types.responses.response_output_refusal_param import ResponseOutputRefusalParam
from openai.types.responses.response_output_text_param import ResponseOutputTextParam
from openai.types.responses.tool_param import ToolParam

from obscura.dialects.json.fields import join_path
from obscura.errors import ObscuraError, UnsupportedOperation
from tests.contract.fields.responses.field_tables import fields_of, members_of, native_table
from tests.contract.fields.responses.sdk_values import ELSEWHERE, Path, by_kind, filled, leaves_of, values_of
from tests.unit.dialects.responses.requests import AUDIO, FILE_ID, PIXEL, a_message, a_request, image, parsed, text

WORDS = "Zebra crossing, dear reader"
TOKEN = "x1planted"
URL = "https://x.test/a.png"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="  # 1 x 1 px
MEDIA = (PNG, f"data:image/png;base64,{PNG}")
SECRET = ("authorization", "headers", "domain_secrets")
"""For the upstream's own calls: no model reads them, and no moderation."""
CREDENTIALS = ("Bearer a-secret/of+40.characters_or~more=", "sk-12345", "a=b; c=d")
ALWAYS_PASSED = {"type", "id", "call_id", "status", "caller"}
BY_HAND = {"input_image", "input_file", "input_audio"}

IMAGES_AND_FILES: dict[type, list[Any]] = {
    ResponseInputImageParam: [],
    ResponseInputImageContentParam: [],
    ResponseInputFileParam: [],
    ResponseInputFileContentParam: [],
    ResponseComputerToolCallOutputScreenshotParam: [{"type": "computer_screenshot", "image_url": URL}],
}
PARTS = (ResponseInputTextParam, ResponseOutputTextParam, ResponseOutputRefusalParam)


BEYOND_THE_SDK: list[dict] = [{"client_metadata": {"a": "b"}}, {"presence_penalty": 0.5}, {"frequency_penalty": 0.5}]
"""Codex's own field, and two of Open Responses'."""


def _in_request() -> list[dict]:
    hints = typing.get_type_hints(params.ResponseCreateParamsBase)
    elsewhere = ("model", "input", "tools")
    return [
        {name: value}
        for name, hint in hints.items()
        if name not in elsewhere
        for value in values_of(hint, IMAGES_AND_FILES)
    ] + BEYOND_THE_SDK


VALUES = {("request", "request"): _in_request()} | {
    (place, kind): values
    for place, types in (("item", members_of(ResponseInputItemParam)), ("tool", members_of(ToolParam)), ("part", PARTS))
    for kind, values in by_kind(types, IMAGES_AND_FILES).items()
}  # fmt: skip
BASES: dict[str, Path] = {"request": (), "item": ("input", 1), "tool": ("tools", 0), "part": ("input", 0, "content", 1)}


@dataclass(frozen=True)
class Planted:
    """One leaf of a value at its place in a request."""

    place: str
    value: dict
    leaf: Path

    def __str__(self) -> str:
        return f"{self.value.get('type', 'request')} {written(self.leaf)}"

    def request(self, planted: object) -> dict:
        value = filled(self.value, self.leaf, planted)
        match self.place:
            case "item":
                return a_request([a_message(text("hi")), value])
            case "tool":
                return a_request(tools=[value])
            case "part":
                return a_request([a_message(text("hi"), value)])
        return a_request() | value

    def outcome(self, planted: str) -> str:
        """Return what becomes of a planted string: stopped, refused unless passed, moderated, or unseen."""
        path = written((*BASES[self.place], *self.leaf))
        try:
            request = parsed(self.request(planted))
        except UnsupportedOperation as error:
            assert error.param is not None
            assert is_at(path, error.param)
            return "stopped"
        if any(is_at(path, str(part.error.param)) for part in request.unchecked):
            return "refused"
        return "moderated" if any(planted in moderated for moderated in request.texts) else "unseen"


def written(path: Path) -> str:
    whole = ""
    for key in path:
        whole = f"{whole}[{key}]" if isinstance(key, int) else join_path(whole, str(key))
    return whole


def is_at(path: str, holder: str) -> bool:
    return path == holder or path.startswith((f"{holder}.", f"{holder}["))


ALL = [
    Planted(place, value, leaf)
    for (place, _), values in VALUES.items()
    for value in values
    for leaf in leaves_of(value)
]
EACH = {(one.place, str(one)): one for one in ALL}.values()
SECRETS = [one for one in EACH if set(SECRET) & set(one.leaf) and one.leaf[-1] not in {"domain", "name"}]
OTHERS = [one for one in EACH if not set(SECRET) & set(one.leaf)]


def outcomes(planted: Iterable[Planted], string: str) -> dict[str, list[str]]:
    """Return where a string gets each outcome."""
    found: dict[str, list[str]] = {}
    for one in planted:
        found.setdefault(one.outcome(string), []).append(f"{one.place}: {one}")
    return found


def test_a_short_word_of_a_machine_is_nowhere_stopped() -> None:
    assert outcomes(ALL, TOKEN).get("stopped", []) == []
    assert len(ALL) > 800


@pytest.mark.parametrize("string", [WORDS, URL, *MEDIA], ids=["words", "URL", "base64", "data URL"])
def test_nothing_but_secrets_reaches_the_upstream_unseen(string: str) -> None:
    found = outcomes(OTHERS, string)

    assert found.get("unseen", []) == []
    assert len(found["refused"]) > 5
    assert len(found["moderated"]) > 50
    assert "stopped" not in found or string is not WORDS


def test_secrets_go_to_the_upstream_alone_and_are_no_media() -> None:
    assert {frozenset(outcomes(SECRETS, string)) for string in CREDENTIALS} == {frozenset({"unseen"})}
    assert {frozenset(outcomes(SECRETS, string)) for string in (WORDS, URL)} == {frozenset({"moderated"})}
    assert {frozenset(outcomes(SECRETS, string)) for string in MEDIA} == {frozenset({"stopped"})}
    assert len(SECRETS) > 4


def test_the_address_of_an_mcp_server_is_moderated_without_the_credentials_in_it() -> None:
    tool = {"type": "mcp", "server_label": "s", "server_url": "https://ann:pass@x.test/sse?key=secret"}

    assert parsed(a_request(tools=[tool])).texts[-1] == "https://x.test/sse"


def _treatments(place: str, kind: str) -> dict[str, set[str]]:
    """Return each treatment and the fields of a type that get it; a field with moderated text counts as moderated."""
    names = {name for value in VALUES[place, kind] for name in value}
    names |= {"input", "tools", "model", "stream"} if place == "request" else set()
    treatments: dict[str, set[str]] = {"moderated": set(), "passed": set(), "refused": set()}
    for name in names - ALWAYS_PASSED:
        found = {
            Planted(place, value, leaf).outcome(TOKEN)
            for value in VALUES[place, kind]
            for leaf in leaves_of(value)
            if leaf[0] == name
        } - {"unseen"}
        if name in {"input", "tools"} and place == "request":
            found = {"moderated"}
        if kind == "computer_call_output" and name == "output":
            found = {"moderated", "refused"}
        for treatment in found or {"passed"}:
            treatments[treatment].add(name)
    return treatments


@pytest.mark.parametrize(("place", "kind"), VALUES)
def test_the_table_says_what_becomes_of_each_field(place: str, kind: str) -> None:
    assert native_table()[place, kind] == _treatments(place, kind)


def test_the_table_has_every_type_and_no_other() -> None:
    assert set(native_table()) == set(VALUES) | {("part", kind) for kind in BY_HAND}


def test_the_table_of_images_and_files_names_every_field() -> None:
    typed = {"input_image": ResponseInputImageParam, "input_file": ResponseInputFileParam}

    for kind, one in typed.items():
        row = native_table()["part", kind]
        assert set.union(*row.values()) == fields_of(one) - ALWAYS_PASSED


@pytest.mark.parametrize(
    ("part", "field"),
    [
        (image(PIXEL), "image_url"),
        ({"type": "input_image", "file_id": FILE_ID}, "file_id"),
        ({"type": "input_file", "file_data": PIXEL}, "file_data"),
        ({"type": "input_file", "file_id": FILE_ID, "mime_type": "image/png"}, "file_id"),
        ({"type": "input_file", "file_url": URL, "mime_type": "image/png"}, "file_url"),
        ({"type": "input_file", "file_data": "data:application/pdf;base64,JVBERi0xLjcK"}, "file_data"),
        ({"type": "input_file", "file_id": FILE_ID}, "file_id"),
        ({"type": "input_file", "file_url": URL}, "file_url"),
    ],
)
def test_a_field_with_an_image_or_a_document_is_moderated_as_one(part: dict, field: str) -> None:
    request = parsed(a_request([a_message(part)]))

    assert field in native_table()["part", part["type"]]["moderated"]
    paths = [slot.path for slot in request.images] + [slot.path for slot in request.documents]
    assert paths == [f"input[0].content[0].{field}"]


@pytest.mark.parametrize(
    ("part", "field"),
    [
        ({"type": "input_image", "file_id": "file-abc"}, "file_id"),
        ({"type": "input_file", "file_id": "file-abc"}, "file_id"),
        ({"type": "input_file", "file_data": "data:application/zip;base64,UEsDBAAA"}, "file_data"),
    ],
)
def test_a_field_with_another_file_is_refused(part: dict, field: str) -> None:
    (unchecked,) = parsed(a_request([a_message(part)])).unchecked

    assert field in native_table()["part", part["type"]]["refused"]
    assert unchecked.error.param == f"input[0].content[0].{field}"


def test_audio_is_passed_and_named() -> None:
    (unmoderated,) = parsed(a_request([a_message({"type": "input_audio", "input_audio": AUDIO})])).unmoderated

    assert "input_audio" in native_table()["part", "input_audio"]["passed"]
    assert unmoderated.kind == "input_audio"


@pytest.mark.parametrize(
    "medium", [URL, *MEDIA, "/9j/" + "A" * 40, PNG.replace("+", "-"), "\\n".join([PNG[:40], PNG[40:]])]
)
@pytest.mark.parametrize("place", BASES)
def test_media_in_a_field_that_is_not_known_is_stopped(place: str, medium: str) -> None:
    for value in ({"x_vendor": medium}, {"x_vendor": {"y": [{"z": medium}]}}, {medium: 1}):
        holder = {"item": {"type": "function_call", "call_id": "a", "name": "n", "arguments": "{}"}}.get(place, {})
        holder = {"type": "function", "name": "n"} if place == "tool" else text("hi") if place == "part" else holder
        with pytest.raises(ObscuraError) as raised:
            parsed(Planted(place, holder | value, ELSEWHERE).request(""))
        assert raised.value.status == 400
