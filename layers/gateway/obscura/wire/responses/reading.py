"""A request, read where pictures and texts stand: instructions, input, and what only a native upstream understands."""

from msgspec import Raw

from obscura.errors import InvalidRequest
from obscura.wire.fields import required_text
from obscura.wire.raw_body import Node, RawObject, is_array, is_null, is_object, is_string, items, members
from obscura.wire.responses.gathered import LONGEST_NAME, Gathered, Item, Part
from obscura.wire.responses.native_items import read_native_item, read_native_tools
from obscura.wire.responses.parts import open_part, open_parts
from obscura.wire.responses.pictures import open_screenshot

_LISTS = {"message": "content", "function_call_output": "output", "custom_tool_call_output": "output"}
"""The items whose parts are opened, and where those stand."""


def read_request(gathered: Gathered) -> None:
    """Gather a request's pictures and texts, and open its input in place.

    Raises InvalidRequest, UnsupportedOperation, TooManyContentParts, each with the JSON path.
    """
    root = gathered.body.root
    instructions = root.get("instructions")
    if is_string(instructions):
        gathered.texts.append(gathered.body.text(instructions))
    elif not is_null(instructions):
        raise InvalidRequest("'instructions' must be a string.", param="instructions")
    _read_prompt(root, gathered)
    read_native_tools(root.get("tools"), "tools", gathered)
    given = root.get("input")
    if is_string(given):
        gathered.texts.append(gathered.body.text(given))
    elif is_array(given):
        gathered.items += [
            _open_item(leaf, f"input[{index}]", gathered) for index, leaf in enumerate(items(given, "input"))
        ]
        root["input"] = [item.fields for item in gathered.items]
    elif not is_null(given):
        raise InvalidRequest("'input' must be a string or an array of items.", param="input")


def _open_item(leaf: Raw, path: str, gathered: Gathered) -> Item:
    fields = members(leaf, path)
    kind = _kind(fields, path, gathered)
    if kind == "computer_call_output":
        fields["output"] = open_screenshot(fields.get("output"), f"{path}.output", gathered)
        return Item(path, kind, fields)
    if kind not in _LISTS:
        read_native_item(leaf, kind, path, gathered)
        return Item(path, kind, fields)
    if kind == "message":
        required_text(gathered.body, fields, "role", path)
    return Item(path, kind, fields, _open_content(fields, _LISTS[kind], path, gathered))


def _kind(fields: RawObject, path: str, gathered: Gathered) -> str:
    """An item's type; without one it is a message when it has a role, else a reference when it has an id."""
    if is_null(fields.get("type")):
        for key, kind in (("role", "message"), ("id", "item_reference")):
            if not is_null(fields.get(key)):
                return kind
    return required_text(gathered.body, fields, "type", path)


def _open_content(fields: RawObject, key: str, path: str, gathered: Gathered) -> list[Part] | None:
    content = fields.get(key)
    if is_string(content):
        gathered.texts.append(gathered.body.text(content))
    elif is_array(content):
        parts = open_parts(content, f"{path}.{key}", gathered)
        fields[key] = [part.fields for part in parts]
        return parts
    elif not is_null(content):
        raise InvalidRequest(f"'{path}.{key}' must be a string or an array of parts.", param=f"{path}.{key}")
    return None


def _read_prompt(root: RawObject, gathered: Gathered) -> None:
    """Open the variables of a prompt template: texts, or parts with pictures."""
    if not is_object(root.get("prompt")):
        return
    prompt = members(root["prompt"], "prompt")
    if not is_object(prompt.get("variables")):
        return
    variables = members(prompt["variables"], "prompt.variables")
    for name, leaf in variables.items():
        variables[name] = _open_variable(leaf, f"prompt.variables.{name[:LONGEST_NAME]}", gathered)
    prompt["variables"] = variables
    root["prompt"] = prompt


def _open_variable(leaf: Node, path: str, gathered: Gathered) -> Node:
    if is_string(leaf):
        gathered.texts.append(gathered.body.text(leaf))
    return open_part(leaf, path, gathered).fields if is_object(leaf) else leaf
