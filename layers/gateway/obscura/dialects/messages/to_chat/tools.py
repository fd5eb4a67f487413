"""Tools as chat's functions, and the choice between them."""

from msgspec import Raw

from obscura.dialects.chat.build import function_tool
from obscura.dialects.json.fields import (
    one_of,
    optional_array,
    optional_bool,
    optional_object,
    raw_object_at,
    raw_string_at,
    reject_unknown,
    text_or_empty,
    unsupported_field,
)
from obscura.dialects.json.raw import FALSE, RawJson, RawObject, is_null, open_object, quoted
from obscura.errors import InvalidRequest

_CHOICES = {"auto": b"auto", "any": b"required", "tool": b"function", "none": b"none"}
_TOOL_FIELDS = (
    *("type", "name", "description", "input_schema", "strict", "defer_loading", "allowed_callers"),
    *("cache_control", "eager_input_streaming"),
)


def tool_fields(root: RawObject, body: RawJson) -> RawObject:
    """Return ``tools``, ``tool_choice`` and ``parallel_tool_calls``, as far as the request has them.

    Raises UnsupportedField on a tool that Anthropic's servers run, InvalidRequest on a malformed one, or on the choice
    of a tool without any tools.
    """
    leaves = optional_array(root, "tools")
    tools = [_function(leaf, f"tools[{index}]", body) for index, leaf in enumerate(leaves)]
    if is_null(root.get("tool_choice")):
        return {"tools": list(tools)} if tools else {}
    choice = optional_object(root, "tool_choice")
    reject_unknown(choice, ("type", "name", "disable_parallel_tool_use"), "tool_choice")
    kind = one_of(body, choice, "type", _CHOICES, "tool_choice")
    one_at_a_time = optional_bool(choice, "disable_parallel_tool_use", "tool_choice")
    if not tools:
        if kind in {"any", "tool"}:
            raise InvalidRequest("'tool_choice' requires a tool, and there are no tools.", param="tool_choice")
        return {}
    fields: RawObject = {"tools": list(tools), "tool_choice": quoted(_CHOICES[kind])}
    if kind == "tool":
        name = raw_string_at(choice, "name", "tool_choice")
        fields["tool_choice"] = function_tool({"name": name})
    return fields | ({"parallel_tool_calls": FALSE} if one_at_a_time else {})


def _function(leaf: Raw, path: str, body: RawJson) -> RawObject:
    tool = open_object(leaf, path)
    if not is_null(tool.get("type")) and text_or_empty(body, tool["type"]) != "custom":
        raise unsupported_field(f"{path}.type", "Send tools of your own, with an input_schema.")
    reject_unknown(tool, _TOOL_FIELDS, path)
    if optional_bool(tool, "defer_loading", path):
        raise unsupported_field(f"{path}.defer_loading", "Send only the tools that the model is to see.")
    for index, caller in enumerate(optional_array(tool, "allowed_callers", path)):
        if text_or_empty(body, caller) != "direct":
            raise unsupported_field(f"{path}.allowed_callers[{index}]", "Only the model itself calls tools: 'direct'.")
    function: RawObject = {"name": raw_string_at(tool, "name", path)}
    if not is_null(tool.get("description")):
        function["description"] = raw_string_at(tool, "description", path)
    function["parameters"] = raw_object_at(tool, "input_schema", path)
    if not is_null(tool.get("strict")):
        optional_bool(tool, "strict", path)
        function["strict"] = tool["strict"]
    return function_tool(function)
