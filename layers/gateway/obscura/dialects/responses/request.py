"""The Responses dialect: a request parsed, its media and texts collected, its body written for the upstream."""

from collections.abc import Collection
from dataclasses import dataclass

from msgspec import Raw

from obscura.dialects.base import (
    CREDENTIAL_HEADERS,
    ContentLimits,
    JsonSchema,
    RequestHead,
    ResponseTranslator,
    UpstreamBody,
)
from obscura.dialects.chat_options import DEFAULT_OPTIONS, ChatOptions, TokenLimit
from obscura.dialects.content import ContentRequest
from obscura.dialects.errors import OpenAIErrorFormat
from obscura.dialects.json.fields import optional_bool, required_string
from obscura.dialects.json.raw import (
    MAX_NAME_CHARS,
    RawJson,
    RawObject,
    is_array,
    is_null,
    is_object,
    is_string,
    open_array,
    open_object,
)
from obscura.dialects.registry import PIVOT
from obscura.dialects.responses.content import Item, Part, ResponsesContent, collect_part, collect_parts
from obscura.dialects.responses.items import ITEM_TYPES
from obscura.dialects.responses.media_parts import collect_screenshot
from obscura.dialects.responses.native import PASSTHROUGH
from obscura.dialects.responses.response import request_echo
from obscura.dialects.responses.rules import REQUEST
from obscura.dialects.responses.stream import ResponsesTranslator
from obscura.dialects.responses.to_chat.request import to_chat_request
from obscura.dialects.responses.to_chat.tools import Tools, found_tools, read_tools
from obscura.dialects.rules.containers import review
from obscura.errors import InvalidRequest

NATIVE = "responses"


@dataclass(frozen=True, slots=True)
class ResponsesRequest(ContentRequest):
    """A request for a model response."""

    rule = REQUEST

    model: str
    streamed: bool
    content: ResponsesContent

    def check_translatable(self, dialects: Collection[str], options: ChatOptions = DEFAULT_OPTIONS) -> None:
        """Raise UnsupportedField or InvalidRequest for what cannot be translated."""
        if NATIVE not in dialects:
            to_chat_request(self.content, self._tools(options), self.streamed)

    def answer_translator(self) -> ResponseTranslator:
        """Return the translator of a chat answer that has text alone; the response repeats no tools."""
        return ResponsesTranslator(self.model, request_echo(self.content.body, Tools({}, ())), {})

    def to_upstream(self, dialects: Collection[str] = (PIVOT,), options: ChatOptions = DEFAULT_OPTIONS) -> UpstreamBody:
        """Write the request unchanged but for its images, or as a chat completion request for a chat upstream.

        Raises what ``check_translatable`` raises.
        """
        body = self.content.body
        if NATIVE in dialects:
            for item in self.content.items:
                if item.parts is not None:
                    item.fields[_PART_LISTS[item.kind]] = [part.fields for part in item.parts]
            body.root |= self.stored_field()
            return UpstreamBody(NATIVE, body.render(), self.streamed, PASSTHROUGH)
        tools = self._tools(options)
        chat = to_chat_request(self.content, tools, self.streamed)
        translator = ResponsesTranslator(self.model, request_echo(body, tools), tools.called())
        limit = TokenLimit(options.token_limit_field, self.model) if options.token_limit_field in chat else None
        return UpstreamBody(PIVOT, self.render_chat(chat, options), self.streamed, translator, token_limit=limit)

    def is_bound(self, *, native: bool) -> bool:
        """Whether it names what only one upstream knows, or carries reasoning that it encrypted."""
        encrypted = native and any(not is_null(item.fields.get("encrypted_content")) for item in self.content.items)
        return encrypted or bool(self.account_state(native=native))

    def _tools(self, options: ChatOptions) -> Tools:
        searches = ((item.fields, item.path) for item in self.content.items if item.kind == "tool_search_output")
        return read_tools(self.content.body, options, found_tools(self.content.body, searches))


_PART: JsonSchema = {
    "type": "object",
    "required": ["type"],
    "properties": {
        "type": {"type": "string", "examples": ["input_text", "input_image"]},
        "text": {"type": "string"},
        "image_url": {"type": "string", "description": "An https URL, or a data URL of base64."},
        "file_id": {"type": "string"},
        "detail": {"enum": ["low", "auto", "high"], "default": "auto", "description": "768, 1280 or 2048 px."},
    },
    "not": {"required": ["image_url", "file_id"]},
}
_PARTS: JsonSchema = {"type": "array", "maxItems": 16, "items": _PART}
_COMMON_ITEM_TYPES = ("message", "function_call", "function_call_output")
_OTHER_ITEM_TYPES = [kind for kind in ITEM_TYPES if kind not in _COMMON_ITEM_TYPES]
_ITEM: JsonSchema = {
    "type": "object",
    "anyOf": [
        {"properties": {"type": {"const": "message"}}, "required": ["role", "content"]},
        {"properties": {"type": {"const": "function_call"}}, "required": ["type", "call_id", "name", "arguments"]},
        {"properties": {"type": {"const": "function_call_output"}}, "required": ["type", "call_id", "output"]},
        {"properties": {"type": {"enum": _OTHER_ITEM_TYPES}}, "required": ["type"]},
    ],
    "properties": {
        "type": {"enum": list(ITEM_TYPES), "default": "message"},
        "role": {"enum": ["user", "assistant", "system", "developer"]},
        "content": {"anyOf": [{"type": "string"}, _PARTS]},
        "call_id": {"type": "string"},
        "name": {"type": "string"},
        "arguments": {"type": "string"},
        "output": {"anyOf": [{"type": "string"}, _PARTS]},
    },
}
REQUEST_SCHEMA: JsonSchema = {
    "type": "object",
    "description": "OpenAI's request. A field that the model's upstream does not have is a 400 that names it.",
    "required": ["model", "input"],
    "properties": {
        "model": {"type": "string", "minLength": 1},
        "input": {"anyOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": _ITEM}]},
        "instructions": {"type": ["string", "null"]},
        "stream": {"type": ["boolean", "null"], "default": False},
    },
}


class ResponsesDialect(OpenAIErrorFormat):
    """``POST /v1/responses`` (OpenAI's API reference, "Create a model response")."""

    name = "responses"
    paths = ("/v1/responses", "/responses")
    credential_headers = CREDENTIAL_HEADERS
    summary = "Create a model response, with images"
    request_schema = REQUEST_SCHEMA
    response_type = None

    def parse(self, head: RequestHead, body: RawJson, limits: ContentLimits) -> ResponsesRequest:
        """Parse a request: model, stream, the media of its input, and every text that the model may read."""
        model, streamed = required_string(body, body.root, "model"), optional_bool(body.root, "stream")
        content = ResponsesContent(body, limits)
        collect(content)
        review(body.root, REQUEST, content)
        body.check_unread()
        return ResponsesRequest(model, streamed, content)


_PART_LISTS = {"message": "content", "function_call_output": "output", "custom_tool_call_output": "output"}
"""The items that have content parts, and the key of the list."""


def collect(content: ResponsesContent) -> None:
    """Take a request's media out of its input and its prompt, which are opened in the body's tree for that.

    Raises InvalidRequest, UnsupportedOperation or TooManyContentParts, each with the JSON path.
    """
    root = content.body.root
    instructions = root.get("instructions")
    if not is_null(instructions) and not is_string(instructions):
        raise InvalidRequest("'instructions' must be a string.", param="instructions")
    _collect_prompt(root, content)
    leaf = root.get("input")
    if is_array(leaf):
        content.items += [
            _collect_item(item, f"input[{index}]", content) for index, item in enumerate(open_array(leaf, "input"))
        ]
        root["input"] = [item.fields for item in content.items]
    elif not is_null(leaf) and not is_string(leaf):
        raise InvalidRequest("'input' must be a string or an array of items.", param="input")


def _collect_item(leaf: Raw, path: str, content: ResponsesContent) -> Item:
    fields = open_object(leaf, path)
    kind = _item_kind(fields, path, content)
    if kind == "computer_call_output":
        fields["output"] = collect_screenshot(fields.get("output"), f"{path}.output", content)
    if kind not in _PART_LISTS:
        return Item(path, kind, fields)
    if kind == "message":
        required_string(content.body, fields, "role", path)
    return Item(path, kind, fields, _collect_part_list(fields, _PART_LISTS[kind], path, content))


def _item_kind(fields: RawObject, path: str, content: ResponsesContent) -> str:
    """Return an item's type; without one, an item with a role is a message, one with an id a reference."""
    if is_null(fields.get("type")):
        for key, kind in (("role", "message"), ("id", "item_reference")):
            if not is_null(fields.get(key)):
                return kind
    return required_string(content.body, fields, "type", path)


def _collect_part_list(fields: RawObject, key: str, path: str, content: ResponsesContent) -> list[Part] | None:
    leaf = fields.get(key)
    if is_array(leaf):
        parts = collect_parts(leaf, f"{path}.{key}", content)
        fields[key] = [part.fields for part in parts]
        return parts
    if not is_null(leaf) and not is_string(leaf):
        raise InvalidRequest(f"'{path}.{key}' must be a string or an array of parts.", param=f"{path}.{key}")
    return None


def _collect_prompt(root: RawObject, content: ResponsesContent) -> None:
    """Collect the variables of a prompt template: texts, or parts with images."""
    if not is_object(root.get("prompt")):
        return
    prompt = open_object(root["prompt"], "prompt")
    if not is_object(prompt.get("variables")):
        return
    variables = open_object(prompt["variables"], "prompt.variables")
    for name, leaf in variables.items():
        if is_object(leaf):
            path = f"prompt.variables.{name[:MAX_NAME_CHARS]}"
            variables[name] = collect_part(leaf, path, content).fields
    prompt["variables"] = variables
    root["prompt"] = prompt
