"""The tables of docs/fields-messages.md, checked against the SDK's own types and against the code."""

import copy
import json
import re
import typing
from pathlib import Path

import anthropic.types as sdk
import pytest
from anthropic.types.beta import BetaOutputConfigParam, BetaSystemMessageParam
from anthropic.types.beta.message_create_params import MessageCreateParamsBase

from obscura.errors import UnsupportedField
from tests.contract.fields.messages.field_examples import EXAMPLES
from tests.contract.fields.messages.sdk_requests import (
    block_types,
    examples,
    fields_of,
    tool_types,
)
from tests.unit.dialects.messages.conversations import (
    a_completion,
    a_document,
    a_request,
    a_tool,
    assistant,
    image,
    in_chat,
    parse,
    passed_natively,
    text,
    tool_result,
    tool_use,
    translated,
    user,
)

PAGE = (Path(__file__).parents[4] / "docs/fields-messages.md").read_text()
BLOCKS = {"text": text("words"), "image": image(), "tool_use": tool_use(), "tool_result": tool_result("toolu_1", "r")}
DOCUMENT = "document"
BARE_BLOCKS = {
    "thinking": {"type": "thinking", "thinking": "hm", "signature": "s"},
    "redacted_thinking": {"type": "redacted_thinking", "data": "x"},
}


UNSEEN = {"thinking.display", "image.source", *(f"{kind}.type" for kind in BLOCKS)}
"""Fields whose translation a chat request does not show: kept for the response, replaced, or always the same."""


def cells(section: str) -> dict[str, list[str]]:
    """Each field of a section's table, with the other cells of its row."""
    (table,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    found: dict[str, list[str]] = {}
    for fields, rest in re.findall(r"^\| (`.*?) \| (.*)\|$", table, re.MULTILINE):
        found |= {field: [cell.strip() for cell in rest.split(" |")] for field in re.findall(r"`(.*?)`", fields)}
    return found


def rows(section: str) -> dict[str, tuple[str, str]]:
    """Each field of a section's table, with its treatment over chat and the note."""
    return {field: (row[-2], row[-1]) for field, row in cells(section).items()}


def base(section: str, field: str) -> tuple[dict, list[str | int]]:
    """A request for the field, and the path of the object that the section is about."""
    match section:
        case "Request":
            thinking = {"thinking": {"type": "enabled", "budget_tokens": 5000}} if "thinking." in field else {}
            return a_request(tools=[a_tool()], **thinking), []
        case "Messages":
            return a_request(user("hello"), user("and")), ["messages", 0]
        case "Tools":
            return a_request(tools=[a_tool()]), ["tools", 0]
        case "Tool choice":
            kind = "tool" if field == "name" else "auto"
            return a_request(tools=[a_tool()], tool_choice={"type": kind, "name": "f"}), ["tool_choice"]
        case _:
            kind = field.partition(".")[0]
            message = assistant if kind in {"tool_use", *BARE_BLOCKS} else user
            block = a_document() if kind == DOCUMENT else BLOCKS.get(kind) or BARE_BLOCKS.get(kind) or {"type": kind}
            return a_request(message(text("see"), block), user("so?")), ["messages", 0, "content", 1]


def written(path: list[str | int]) -> str:
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).lstrip(".")


def with_field(section: str, field: str, value: object) -> tuple[dict, str]:
    """The request with the field in it, and the path that an error would name."""
    request, path = base(section, field)
    request = copy.deepcopy(request)
    keys = field.split(".")[1:] if section == "Blocks" else field.split(".")
    if not keys:
        return request, written(path)
    holder: typing.Any = request
    for key in [*path, *keys[:-1]]:
        holder = holder.setdefault(key, {}) if isinstance(holder, dict) else holder[key]
    holder[keys[-1]] = value
    return request, written([*path, *keys])


FIELDS = [(section, field) for section in EXAMPLES for field in rows(section)]


@pytest.mark.parametrize(("section", "field"), FIELDS)
def test_a_translated_field_is_treated_as_the_table_says(section: str, field: str) -> None:
    treatment, _ = rows(section)[field]
    value = EXAMPLES[section].get(field)
    request, path = with_field(section, field, value)

    if treatment == "refused":
        with pytest.raises(UnsupportedField) as caught:
            in_chat(request)
        assert caught.value.param.startswith(path)
        return
    response = in_chat(request)
    without = in_chat(a_request(user(text("see")), user("so?")) if field == DOCUMENT else base(section, field)[0])
    if treatment == "passed":
        assert response[field] == value
        assert response == without | {field: value}
    elif treatment == "carried":
        assert response != without or field in UNSEEN
    else:
        assert treatment == "ignored"
        assert response == without


@pytest.mark.parametrize("field", ["thinking", "redacted_thinking"])
def test_an_ignored_block_does_not_change_the_message(field: str) -> None:
    request, _ = base("Blocks", field)

    assert in_chat(request) == in_chat(a_request(assistant(text("see")), user("so?")))


SAFE_VALUES = [
    (section, field, json.loads(value))
    for section, field in FIELDS
    for value in re.findall(r"`([^`]+)` is ignored", rows(section)[field][1])
]


@pytest.mark.parametrize(("section", "field", "value"), SAFE_VALUES)
def test_a_value_that_the_table_calls_ignored_changes_nothing(section: str, field: str, value: object) -> None:
    request, _ = with_field(section, field, value)

    assert in_chat(request) == in_chat(base(section, field)[0])


@pytest.mark.parametrize(("section", "field"), FIELDS)
def test_an_upstream_that_speaks_messages_gets_every_field(section: str, field: str) -> None:
    request, _ = with_field(section, field, EXAMPLES[section].get(field))

    passed = passed_natively(request)

    for holder in (request, passed):
        for block in holder["messages"][0]["content"]:
            if isinstance(block, dict) and block["type"] == "image":
                block["source"] = "an image"
    assert passed == request


MARK = "markedword"
MAX_EXAMPLES = 12
"""A longer array only has the block in which every kind of tool can stand."""
OTHER, OWN_TOOLS = "Other blocks", "Anthropic's own tools"


def marked(value: object) -> list[object]:
    """The value with a marked word in place of one of its strings, for each of them; types and keys stay."""
    if isinstance(value, str):
        return [MARK]
    items = list(value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ())
    variants: list[object] = []
    for key, inner in items:
        for variant in marked(inner) if key not in {"type", "role"} else ():
            changed: typing.Any = copy.deepcopy(value)
            changed[key] = variant
            variants.append(changed)
    return variants


def parts(value: object) -> list[object]:
    """The first elements of an array, each in one of its own; any other value as it is."""
    return [[element] for element in value[:MAX_EXAMPLES]] if isinstance(value, list) else [value]


def requests_with(section: str, field: str) -> list[dict]:
    """Requests with a marked word in each of the strings that a field of the table can hold."""
    if section == OTHER:
        kind, _, name = field.partition(".")
        blocks = [block for block in examples(block_types()[kind]) if isinstance(block, dict)]
        few = [(block, part) for block in blocks for part in parts(block[name])]
        return [a_request(user(block | {name: value})) for block, part in few for value in marked(part)]
    if section == OWN_TOOLS:
        tools = [tool for kind in tool_types() for tool in examples(kind) if isinstance(tool, dict) and field in tool]
        return [a_request(tools=[tool | {field: value}]) for tool in tools for value in marked(tool[field])]
    return [with_field(section, field, value)[0] for value in marked(EXAMPLES[section].get(field))]


REVIEWED = [
    (section, field, row[0])
    for section in (*EXAMPLES, OTHER, OWN_TOOLS)
    for field, row in cells(section).items()
    if row[0] != "see below" and not field.endswith("type")
]


@pytest.mark.parametrize(("section", "field", "treatment"), REVIEWED)
def test_a_field_is_moderated_passed_or_refused_as_the_table_says(section: str, field: str, treatment: str) -> None:
    parsed = [parse(request) for request in requests_with(section, field)]

    if treatment == "refused":
        assert all(request.unchecked for request in parsed)
        return
    # A document by a file id that is not ours is not found, whatever its other fields hold.
    assert {part.kind for request in parsed for part in request.unchecked} <= {"document"}
    parsed = [request for request in parsed if not request.unchecked]
    moderated = any(MARK in words for request in parsed for words in request.texts)
    sources = [slot.source for request in parsed for slot in request.images]
    sources += [slot.source for request in parsed for slot in request.documents]
    seen = any(MARK in bytes(source).decode() for source in sources)
    assert treatment == ("moderated" if moderated or seen else "passed")


def test_the_tables_of_the_native_fields_have_every_field_of_the_sdk() -> None:
    passed = {"type", "cache_control"}
    blocks = {f"{kind}.{field}" for kind, hints in block_types().items() for field in fields_of(hints).keys() - passed}
    tools = {field for kind in tool_types() for field in fields_of(kind)}

    assert blocks - cells("Blocks").keys() - cells(OTHER).keys() == set()
    assert tools - cells("Tools").keys() - cells(OWN_TOOLS).keys() == set()


def all_fields(*kinds: object) -> set[str]:
    return {field for kind in kinds for field in fields_of(kind)}


@pytest.mark.parametrize("section", EXAMPLES)
def test_every_row_has_an_example_and_every_example_a_row(section: str) -> None:
    bare = {field for field in rows(section) if section == "Blocks" and "." not in field}

    assert set(EXAMPLES[section]) == set(rows(section)) - bare


def test_the_request_table_has_every_field_of_the_sdks_request() -> None:
    listed = {field.partition(".")[0] for field in rows("Request")}

    assert all_fields(MessageCreateParamsBase) - listed == set()


@pytest.mark.parametrize(
    ("section", "prefix", "kinds"),
    [
        ("Request", "thinking.", (sdk.ThinkingConfigEnabledParam, sdk.ThinkingConfigAdaptiveParam)),
        ("Request", "output_config.", (BetaOutputConfigParam,)),
        ("Request", "metadata.", (sdk.MetadataParam,)),
        ("Messages", "", (*typing.get_args(sdk.MessageParam), BetaSystemMessageParam)),
        ("Blocks", "text.", (sdk.TextBlockParam,)),
        ("Blocks", "image.", (sdk.ImageBlockParam,)),
        ("Blocks", "tool_use.", (sdk.ToolUseBlockParam,)),
        ("Blocks", "tool_result.", (sdk.ToolResultBlockParam,)),
        ("Tools", "", (sdk.ToolParam,)),
        ("Tool choice", "", (sdk.ToolChoiceAutoParam, sdk.ToolChoiceToolParam)),
    ],
)
def test_a_table_has_every_field_of_the_sdks_types(section: str, prefix: str, kinds: tuple[type, ...]) -> None:
    assert {prefix + field for field in all_fields(*kinds)} - set(rows(section)) == set()


def test_the_blocks_table_has_every_block_of_the_sdks() -> None:
    listed = {field.partition(".")[0] for field in rows("Blocks")}

    assert block_types().keys() - listed == set()


def test_a_response_has_the_fields_that_the_table_says() -> None:
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 9,
        "prompt_tokens_details": {"cached_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }
    least, most = translated(a_completion(content="a")), translated(a_completion(content="a", usage=usage), (5,))
    response = rows("The response")

    def fields(message: dict) -> set[str]:
        return {*message, *(f"usage.{field}" for field in message["usage"])} - {"usage"}

    assert fields(least) == {field for field in response if response[field][0] == "always"}
    assert fields(most) == {field for field in response if response[field][0] != "never"}
    sdks = {*sdk.Message.model_fields, *(f"usage.{field}" for field in sdk.Usage.model_fields)} - {"usage"}
    assert sdks - set(response) == set()
