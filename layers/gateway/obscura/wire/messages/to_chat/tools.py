"""Tools as chat's functions, and the choice between them."""

from msgspec import Raw

from obscura.errors import InvalidRequest
from obscura.wire.fields import flag
from obscura.wire.messages.fields import (
    chosen,
    items_at,
    object_at,
    refuse_others,
    required_object,
    required_string,
    text_of,
    unsupported,
)
from obscura.wire.raw_body import RawBody, RawObject, is_null, members, raw_string

_CHOICES = {"auto": b"auto", "any": b"required", "tool": b"function", "none": b"none"}
_SAFE_TO_IGNORE = ("cache_control", "eager_input_streaming")
_READ = ("type", "name", "description", "input_schema", "strict", "defer_loading", "allowed_callers")
_FALSE = Raw(b"false")


def tool_fields(root: RawObject, body: RawBody) -> RawObject:
    """Give ``tools``, ``tool_choice`` and ``parallel_tool_calls``, those that are asked for.

    Raises UnsupportedField on a tool that Anthropic's servers run, InvalidRequest on one that is none, or on a choice
    of a tool where there is none.
    """
    tools = [_function(members(leaf, path), path, body) for path, leaf in _numbered(root)]
    if is_null(root.get("tool_choice")):
        return {"tools": list(tools)} if tools else {}
    choice = object_at(root, "tool_choice")
    refuse_others(choice, ("type", "name", "disable_parallel_tool_use"), "tool_choice")
    kind = chosen(choice, "type", _CHOICES, body, "tool_choice")
    one_at_a_time = flag(choice, "disable_parallel_tool_use", "tool_choice")
    if not tools:
        if kind in {"any", "tool"}:
            raise InvalidRequest("'tool_choice' asks for a tool, and there are no tools.", param="tool_choice")
        return {}
    fields: RawObject = {"tools": list(tools), "tool_choice": raw_string(_CHOICES[kind])}
    if kind == "tool":
        name = required_string(choice, "name", "tool_choice")
        fields["tool_choice"] = {"type": raw_string(b"function"), "function": {"name": name}}
    return fields | ({"parallel_tool_calls": _FALSE} if one_at_a_time else {})


def _numbered(root: RawObject) -> list[tuple[str, Raw]]:
    return [(f"tools[{index}]", leaf) for index, leaf in enumerate(items_at(root, "tools"))]


def _function(tool: RawObject, path: str, body: RawBody) -> RawObject:
    if not is_null(tool.get("type")) and text_of(tool["type"], body) != "custom":
        raise unsupported(f"{path}.type", "Send tools of your own, with an input_schema.")
    refuse_others(tool, (*_SAFE_TO_IGNORE, *_READ), path)
    if flag(tool, "defer_loading", path):
        raise unsupported(f"{path}.defer_loading", "Send only the tools that the model is to see.")
    for index, caller in enumerate(items_at(tool, "allowed_callers", path)):
        if text_of(caller, body) != "direct":
            raise unsupported(f"{path}.allowed_callers[{index}]", "Only the model itself calls tools: 'direct'.")
    function: RawObject = {"name": required_string(tool, "name", path)}
    if not is_null(tool.get("description")):
        function["description"] = required_string(tool, "description", path)
    function["parameters"] = required_object(tool, "input_schema", path)
    if not is_null(tool.get("strict")):
        flag(tool, "strict", path)
        function["strict"] = tool["strict"]
    return {"type": raw_string(b"function"), "function": function}
