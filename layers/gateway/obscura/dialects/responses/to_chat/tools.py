"""Function tools and tool_choice as chat completions has them."""

from dataclasses import dataclass

from msgspec import Raw

from obscura.dialects.json.fields import optional_bool, refuse_others, required_text, set_fields, unsupported
from obscura.dialects.json.raw import Node, RawJson, RawObject, is_null, is_string, open_array, open_object, quoted
from obscura.errors import InvalidRequest

_TOOL_FIELDS = ("type", "name", "description", "parameters", "strict", "async", "defer_loading", "allowed_callers")
_CHOICES = ("none", "auto", "required")


@dataclass(frozen=True, slots=True)
class Tools:
    """The function tools of a request, by name, in its order."""

    by_name: dict[str, RawObject]

    def chat(self) -> list[Node]:
        """Write them as chat completions has them."""
        return [_chat_tool(tool) for tool in self.by_name.values()]

    def echo(self) -> list[Node]:
        """Write them as a response repeats them: the fields that the API always gives are there."""
        defaults: RawObject = {"description": Raw(b"null"), "parameters": Raw(b"null"), "strict": Raw(b"false")}
        return [defaults | set_fields(**tool) for tool in self.by_name.values()]


def read_tools(body: RawJson) -> Tools:
    """Read ``tools``; raises UnsupportedField for any but functions, InvalidRequest for a malformed one."""
    leaf = body.root.get("tools")
    by_name: dict[str, RawObject] = {}
    for index, tool in enumerate([] if leaf is None or is_null(leaf) else open_array(leaf, "tools")):
        path = f"tools[{index}]"
        fields = open_object(tool, path)
        if required_text(body, fields, "type", path) != "function":
            raise unsupported(f"{path}.type")
        refuse_others(fields, _TOOL_FIELDS, path)
        for key in ("async", "defer_loading"):
            if optional_bool(fields, key, path):
                raise unsupported(f"{path}.{key}")
        _refuse_programs(body, fields, path)
        name = required_text(body, fields, "name", path)
        if name in by_name:
            raise InvalidRequest(f"'{path}.name' is the name of another tool too. Rename it.", param=f"{path}.name")
        by_name[name] = fields
    return Tools(by_name)


def chat_tool_fields(body: RawJson, tools: Tools) -> RawObject:
    """Write ``tools``, ``tool_choice`` and ``parallel_tool_calls``; without tools, chat completions takes neither.

    Of ``allowed_tools`` the others are left out: every server takes that, few take the choice itself.
    """
    chosen, offered = _chosen(body, body.root.get("tool_choice"), tools)
    optional_bool(body.root, "parallel_tool_calls")
    if not tools.by_name:
        return {}
    return set_fields(
        tools=offered.chat(),
        tool_choice=chosen,
        parallel_tool_calls=body.root.get("parallel_tool_calls"),
    )


def _chosen(body: RawJson, choice: Node | None, tools: Tools) -> tuple[Node | None, Tools]:
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
    match required_text(body, fields, "type", "tool_choice"):
        case "function":
            refuse_others(fields, ("type", "name"), "tool_choice")
            _known(body, fields, "tool_choice", tools)
            return {"type": quoted(b"function"), "function": {"name": fields["name"]}}, tools
        case "allowed_tools":
            return _allowed(body, fields, tools)
        case _:
            raise unsupported("tool_choice.type")


def _allowed(body: RawJson, fields: RawObject, tools: Tools) -> tuple[Node, Tools]:
    refuse_others(fields, ("type", "mode", "tools"), "tool_choice")
    if required_text(body, fields, "mode", "tool_choice") not in {"auto", "required"}:
        raise InvalidRequest("'tool_choice.mode' must be auto or required.", param="tool_choice.mode")
    allowed: dict[str, RawObject] = {}
    for index, leaf in enumerate(open_array(fields.get("tools", Raw(b"null")), "tool_choice.tools")):
        path = f"tool_choice.tools[{index}]"
        tool = open_object(leaf, path)
        if required_text(body, tool, "type", path) != "function":
            raise unsupported(f"{path}.type")
        name = _known(body, tool, path, tools)
        allowed[name] = tools.by_name[name]
    if not allowed:
        raise InvalidRequest("'tool_choice.tools' is empty. Name at least one tool.", param="tool_choice.tools")
    return fields["mode"], Tools(allowed)


def _known(body: RawJson, fields: RawObject, path: str, tools: Tools) -> str:
    name = required_text(body, fields, "name", path)
    if name not in tools.by_name:
        raise InvalidRequest(f"'{path}.name' is not the name of any of the tools.", param=f"{path}.name")
    return name


def _refuse_programs(body: RawJson, fields: RawObject, path: str) -> None:
    """A tool may be open to programs of the model's, which chat completions does not know, or to the model alone."""
    callers = fields.get("allowed_callers")
    if callers is None or is_null(callers):
        return
    path = f"{path}.allowed_callers"
    for caller in open_array(callers, path):
        if not is_string(caller) or body.text(caller) != "direct":
            raise unsupported(path)


def _chat_tool(tool: RawObject) -> RawObject:
    function = set_fields(**{key: tool.get(key) for key in ("name", "description", "parameters", "strict")})
    return {"type": quoted(b"function"), "function": function}
