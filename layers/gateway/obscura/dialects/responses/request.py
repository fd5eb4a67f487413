"""The Responses dialect as the pipeline sees it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from msgspec import Raw

from obscura.dialects.base import ContentLimits, ImageSlot, ParsedRequest, UpstreamBody, VideoSlot
from obscura.dialects.errors import OpenAIErrorFormat
from obscura.dialects.json.fields import MAX_NAME_CHARS, optional_bool, require_image_count, required_text
from obscura.dialects.json.raw import (
    Node,
    RawJson,
    RawObject,
    is_array,
    is_null,
    is_object,
    is_string,
    open_array,
    open_object,
)
from obscura.dialects.responses.content import (
    Item,
    Part,
    RequestContent,
    collect_part,
    collect_parts,
    collect_screenshot,
)
from obscura.dialects.responses.from_chat.response import ResponsesTranslator, request_echo
from obscura.dialects.responses.native import PASSTHROUGH, collect_native_item, collect_native_tools
from obscura.dialects.responses.to_chat.request import to_chat_request
from obscura.dialects.responses.to_chat.tools import read_tools
from obscura.errors import InvalidRequest

NATIVE = "responses"


@dataclass(frozen=True, slots=True)
class ResponsesRequest:
    """A request for a model response."""

    model: str
    streamed: bool
    gathered: RequestContent

    @property
    def image_slots(self) -> Sequence[ImageSlot]:
        """Every image, in request order."""
        return self.gathered.image_slots

    @property
    def video_slots(self) -> Sequence[VideoSlot]:
        """None: Responses have no videos."""
        return ()

    @property
    def texts(self) -> Sequence[str]:
        """Instructions, every text of the input, outputs of functions included."""
        return self.gathered.texts

    def check_translatable(self, dialects: Collection[str]) -> None:
        """Raise UnsupportedField, InvalidRequest, or UnsupportedOperation for an image that nobody could check."""
        if NATIVE not in dialects:
            to_chat_request(self.gathered, read_tools(self.gathered.body), self.streamed)
        elif self.gathered.unchecked is not None:
            raise self.gathered.unchecked

    def to_upstream(self, dialects: Collection[str] = ("chat",)) -> UpstreamBody:
        """Write the request as it came for an upstream with this dialect, else as a chat completion request.

        Raises what ``check_translatable`` raises.
        """
        body = self.gathered.body
        if NATIVE in dialects:
            self.check_translatable(dialects)
            return UpstreamBody("/responses", body.render(), self.streamed, PASSTHROUGH)
        tools = read_tools(body)
        chat = to_chat_request(self.gathered, tools, self.streamed)
        reply = ResponsesTranslator(self.model, request_echo(body, tools))
        return UpstreamBody("/chat/completions", body.render(chat), self.streamed, reply)


class ResponsesDialect(OpenAIErrorFormat):
    """``POST /v1/responses`` (OpenAI's API reference, "Create a model response")."""

    name = "responses"

    def parse(self, body: RawJson, limits: ContentLimits) -> ParsedRequest:
        """Read a request: model, stream, and the images and texts of its instructions and input."""
        model, streamed = required_text(body, body.root, "model"), optional_bool(body.root, "stream")
        gathered = RequestContent(body, limits)
        collect(gathered)
        require_image_count(gathered.image_slots, limits)
        body.check_unread()
        return ResponsesRequest(model, streamed, gathered)


_LISTS = {"message": "content", "function_call_output": "output", "custom_tool_call_output": "output"}
"""The items whose parts are opened, and where those stand."""


def collect(content: RequestContent) -> None:
    """Gather a request's images and texts, and open its input in place.

    Raises InvalidRequest, UnsupportedOperation, TooManyContentParts, each with the JSON path.
    """
    root = content.body.root
    instructions = root.get("instructions")
    if is_string(instructions):
        content.texts.append(content.body.text(instructions))
    elif not is_null(instructions):
        raise InvalidRequest("'instructions' must be a string.", param="instructions")
    _read_prompt(root, content)
    collect_native_tools(root.get("tools"), "tools", content)
    given = root.get("input")
    if is_string(given):
        content.texts.append(content.body.text(given))
    elif is_array(given):
        content.items += [
            _open_item(leaf, f"input[{index}]", content) for index, leaf in enumerate(open_array(given, "input"))
        ]
        root["input"] = [item.fields for item in content.items]
    elif not is_null(given):
        raise InvalidRequest("'input' must be a string or an array of items.", param="input")


def _open_item(leaf: Raw, path: str, content: RequestContent) -> Item:
    fields = open_object(leaf, path)
    kind = _kind(fields, path, content)
    if kind == "computer_call_output":
        fields["output"] = collect_screenshot(fields.get("output"), f"{path}.output", content)
        return Item(path, kind, fields)
    if kind not in _LISTS:
        collect_native_item(leaf, kind, path, content)
        return Item(path, kind, fields)
    if kind == "message":
        required_text(content.body, fields, "role", path)
    return Item(path, kind, fields, _open_content(fields, _LISTS[kind], path, content))


def _kind(fields: RawObject, path: str, content: RequestContent) -> str:
    """An item's type; without one it is a message when it has a role, else a reference when it has an id."""
    if is_null(fields.get("type")):
        for key, kind in (("role", "message"), ("id", "item_reference")):
            if not is_null(fields.get(key)):
                return kind
    return required_text(content.body, fields, "type", path)


def _open_content(fields: RawObject, key: str, path: str, gathered: RequestContent) -> list[Part] | None:
    content = fields.get(key)
    if is_string(content):
        gathered.texts.append(gathered.body.text(content))
    elif is_array(content):
        parts = collect_parts(content, f"{path}.{key}", gathered)
        fields[key] = [part.fields for part in parts]
        return parts
    elif not is_null(content):
        raise InvalidRequest(f"'{path}.{key}' must be a string or an array of parts.", param=f"{path}.{key}")
    return None


def _read_prompt(root: RawObject, content: RequestContent) -> None:
    """Open the variables of a prompt template: texts, or parts with images."""
    if not is_object(root.get("prompt")):
        return
    prompt = open_object(root["prompt"], "prompt")
    if not is_object(prompt.get("variables")):
        return
    variables = open_object(prompt["variables"], "prompt.variables")
    for name, leaf in variables.items():
        variables[name] = _open_variable(leaf, f"prompt.variables.{name[:MAX_NAME_CHARS]}", content)
    prompt["variables"] = variables
    root["prompt"] = prompt


def _open_variable(leaf: Node, path: str, content: RequestContent) -> Node:
    if is_string(leaf):
        content.texts.append(content.body.text(leaf))
    return collect_part(leaf, path, content).fields if is_object(leaf) else leaf
