"""Function tools and tool_choice as chat tools."""

from dataclasses import dataclass

from obscura.dialects.chat.build import function_tool
from obscura.dialects.json.fields import (
    optional_array,
    optional_bool,
    reject_unknown,
    required_string,
    text_or_empty,
    unsupported_field,
    without_nulls,
)
from obscura.dialects.json.raw import FALSE, NULL, Node, RawJson, RawObject, is_null, is_string, open_array, open_object
from obscura.errors import InvalidRequest

_TOOL_FIELDS = ("type", "name", "description", "parameters", "strict", "async", "defer_loading", "allowed_callers")
_CHOICES = ("none", "auto", "required")


@dataclass(frozen=True, slots=True)
class Tools:
    """The function tools of a request, by name, in its order."""

    by_name: dict[str, RawObject]

    def chat(self) -> list[Node]:
        """Write the tools for a chat completion request."""
        return [_chat_tool(tool) for tool in self.by_name.values()]

    def echo(self) -> list[Node]:
        """Write the tools as a response repeats them, with defaults for the fields that the API always sends."""
        defaults: RawObject = {"description": NULL, "parameters": NULL, "strict": FALSE}
        return [defaults | without_nulls(tool) for tool in self.by_name.values()]


def read_tools(body: RawJson) -> Tools:
    """Read ``tools``; raises UnsupportedField for any other than a function, InvalidRequest for a malformed one."""
    by_name: dict[str, RawObject] = {}
    for index, tool in enumerate(optional_array(body.root, "tools")):
        path = f"tools[{index}]"
        fields = open_object(tool, path)
        if required_string(body, fields, "type", path) != "function":
            raise unsupported_field(f"{path}.type")
        reject_unknown(fields, _TOOL_FIELDS, path)
        for key in ("async", "defer_loading"):
            if optional_bool(fields, key, path):
                raise unsupported_field(f"{path}.{key}")
        _require_direct_callers(body, fields, path)
        name = required_string(body, fields, "name", path)
        if name in by_name:
            raise InvalidRequest(f"'{path}.name' is the name of another tool. Rename it.", param=f"{path}.name")
        by_name[name] = fields
    return Tools(by_name)


def chat_tool_fields(body: RawJson, tools: Tools) -> RawObject:
    """Write ``tools``, ``tool_choice`` and ``parallel_tool_calls``; empty without tools, as chat completions requires.

    ``allowed_tools`` leaves the other tools out: every server accepts that, few accept the choice itself.
    """
    choice, offered = _tool_choice(body, body.root.get("tool_choice"), tools)
    optional_bool(body.root, "parallel_tool_calls")
    if not tools.by_name:
        return {}
    return without_nulls(
        {
            "tools": offered.chat(),
            "tool_choice": choice,
            "parallel_tool_calls": body.root.get("parallel_tool_calls"),
        }
    )


def _tool_choice(body: RawJson, choice: Node | None, tools: Tools) -> tuple[Node | None, Tools]:
    if choice is None or is_null(choice):
        return None, tools
    if is_string(choice):
        mode = body.text(choice)
        if mode not in _CHOICES:
            raise InvalidRequest(f"'tool_choice' must be one of {', '.join(_CHOICES)}.", param="tool_choice")
        if mode == "required" and not tools.by_name:
            raise InvalidRequest("'tool_choice' requires a tool, but there are no tools.", param="tool_choice")
        return choice, tools
    fields = open_object(choice, "tool_choice")
    match required_string(body, fields, "type", "tool_choice"):
        case "function":
            reject_unknown(fields, ("type", "name"), "tool_choice")
            _require_tool(body, fields, "tool_choice", tools)
            return function_tool({"name": fields["name"]}), tools
        case "allowed_tools":
            return _allowed_tools(body, fields, tools)
        case _:
            raise unsupported_field("tool_choice.type")


def _allowed_tools(body: RawJson, fields: RawObject, tools: Tools) -> tuple[Node, Tools]:
    reject_unknown(fields, ("type", "mode", "tools"), "tool_choice")
    if required_string(body, fields, "mode", "tool_choice") not in {"auto", "required"}:
        raise InvalidRequest("'tool_choice.mode' must be auto or required.", param="tool_choice.mode")
    allowed: dict[str, RawObject] = {}
    for index, leaf in enumerate(open_array(fields.get("tools", NULL), "tool_choice.tools")):
        path = f"tool_choice.tools[{index}]"
        tool = open_object(leaf, path)
        if required_string(body, tool, "type", path) != "function":
            raise unsupported_field(f"{path}.type")
        name = _require_tool(body, tool, path, tools)
        allowed[name] = tools.by_name[name]
    if not allowed:
        raise InvalidRequest("'tool_choice.tools' is empty. Name at least one tool.", param="tool_choice.tools")
    return fields["mode"], Tools(allowed)


def _require_tool(body: RawJson, fields: RawObject, path: str, tools: Tools) -> str:
    name = required_string(body, fields, "name", path)
    if name not in tools.by_name:
        raise InvalidRequest(f"'{path}.name' is not the name of any of the tools.", param=f"{path}.name")
    return name


def _require_direct_callers(body: RawJson, fields: RawObject, path: str) -> None:
    """Raise UnsupportedField for a tool that programs of the model's may call, which chat completions does not have."""
    for caller in optional_array(fields, "allowed_callers", path):
        if text_or_empty(body, caller) != "direct":
            raise unsupported_field(f"{path}.allowed_callers")


def _chat_tool(tool: RawObject) -> RawObject:
    function = without_nulls({key: tool.get(key) for key in ("name", "description", "parameters", "strict")})
    return function_tool(function)
