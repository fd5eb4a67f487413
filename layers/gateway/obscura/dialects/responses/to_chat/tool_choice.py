"""The choice between tools as chat completions has it."""

from obscura.dialects.chat.build import custom_tool, function_tool
from obscura.dialects.json.fields import (
    optional_bool,
    reject_unknown,
    required_string,
    text_or_empty,
    unsupported_field,
    without_nulls,
)
from obscura.dialects.json.raw import (
    NULL,
    Node,
    RawJson,
    RawObject,
    is_null,
    is_string,
    open_array,
    open_object,
    quoted,
)
from obscura.dialects.responses.to_chat.tools import Tools
from obscura.errors import InvalidRequest

_CHOICES = ("none", "auto", "required")
_NAMED = ("type", "name")


def chat_tool_fields(body: RawJson, tools: Tools) -> RawObject:
    """Write ``tools``, ``tool_choice`` and ``parallel_tool_calls``; empty without tools, as chat completions requires.

    ``allowed_tools`` leaves the other tools out: every server accepts that, few accept the choice itself.
    """
    choice, offered = _tool_choice(body, body.root.get("tool_choice"), tools)
    optional_bool(body.root, "parallel_tool_calls")
    if not tools.by_chat_name:
        return {}
    return without_nulls(
        {
            "tools": tools.chat(offered),
            "tool_choice": choice,
            "parallel_tool_calls": body.root.get("parallel_tool_calls"),
        }
    )


def _tool_choice(body: RawJson, choice: Node | None, tools: Tools) -> tuple[Node | None, list[str] | None]:
    """Return the choice, and the names of the tools that it leaves, None for all."""
    if choice is None or is_null(choice):
        return None, None
    if is_string(choice):
        mode = body.text(choice)
        if mode not in _CHOICES:
            raise InvalidRequest(f"'tool_choice' must be one of {', '.join(_CHOICES)}.", param="tool_choice")
        if mode == "required" and not tools.by_chat_name:
            raise InvalidRequest("'tool_choice' requires a tool, but there are no tools.", param="tool_choice")
        return choice, None
    fields = open_object(choice, "tool_choice")
    match required_string(body, fields, "type", "tool_choice"):
        case "function" | "custom":
            reject_unknown(fields, _NAMED, "tool_choice")
            name = _require_tool(body, fields, "tool_choice", tools)
            named: RawObject = {"name": quoted(name.encode())}
            is_custom = tools.options.custom_tools and tools.by_chat_name[name].called.kind == "custom"
            return (custom_tool if is_custom else function_tool)(named), None
        case "allowed_tools":
            return _allowed_tools(body, fields, tools)
        case _:
            raise unsupported_field("tool_choice.type")


def _allowed_tools(body: RawJson, fields: RawObject, tools: Tools) -> tuple[Node, list[str]]:
    reject_unknown(fields, ("type", "mode", "tools"), "tool_choice")
    if required_string(body, fields, "mode", "tool_choice") not in {"auto", "required"}:
        raise InvalidRequest("'tool_choice.mode' must be auto or required.", param="tool_choice.mode")
    allowed: dict[str, None] = {}
    for index, leaf in enumerate(open_array(fields.get("tools", NULL), "tool_choice.tools")):
        path = f"tool_choice.tools[{index}]"
        tool = open_object(leaf, path)
        if required_string(body, tool, "type", path) not in {"function", "custom"}:
            raise unsupported_field(f"{path}.type")
        allowed[_require_tool(body, tool, path, tools)] = None
    if not allowed:
        raise InvalidRequest("'tool_choice.tools' is empty. Name at least one tool.", param="tool_choice.tools")
    return fields["mode"], list(allowed)


def _require_tool(body: RawJson, fields: RawObject, path: str, tools: Tools) -> str:
    """Return the name in chat of the tool that is chosen, of no namespace and of the type that the choice has."""
    name = required_string(body, fields, "name", path)
    tool = tools.by_chat_name.get(name)
    if tool is None or tool.called.name != name or tool.called.kind != text_or_empty(body, fields["type"]):
        raise InvalidRequest(f"'{path}.name' is not the name of any of the tools.", param=f"{path}.name")
    return name
