"""Calls to tools in a response: functions, custom tools and the client's own search of tools, by the names in chat.

A chat upstream knows functions with plain names. A tool that was sent to it under another name, or as another type, is
written in the response as the request has it (docs/fields-responses.md, "Tools").
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec
from msgspec import UNSET, Raw

from obscura.dialects.chat.response import ToolCall
from obscura.dialects.responses.objects import (
    CustomToolCallItem,
    FunctionCallItem,
    ItemStatus,
    ToolCallItem,
    ToolSearchCallItem,
)
from obscura.errors import UpstreamError

type ToolKind = Literal["function", "custom", "tool_search"]


@dataclass(frozen=True, slots=True)
class CalledTool:
    """A tool as the request has it."""

    name: str
    kind: ToolKind = "function"
    namespace: str | None = None


type CalledTools = Mapping[str, CalledTool]
"""The tools that have another name or type in chat, by their name there; all others are functions of the same name."""

CUSTOM_INPUT = "input"
"""The one argument of a custom tool that chat knows as a function."""
_ID_PREFIXES: Mapping[ToolKind, str] = {"function": "fc", "custom": "ctc", "tool_search": "tsc"}
_EMPTY_OBJECT = Raw(b"{}")


class _CustomInput(msgspec.Struct):
    input: str


_input_decoder = msgspec.json.Decoder(_CustomInput)
_object_decoder = msgspec.json.Decoder(dict[str, Raw])


def tool_of(call: ToolCall, called: CalledTools) -> CalledTool:
    """Return the tool that a call names; raises UpstreamError if it names none."""
    name = call.name
    if not name:
        raise UpstreamError("The upstream sent a tool call without a name. Try again.")
    tool = called.get(name)
    if tool is None:
        return CalledTool(name, "custom" if call.custom is not None and call.function is None else "function")
    return tool


def call_item(tool: CalledTool, unique_id: str, call_id: str | None) -> ToolCallItem:
    """Return the item of a call without its arguments, in progress; ``call_id`` is the upstream's, if it sent one."""
    item_id, call_id = f"{_ID_PREFIXES[tool.kind]}_{unique_id}", call_id or f"call_{unique_id}"
    match tool.kind:
        case "custom":
            return CustomToolCallItem(item_id, call_id, tool.name, "", tool.namespace or UNSET)
        case "tool_search":
            return ToolSearchCallItem(item_id, call_id, _EMPTY_OBJECT, "in_progress")
        case _:
            return FunctionCallItem(item_id, call_id, tool.name, "", "in_progress", tool.namespace or UNSET)


def finish_call(item: ToolCallItem, arguments: str, status: ItemStatus, *, as_function: bool) -> None:
    """Set the arguments and the status of a call.

    ``as_function`` if the upstream took a custom tool for a function, whose arguments have its input.
    """
    match item:
        case FunctionCallItem():
            item.arguments, item.status = arguments, status
        case CustomToolCallItem():
            item.input = custom_input(arguments) if as_function else arguments
        case ToolSearchCallItem():
            item.arguments, item.status = _search_arguments(arguments), status


def custom_input(arguments: str) -> str:
    """Return the input of a custom tool from a function's arguments, or those themselves if they are no such object."""
    try:
        return _input_decoder.decode(arguments).input
    except (msgspec.DecodeError, RecursionError):
        return arguments


def _search_arguments(arguments: str) -> Raw:
    text = arguments.strip() or "{}"
    try:
        _object_decoder.decode(text)
    except (msgspec.DecodeError, RecursionError):
        raise UpstreamError("The upstream searched for tools with arguments that are no object. Try again.") from None
    return Raw(text.encode())
