"""What cannot be checked goes to no model but one for which the operator passes its type."""

import base64
import json
from typing import Any

import pytest

from obscura.errors import InvalidRequest, UnsupportedOperation
from tests.unit.dialects.responses.requests import (
    AUDIO,
    FILE_ID,
    FUNCTION,
    a_message,
    a_request,
    as_native,
    image,
    parsed,
    text,
    the_unchecked,
)

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(20)).decode()
PDF = base64.b64encode(b"%PDF-1.7\n" + bytes(20)).decode()
ZIP = base64.b64encode(b"PK\3\4" + bytes(20)).decode()
URL = "https://x.test/a.png"
FILE: dict[str, Any] = {"type": "input_file"}
TOOLS = {"type": "additional_tools", "role": "developer"}


UNCHECKED: list[tuple[dict, str, str]] = [
    ({"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "AAAA"}, "result", ""),
    ({"type": "code_interpreter_call", "id": "ci_1", "outputs": [{"type": "image", "url": URL}]}, "outputs[0]", ""),
    ({"type": "shell_call", "call_id": "a", "action": {"commands": []}, "environment": {
        "type": "container_auto", "file_ids": ["file-a"],
    }}, "environment.file_ids", "shell"),
    ({"type": "reasoning", "id": "r", "summary": [{"type": "input_image", "file_id": "file-a"}]}, "summary[0]",
     "input_image"),
    ({"type": "reasoning", "id": "r", "content": [{"file_id": "file-a"}]}, "content[0]", "-"),
    ({"type": "computer_call_output", "call_id": "a", "output": {"type": "computer_screenshot", "file_id": "file-a"}},
     "output.file_id", ""),
    ({"type": "computer_call_output", "call_id": "a", "output": {"type": "film", "image_url": URL}}, "output", "film"),
    ({"type": "video_call", "id": "v_1", "frames": [URL]}, "", ""),
    (TOOLS | {"tools": [{"type": "image_generation", "input_image_mask": {"file_id": "file_1"}}]},
     "tools[0].input_image_mask", "image_generation"),
    (TOOLS | {"tools": [{"type": "namespace", "name": "n", "tools": [
        {"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["file-a"]}},
    ]}]}, "tools[0].tools[0].container.file_ids", "code_interpreter"),
    (TOOLS | {"tools": [{"type": "shell", "environment": {"type": "container_auto", "skills": [
        {"type": "inline", "name": "n", "description": "d", "source": {
            "type": "base64", "media_type": "application/zip", "data": "UEsDBAAAAAAAAAAA",
        }},
    ]}}]}, "tools[0].environment.skills[0].source.data", "shell"),
]  # fmt: skip


@pytest.mark.parametrize(("item", "path", "kind"), UNCHECKED, ids=[f"{row[0]['type']} {row[1]}" for row in UNCHECKED])
def test_an_item_with_media_that_cannot_be_checked_is_unchecked(item: dict, path: str, kind: str) -> None:
    part = the_unchecked(a_request([a_message(text("hi")), item]))

    assert part.error.param == f"input[1].{path}".rstrip(".")
    assert part.kind == (kind or item["type"]).strip("-")


@pytest.mark.parametrize(("item", "path", "kind"), UNCHECKED, ids=[f"{row[0]['type']} {row[1]}" for row in UNCHECKED])
def test_an_item_whose_type_the_operator_passes_goes_as_it_came(item: dict, path: str, kind: str) -> None:
    passing = [(kind or item["type"]).strip("-")]

    native = as_native(a_request([a_message(text("hi")), item]), passing=passing)

    assert native["input"][1] == item


def test_what_is_passed_opens_no_way_for_the_fields_beside_it() -> None:
    tool = {"type": "image_generation", "input_image_mask": {"image_url": URL}, "background": URL}

    with pytest.raises(UnsupportedOperation) as raised:
        parsed(a_request(tools=[tool]))

    assert raised.value.param == "tools[0].background"


def test_the_mask_of_image_generation_is_unchecked() -> None:
    part = the_unchecked(
        a_request(tools=[FUNCTION, {"type": "image_generation", "input_image_mask": {"file_id": "f"}}])
    )

    assert (part.kind, part.error.param) == ("image_generation", "tools[1].input_image_mask")


@pytest.mark.parametrize("files", [None, []])
def test_a_container_without_files_is_no_file(files: object) -> None:
    tool = {"type": "code_interpreter", "container": {"type": "auto", "file_ids": files}}

    assert parsed(a_request(tools=[tool])).unchecked == []


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": URL}},
        {"type": "computer_screenshot", "image_url": URL},
        {"type": "Input_Image", "image_url": URL},
        {"type": "input_sound", "data": "AAAA"},
    ],
)
def test_a_part_of_an_unknown_type_is_unchecked(part: dict) -> None:
    unchecked = the_unchecked(a_request([a_message(text("hi"), part)]))

    assert (unchecked.kind, unchecked.error.param) == (part["type"], "input[0].content[1]")
    assert isinstance(unchecked.error, UnsupportedOperation)
    assert "pass_types" in unchecked.error.message


@pytest.mark.parametrize(
    ("part", "path"),
    [
        ({"type": "input_video", "video_url": URL}, ""),
        ({"type": "video_url", "video_url": {"url": URL}}, ""),
        ({"type": "input_text", "text": "hi", "image_url": URL}, ".image_url"),
        ({"type": "input_text", "text": "hi", "video": "//x.test/a"}, ".video"),
        ({"type": "input_text", "text": "hi", "x": {"y": [PNG]}}, ".x.y[0]"),
        ({"type": "input_text", "text": {"url": URL}}, ".text.url"),
        ({"type": "input_image", "image_url": URL, "image_pil": PNG}, ".image_pil"),
        ({"type": "input_audio", "input_audio": AUDIO | {"data": PNG}}, ".input_audio.data"),
        (
            {"type": "output_text", "text": "hi", "annotations": [{"url": f"data:image/png;base64,{PNG}"}]},
            ".annotations[0].url",
        ),
    ],
)
def test_media_in_any_other_field_of_a_part_is_refused_at_once(part: dict, path: str) -> None:
    with pytest.raises(UnsupportedOperation) as raised:
        parsed(a_request([a_message(text("hi"), part)]))

    assert raised.value.param == f"input[0].content[1]{path}"


@pytest.mark.parametrize(
    ("item", "path"),
    [
        ({"type": "shell_call_output", "call_id": "a", "output": [{"image": {"url": URL}}]}, "output[0].image.url"),
        ({"type": "mcp_call", "id": "m_1", "video_url": {"url": URL}}, "video_url.url"),
        ({"type": "mcp_call", "id": "m_1", "output": [{"type": "image", "data": PNG}]}, "output[0].data"),
        ({"type": "mcp_call", "id": "m_1", "error": {"type": "mcp_tool_execution_error", "content": [
            {"type": "image", "data": PNG},
        ]}}, "error.content[0].data"),
        ({"type": "reasoning", "id": "r", "summary": [], "encrypted_content": PNG}, "encrypted_content"),
        ({"type": "compaction", "encrypted_content": f"data:image/png;base64,{PNG}"}, "encrypted_content"),
        ({"type": "web_search_call", "id": "w", "action": {"type": "search", "query": "q", "sources": [
            {"type": "url", "url": f"data:image/png;base64,{PNG}"},
        ]}}, "action.sources[0].url"),
        ({"type": "function_call", "call_id": "a", "name": "n", "arguments": {"url": URL}}, "arguments.url"),
        (TOOLS | {"tools": [{"type": "mcp", "server_label": "s", "headers": {"a": PNG}}]}, "tools[0].headers.a"),
        (TOOLS | {"tools": [{"type": "mcp", "server_label": "s", "image": {"url": URL}}]}, "tools[0].image.url"),
        (TOOLS | {"tools": [FUNCTION | {"parameters": {"default": f"data:image/png;base64,{PNG}"}}]},
         "tools[0].parameters"),
    ],
)  # fmt: skip
def test_media_in_any_other_field_of_an_item_is_refused_at_once(item: dict, path: str) -> None:
    with pytest.raises(UnsupportedOperation) as raised:
        parsed(a_request([a_message(text("hi")), item]))

    assert raised.value.param == f"input[1].{path}"


@pytest.mark.parametrize(
    "request_fields",
    [
        {"Input": [a_message(image())]},
        {"INSTRUCTIONS": "Be brief."},
        {"in\u017ftructions": "Be brief."},
        {"input": [{"role": "user", "content": "hi", "Content": "ho"}]},
        {"input": [{"Type": "message", "role": "user", "content": "hi"}]},
        {"input": [a_message({"type": "input_text", "text": "hi", "TEXT": "ho"})]},
        {"tools": [FUNCTION | {"Description": "d"}]},
        {"prompt": {"id": "p", "Variables": {"a": "b"}}},
    ],
)
def test_a_key_that_is_spelled_almost_like_a_known_one_is_refused(request_fields: dict) -> None:
    with pytest.raises(InvalidRequest) as raised:
        parsed(a_request() | request_fields)

    assert "exact name" in raised.value.message


def test_audio_rides_along_and_is_named_as_unmoderated() -> None:
    part = {"type": "input_audio", "input_audio": AUDIO}
    request = a_request([a_message(text("hi"), part)])

    (unmoderated,) = parsed(request).unmoderated

    assert (unmoderated.kind, unmoderated.path) == ("input_audio", "input[0].content[1]")
    assert as_native(request)["input"][0]["content"][1] == part


@pytest.mark.parametrize("kind", ["mcp", "web_search", "file_search"])
def test_what_the_providers_tools_load_is_named_as_unmoderated(kind: str) -> None:
    spelled = f"{kind}_preview" if kind == "web_search" else kind
    nested = {"type": "namespace", "name": "n", "tools": [{"type": spelled}]}

    (unmoderated,) = parsed(a_request([a_message(text("hi"))]) | {"tools": [nested]}).unmoderated

    assert (unmoderated.kind, unmoderated.path) == (kind, "tools[0].tools[0]")


def test_credentials_and_addresses_go_to_the_upstream_alone() -> None:
    mcp = {
        "type": "mcp", "server_label": "crm", "server_description": "Customers.", "require_approval": "never",
        "server_url": "https://x.test/sse?key=secret-1", "authorization": "secret-2", "headers": {"X-Key": "secret-3"},
    }  # fmt: skip
    shell = {"type": "shell", "environment": {"type": "container_auto", "network_policy": {
        "type": "allowlist", "allowed_domains": ["x.test"],
        "domain_secrets": [{"domain": "x.test", "name": "KEY", "value": "secret-4"}],
    }}}  # fmt: skip
    request = a_request(tools=[mcp, shell])

    moderated = "\n".join(parsed(request).texts)

    assert "Customers." in moderated
    assert "secret" not in moderated
    assert as_native(request)["tools"] == [mcp, shell]


def test_schemas_arguments_results_and_sources_may_hold_urls_and_base64() -> None:
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "pattern": "^https?://"}
    items = [
        {"type": "function_call", "call_id": "a", "name": "look", "arguments": json.dumps({"url": URL, "png": PNG})},
        {"type": "function_call_output", "call_id": "a", "output": PNG},
        {"type": "custom_tool_call", "call_id": "b", "name": "look", "input": URL},
        {"type": "custom_tool_call_output", "call_id": "b", "output": [text(PNG)]},
        {"type": "mcp_call", "id": "m", "server_label": "s", "name": "n", "arguments": "{}", "output": PNG},
        {"type": "mcp_list_tools", "id": "l", "server_label": "s", "tools": [{"name": "n", "input_schema": schema}]},
        {"type": "web_search_call", "id": "w", "status": "completed", "action": {
            "type": "search", "query": "q", "sources": [{"type": "url", "url": URL}],
        }},
        a_message({"type": "output_text", "text": URL, "annotations": [
            {"type": "url_citation", "url": URL, "title": "t", "start_index": 0, "end_index": 1},
        ]}, role="assistant"),
    ]  # fmt: skip
    request = a_request(items, tools=[FUNCTION | {"parameters": schema}])

    assert as_native(request) == request
    assert parsed(request).unchecked == []


def test_a_long_history_with_sources_and_logprobs_goes_on() -> None:
    sources = [{"type": "url", "url": f"https://x.test/pages/{number}?q=photographs"} for number in range(1000)]
    token = {"token": " lake", "bytes": [*b" lake"], "logprob": -0.25}
    answer = {"type": "output_text", "text": "A lake.", "annotations": [], "logprobs": [
        token | {"top_logprobs": [token] * 5},
    ] * 300}  # fmt: skip
    request = a_request(
        [
            {"type": "web_search_call", "id": "w", "action": {"type": "search", "query": "q", "sources": sources}},
            {"type": "message", "id": "m", "status": "completed", "role": "assistant", "content": [answer]},
        ]
    )

    assert as_native(request) == request


def test_no_image_that_was_not_replaced_goes_upstream() -> None:
    request = parsed(a_request([a_message(image(URL), {"type": "input_image", "file_id": FILE_ID})]))

    body = json.loads(request.to_upstream(("responses",)).body)

    assert [part.get("image_url") or part.get("file_id") for part in body["input"][0]["content"]] == [None, None]
