"""The tools of a request as chat tools, under names that are unambiguous there, and the choice between them.

Functions go as they are, those of a namespace under a name of both. A custom tool is a function of one text where the
model takes no custom tools. The client's own search of tools is a function, and what it found is offered from then on.
Tools of the provider's own cannot be carried (ADR 126).
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256

import msgspec
from msgspec import Raw

from obscura.dialects.chat.build import custom_tool, function_tool
from obscura.dialects.chat_options import DEFAULT_OPTIONS, ChatOptions
from obscura.dialects.json.fields import (
    optional_array,
    optional_bool,
    optional_object,
    reject_unknown,
    required_string,
    text_or_empty,
    unsupported_field,
    without_nulls,
)
from obscura.dialects.json.raw import FALSE, NULL, Node, RawJson, RawObject, is_null, is_string, open_object
from obscura.dialects.responses.called_tools import CUSTOM_INPUT, CalledTool, CalledTools, ToolKind
from obscura.errors import InvalidRequest

_TOOL_FIELDS = ("type", "name", "description", "parameters", "strict", "async", "defer_loading", "allowed_callers")
_CUSTOM_FIELDS = ("type", "name", "description", "format", "async", "defer_loading", "allowed_callers")
_SEARCH_FIELDS = ("type", "execution", "description", "parameters")
_NAMESPACE_FIELDS = ("type", "name", "description", "tools")
MAX_CHAT_NAME_CHARS = 64
"""Of a function's name (API reference, "Create chat completion", tools)."""
_DIGEST_CHARS = 8
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")
_HOSTED = (
    "It is a tool of the provider's own. Leave it out, or choose a model whose upstream speaks this API; or have the "
    'operator drop such tools where the choice is left to the model (hosted_tools = "drop" in the catalog).'
)
SEARCH = "tool_search"


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as the request has it; ``description`` includes that of its namespace."""

    called: CalledTool
    fields: RawObject
    description: Node | None


@dataclass(frozen=True, slots=True)
class Tools:
    """The tools that are offered, by their names in chat, and the tools of the request as a response repeats them."""

    by_chat_name: dict[str, Tool]
    repeated: tuple[RawObject, ...]
    options: ChatOptions = DEFAULT_OPTIONS

    def chat(self, allowed: Iterable[str] | None = None) -> list[Node]:
        """Write the tools, or those that are ``allowed``, for a chat completion request."""
        names = self.by_chat_name if allowed is None else allowed
        return [_chat_tool(name, self.by_chat_name[name], self.options) for name in names]

    def echo(self) -> list[Node]:
        """Write the tools as a response repeats them, functions with defaults for what the API always sends."""
        return list(self.repeated)

    def called(self) -> CalledTools:
        """Return the tools that have another name or type in chat."""
        return {
            name: tool.called
            for name, tool in self.by_chat_name.items()
            if tool.called.kind != "function" or tool.called.name != name
        }

    def chat_name(self, name: str, namespace: str | None = None) -> str:
        """Return the name in chat of a tool that may not be offered any more, such as one that was called before."""
        for chat_name, tool in self.by_chat_name.items():
            if tool.called.name == name and tool.called.namespace == namespace and tool.called.kind != SEARCH:
                return chat_name
        return name if namespace is None else _joined_name(name, namespace)

    def search_name(self) -> str:
        """Return the name in chat of the client's own search of tools."""
        found = (name for name, tool in self.by_chat_name.items() if tool.called.kind == SEARCH)
        return next(found, SEARCH)


def read_tools(body: RawJson, options: ChatOptions = DEFAULT_OPTIONS, found: Iterable[tuple[Raw, str]] = ()) -> Tools:
    """Read ``tools``, and those that searches ``found``, each with its path.

    Raises UnsupportedField for a tool that chat cannot carry, InvalidRequest for a malformed one.
    """
    reader = _Reader(body, options)
    listed = [(leaf, f"tools[{index}]") for index, leaf in enumerate(optional_array(body.root, "tools"))]
    repeated = [fields for leaf, path in listed if (fields := reader.add(leaf, path)) is not None]
    for leaf, path in found:
        reader.add(leaf, path, again=True)
    return Tools(reader.named(), tuple(repeated), options)


class _Reader:
    """Reads tools one by one; names are given when all are there, so that plain ones stay as they are."""

    def __init__(self, body: RawJson, options: ChatOptions) -> None:
        self._body = body
        self._drops_hosted = options.drops_hosted_tools and _is_optional(body)
        self._tools: dict[tuple[str | None, str, bool], Tool] = {}

    def add(self, leaf: Raw, path: str, *, again: bool = False) -> RawObject | None:
        """Add a tool and return it as a response repeats it, or None if it is left out.

        With ``again``, a tool that is there already is none to complain about.
        """
        fields = open_object(leaf, path)
        match required_string(self._body, fields, "type", path):
            case "function":
                self._add(fields, path, None, again=again)
                return _DEFAULTS | without_nulls(fields)
            case "custom":
                self._add(fields, path, None, again=again)
            case "namespace":
                self._add_namespace(fields, path, again=again)
            case "tool_search" if text_or_empty(self._body, fields.get("execution")) == "client":
                reject_unknown(fields, _SEARCH_FIELDS, path)
                self._tools[None, SEARCH, True] = Tool(
                    CalledTool(SEARCH, "tool_search"), fields, fields.get("description")
                )
            case _ if self._drops_hosted:
                return None
            case _:
                raise unsupported_field(f"{path}.type", _HOSTED)
        return fields

    def named(self) -> dict[str, Tool]:
        """Return the tools by their names in chat, in their order."""
        taken = {name for namespace, name, is_search in self._tools if namespace is None and not is_search}
        named: dict[str, Tool] = {}
        for (namespace, name, is_search), tool in self._tools.items():
            chat_name = name
            if namespace is not None or is_search:
                chat_name = name if namespace is None else _joined_name(name, namespace)
                if chat_name in taken:
                    chat_name = _digested_name(chat_name, f"{namespace}\0{name}")
                taken.add(chat_name)
            named[chat_name] = tool
        return named

    def _add_namespace(self, fields: RawObject, path: str, *, again: bool) -> None:
        reject_unknown(fields, _NAMESPACE_FIELDS, path)
        namespace = required_string(self._body, fields, "name", path)
        for index, leaf in enumerate(optional_array(fields, "tools", path)):
            inner_path = f"{path}.tools[{index}]"
            inner = open_object(leaf, inner_path)
            if required_string(self._body, inner, "type", inner_path) not in {"function", "custom"}:
                raise unsupported_field(f"{inner_path}.type", _HOSTED)
            self._add(inner, inner_path, (namespace, fields.get("description")), again=again)

    def _add(self, fields: RawObject, path: str, namespace: tuple[str, Node | None] | None, *, again: bool) -> None:
        kind: ToolKind = "custom" if text_or_empty(self._body, fields["type"]) == "custom" else "function"
        reject_unknown(fields, _CUSTOM_FIELDS if kind == "custom" else _TOOL_FIELDS, path)
        if optional_bool(fields, "async", path):
            raise unsupported_field(f"{path}.async")
        if optional_bool(fields, "defer_loading", path) and not again:
            raise unsupported_field(f"{path}.defer_loading")
        _require_direct_callers(self._body, fields, path)
        name = required_string(self._body, fields, "name", path)
        key = (namespace[0] if namespace else None, name, False)
        if key in self._tools and not again:
            raise InvalidRequest(f"'{path}.name' is the name of another tool. Rename it.", param=f"{path}.name")
        described = [namespace[1] if namespace else None, fields.get("description")]
        self._tools[key] = Tool(CalledTool(name, kind, key[0]), fields, _described(self._body, described))


_DEFAULTS: RawObject = {"description": NULL, "parameters": NULL, "strict": FALSE}


def _is_optional(body: RawJson) -> bool:
    """Whether the model may leave every tool alone."""
    choice = body.root.get("tool_choice")
    return choice is None or is_null(choice) or text_or_empty(body, choice) == "auto"


def _described(body: RawJson, descriptions: Iterable[Node | None]) -> Node | None:
    """Return descriptions as one text, the first one on top."""
    leaves = [leaf for leaf in descriptions if is_string(leaf)]
    if len(leaves) < 2:
        return leaves[0] if leaves else None
    return Raw(msgspec.json.encode("\n\n".join(body.text(leaf) for leaf in leaves)))


def _joined_name(name: str, namespace: str) -> str:
    """Return a name in chat of a tool in a namespace; one that chat does not take ends with a digest instead."""
    joined = f"{namespace}{name}" if namespace.endswith("__") else f"{namespace}__{name}"
    if len(joined) > MAX_CHAT_NAME_CHARS or _NOT_IN_NAMES.search(joined):
        return _digested_name(joined, f"{namespace}\0{name}")
    return joined


def _digested_name(name: str, unique: str) -> str:
    plain = _NOT_IN_NAMES.sub("_", name)[: MAX_CHAT_NAME_CHARS - _DIGEST_CHARS - 1]
    return f"{plain}_{sha256(unique.encode()).hexdigest()[:_DIGEST_CHARS]}"


def _require_direct_callers(body: RawJson, fields: RawObject, path: str) -> None:
    """Raise UnsupportedField for a tool that programs of the model's may call, which chat completions does not have."""
    for caller in optional_array(fields, "allowed_callers", path):
        if text_or_empty(body, caller) != "direct":
            raise unsupported_field(f"{path}.allowed_callers")


_CUSTOM_PARAMETERS = Raw(
    b'{"type":"object","properties":{"%(input)b":{"type":"string","description":"The whole input of the tool."}},'
    b'"required":["%(input)b"],"additionalProperties":false}' % {b"input": CUSTOM_INPUT.encode()}
)


def _chat_tool(chat_name: str, tool: Tool, options: ChatOptions) -> Node:
    name = Raw(msgspec.json.encode(chat_name))
    if tool.called.kind != "custom":
        fields = {"description": tool.description, **{key: tool.fields.get(key) for key in ("parameters", "strict")}}
        return function_tool({"name": name} | without_nulls(fields))
    grammar = _grammar(tool.fields)
    if options.custom_tools:
        fields = {"description": tool.description, "format": grammar and {"type": _GRAMMAR, "grammar": grammar}}
        return custom_tool({"name": name} | without_nulls(fields))
    described = _with_grammar(tool.description, grammar)
    return function_tool(
        {"name": name} | without_nulls({"description": described}) | {"parameters": _CUSTOM_PARAMETERS}
    )


_GRAMMAR = Raw(b'"grammar"')


def _grammar(fields: RawObject) -> RawObject | None:
    """Return the grammar of a custom tool's input, None if it may be any text."""
    if is_null(fields.get("format")):
        return None
    chosen = optional_object(fields, "format")
    return None if chosen.get("type") != _GRAMMAR else {key: chosen.get(key, NULL) for key in ("definition", "syntax")}


def _with_grammar(description: Node | None, grammar: RawObject | None) -> Node | None:
    if grammar is None:
        return description
    definition, syntax = grammar["definition"], grammar["syntax"]
    lead = bytes(description)[1:-1] + b"\\n\\n" if is_string(description) else b""
    if not (is_string(definition) and is_string(syntax)):
        return description
    return Raw(b'"%bThe input follows this %b grammar:\\n%b"' % (lead, bytes(syntax)[1:-1], bytes(definition)[1:-1]))


def found_tools(body: RawJson, items: Iterable[tuple[RawObject, str]]) -> Iterator[tuple[Raw, str]]:
    """Yield the tools that searches found, as items of the input have them; each item with its path."""
    for fields, path in items:
        for index, leaf in enumerate(optional_array(fields, "tools", path)):
            yield leaf, f"{path}.tools[{index}]"
