"""Tools as chat's functions, and the choice between them."""

from msgspec import Raw

from obscura.dialects.json.fields import (
    one_of,
    optional_array,
    optional_bool,
    optional_object,
    reject_unknown,
    required_object,
    required_string,
    text_or_empty,
    unsupported_field,
)
from obscura.dialects.json.raw import RawJson, RawObject, is_null, open_object, quoted
from obscura.errors import InvalidRequest

_CHOICES = {"auto": b"auto", "any": b"required", "tool": b"function", "none": b"none"}
_IGNORED_TOOL_FIELDS = ("cache_control", "eager_input_streaming")
_TOOL_FIELDS = ("type", "name", "description", "input_schema", "strict", "defer_loading", "allowed_callers")
_FALSE = Raw(b"false")


def tool_fields(root: RawObject, body: RawJson) -> RawObject:
    """Return ``tools``, ``tool_choice`` and ``parallel_tool_calls``, those that are asked for.

    Raises UnsupportedField on a tool that Anthropic's servers run, InvalidRequest on one that is none, or on a choice
    of a tool where there is none.
    """
    tools = [_function(open_object(leaf, path), path, body) for path, leaf in _numbered(root)]
    if is_null(root.get("tool_choice")):
        return {"tools": list(tools)} if tools else {}
    choice = optional_object(root, "tool_choice")
    reject_unknown(choice, ("type", "name", "disable_parallel_tool_use"), "tool_choice")
    kind = one_of(choice, "type", _CHOICES, body, "tool_choice")
    one_at_a_time = optional_bool(choice, "disable_parallel_tool_use", "tool_choice")
    if not tools:
        if kind in {"any", "tool"}:
            raise InvalidRequest("'tool_choice' asks for a tool, and there are no tools.", param="tool_choice")
        return {}
    fields: RawObject = {"tools": list(tools), "tool_choice": quoted(_CHOICES[kind])}
    if kind == "tool":
        name = required_string(choice, "name", "tool_choice")
        fields["tool_choice"] = {"type": quoted(b"function"), "function": {"name": name}}
    return fields | ({"parallel_tool_calls": _FALSE} if one_at_a_time else {})


def _numbered(root: RawObject) -> list[tuple[str, Raw]]:
    return [(f"tools[{index}]", leaf) for index, leaf in enumerate(optional_array(root, "tools"))]


def _function(tool: RawObject, path: str, body: RawJson) -> RawObject:
    if not is_null(tool.get("type")) and text_or_empty(tool["type"], body) != "custom":
        raise unsupported_field(f"{path}.type", "Send tools of your own, with an input_schema.")
    reject_unknown(tool, (*_IGNORED_TOOL_FIELDS, *_TOOL_FIELDS), path)
    if optional_bool(tool, "defer_loading", path):
        raise unsupported_field(f"{path}.defer_loading", "Send only the tools that the model is to see.")
    for index, caller in enumerate(optional_array(tool, "allowed_callers", path)):
        if text_or_empty(caller, body) != "direct":
            raise unsupported_field(f"{path}.allowed_callers[{index}]", "Only the model itself calls tools: 'direct'.")
    function: RawObject = {"name": required_string(tool, "name", path)}
    if not is_null(tool.get("description")):
        function["description"] = required_string(tool, "description", path)
    function["parameters"] = required_object(tool, "input_schema", path)
    if not is_null(tool.get("strict")):
        optional_bool(tool, "strict", path)
        function["strict"] = tool["strict"]
    return {"type": quoted(b"function"), "function": function}
