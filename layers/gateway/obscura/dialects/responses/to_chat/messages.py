"""Instructions and input as chat messages (API reference, "Create chat completion", messages)."""

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from obscura.dialects.chat.build import chat_message, content_part, custom_tool_call, tool_call, tool_message
from obscura.dialects.json.fields import (
    ORIGINAL_DETAIL,
    optional_object,
    raw_object_at,
    raw_string_at,
    reject_unknown,
    required_string,
    text_or_empty,
    unsupported_field,
    without_nulls,
)
from obscura.dialects.json.raw import NULL, Node, RawJson, RawObject, is_null, is_string, quoted
from obscura.dialects.responses.called_tools import CUSTOM_INPUT
from obscura.dialects.responses.content import Item, Part, ResponsesContent
from obscura.dialects.responses.media_parts import CACHE_BREAKPOINT
from obscura.dialects.responses.to_chat.tools import Tools
from obscura.errors import InvalidRequest

_TEXT_KINDS = {"input_text", "output_text"}
_TEXT_FIELDS = ("type", "text", "annotations", "logprobs", CACHE_BREAKPOINT)
_IMAGE_FIELDS = ("type", "image_url", "file_id", "detail", CACHE_BREAKPOINT)
_FILE_FIELDS = ("type", "file_data", "file_id", "filename", "detail", CACHE_BREAKPOINT)
_ROLES = ("user", "assistant", "system", "developer")
_MESSAGE_FIELDS = ("type", "role", "content", "id", "status", "phase")
_CALL_FIELDS = ("type", "call_id", "name", "arguments", "id", "status", "caller", "namespace")
_CUSTOM_FIELDS = ("type", "call_id", "name", "input", "id", "status", "caller", "namespace")
_SEARCH_FIELDS = ("type", "call_id", "arguments", "execution", "id", "status")
_FOUND_FIELDS = ("type", "call_id", "tools", "execution", "id", "status")
_OUTPUT_FIELDS = ("type", "call_id", "output", "id", "status", "name", "caller", "namespace")
_ORIGINAL = quoted(ORIGINAL_DETAIL.encode())
_SEND_THE_ITEM = (
    "Items are not stored here: send the item itself (in an SDK with store: false), or have the operator set "
    "OBSCURA_STORE_RESPONSES=true, or choose a model whose upstream speaks this API."
)


def chat_messages(content: ResponsesContent, tools: Tools) -> list[Node]:
    """Write ``instructions`` and ``input`` as messages; calls go by the names that ``tools`` have in chat.

    Raises UnsupportedField for an item, a part or a field without counterpart; InvalidRequest for a malformed one.
    """
    root, conversation = content.body.root, _Conversation(content.body, tools)
    instructions, user_input = root.get("instructions"), root.get("input")
    if is_string(instructions):
        conversation.add(chat_message(b"system", instructions))
    if is_string(user_input):
        conversation.add(chat_message(b"user", user_input))
    elif not content.items:
        raise InvalidRequest("'input' is required: a string, or an array of at least one item.", param="input")
    for item in content.items:
        conversation.add_item(item)
    return conversation.finish()


class _Conversation:
    """The messages written so far.

    Tool calls join the assistant's message before them. Images and files in outputs of functions wait for the last
    output in a row, because servers accept only tool messages between the calls and their last output (ADR 12).
    """

    def __init__(self, body: RawJson, tools: Tools) -> None:
        self._body = body
        self._tools = tools
        self._messages: list[Node] = []
        self._assistant: RawObject | None = None
        self._calls: list[Node] = []
        self._pending_media: list[Node] = []

    def add_item(self, item: Item) -> None:
        match item.kind:
            case "message":
                self._add_message(item)
            case "function_call" | "custom_tool_call":
                self._add_call(item)
            case "function_call_output" | "custom_tool_call_output":
                self._add_output(item)
            case "tool_search_call" if self._is_clients(item):
                self._add_search(item)
            case "tool_search_output" if self._is_clients(item):
                self._add_found(item)
            case "reasoning":
                pass  # the model's own, and without counterpart: dropped (ADR 11)
            case "item_reference":
                raise unsupported_field(f"{item.path}.{'type' if 'type' in item.fields else 'id'}", _SEND_THE_ITEM)
            case _:
                raise unsupported_field(f"{item.path}.type")

    def add(self, message: RawObject) -> None:
        self._add_pending_media()
        self._messages.append(message)
        self._assistant, self._calls = None, []

    def finish(self) -> list[Node]:
        self._add_pending_media()
        return self._messages

    def _add_message(self, item: Item) -> None:
        reject_unknown(item.fields, _MESSAGE_FIELDS, item.path)
        role = self._body.text(raw_string_at(item.fields, "role", item.path))
        if role not in _ROLES:
            raise InvalidRequest(f"'{item.path}.role' must be one of {', '.join(_ROLES)}.", param=f"{item.path}.role")
        message = chat_message(role.encode(), _content(item, "content"))
        self.add(message)
        self._assistant = message if role == "assistant" else None

    def _add_call(self, item: Item) -> None:
        is_custom = item.kind == "custom_tool_call"
        reject_unknown(item.fields, _CUSTOM_FIELDS if is_custom else _CALL_FIELDS, item.path)
        _require_direct_caller(item, self._body)
        required_string(self._body, item.fields, "call_id", item.path)
        name = required_string(self._body, item.fields, "name", item.path)
        if not is_null(item.fields.get("namespace")):
            name = self._tools.chat_name(name, required_string(self._body, item.fields, "namespace", item.path))
        chat_name, call_id = Raw(msgspec.json.encode(name)), item.fields["call_id"]
        if not is_custom:
            self._append_call(tool_call(call_id, chat_name, raw_string_at(item.fields, "arguments", item.path)))
            return
        text = raw_string_at(item.fields, "input", item.path)
        if self._tools.options.custom_tools:
            self._append_call(custom_tool_call(call_id, chat_name, text))
        else:
            self._append_call(tool_call(call_id, chat_name, self._as_json_text({CUSTOM_INPUT: text})))

    def _append_call(self, call: RawObject) -> None:
        if self._assistant is None:
            assistant = chat_message(b"assistant", NULL)
            self.add(assistant)
            self._assistant = assistant
        self._calls.append(call)
        self._assistant["tool_calls"] = self._calls

    def _as_json_text(self, node: Node) -> Raw:
        """Write a node of the request as a string that has its JSON text."""
        return Raw(msgspec.json.encode(self._body.render(node).decode()))

    def _is_clients(self, item: Item) -> bool:
        """Whether a search of tools was the client's own, and not the provider's."""
        return text_or_empty(self._body, item.fields.get("execution")) == "client"

    def _add_search(self, item: Item) -> None:
        reject_unknown(item.fields, _SEARCH_FIELDS, item.path)
        required_string(self._body, item.fields, "call_id", item.path)
        arguments = self._as_json_text(raw_object_at(item.fields, "arguments", item.path))
        name = Raw(msgspec.json.encode(self._tools.search_name()))
        self._append_call(tool_call(item.fields["call_id"], name, arguments))

    def _add_found(self, item: Item) -> None:
        """Add what a search found: the model reads the tools in its result, and is offered them from then on."""
        reject_unknown(item.fields, _FOUND_FIELDS, item.path)
        required_string(self._body, item.fields, "call_id", item.path)
        found = item.fields.get("tools", NULL)
        content = self._as_json_text({"tools": found})
        self._messages.append(tool_message(item.fields["call_id"], content))
        self._assistant, self._calls = None, []

    def _add_output(self, item: Item) -> None:
        reject_unknown(item.fields, _OUTPUT_FIELDS, item.path)
        _require_direct_caller(item, self._body)
        call_id = required_string(self._body, item.fields, "call_id", item.path)
        texts = [part for part in item.parts or [] if is_text(part)]
        media = [part for part in item.parts or [] if not is_text(part)]
        content = _content(item, "output") if item.parts is None else chat_content(texts)
        if media:
            source = Raw(msgspec.json.encode(f"From the output of call {call_id}:"))
            self._pending_media += [content_part("text", source), *map(chat_part, media)]
            if not texts:
                content = quoted(b"The output follows in the next user message.")
        self._messages.append(tool_message(item.fields["call_id"], content))
        self._assistant, self._calls = None, []

    def _add_pending_media(self) -> None:
        if self._pending_media:
            self._messages.append(chat_message(b"user", self._pending_media))
            self._pending_media = []


def _content(item: Item, key: str) -> Node:
    return raw_string_at(item.fields, key, item.path) if item.parts is None else chat_content(item.parts)


def _require_direct_caller(item: Item, body: RawJson) -> None:
    """Raise UnsupportedField for a call by a program of the model's, which chat completions does not have."""
    if is_null(item.fields.get("caller")):
        return
    caller = optional_object(item.fields, "caller", item.path)
    if required_string(body, caller, "type", f"{item.path}.caller") != "direct":
        raise unsupported_field(f"{item.path}.caller")


def is_text(part: Part) -> bool:
    """Whether a part is text, the user's or the model's."""
    return part.kind in _TEXT_KINDS


def chat_content(parts: Sequence[Part]) -> Node:
    """Write content parts; a single text becomes a plain string, which every server accepts in every role.

    Raises UnsupportedField for a part, or a field of one, without counterpart; InvalidRequest for a malformed one.
    """
    if not parts:
        return quoted(b"")
    chat_parts = [chat_part(part) for part in parts]
    if len(parts) == 1 and is_text(parts[0]) and CACHE_BREAKPOINT not in chat_parts[0]:
        return chat_parts[0]["text"]
    return list(chat_parts)


def chat_part(part: Part) -> RawObject:
    """Write one part; raises as ``chat_content`` does."""
    match part.kind:
        case "input_text" | "output_text":
            reject_unknown(part.fields, _TEXT_FIELDS, part.path)
            text = raw_string_at(part.fields, "text", part.path)
            return content_part("text", text) | _copy(part, CACHE_BREAKPOINT)
        case "input_image":
            reject_unknown(part.fields, _IMAGE_FIELDS, part.path)
            image_url = without_nulls({"url": part.fields.get("image_url")}) | _copy(part, "file_id", "detail")
            if image_url.get("detail") == _ORIGINAL:
                image_url["detail"] = quoted(b"high")
            return content_part("image_url", image_url) | _copy(part, CACHE_BREAKPOINT)
        case "input_file":
            reject_unknown(part.fields, _FILE_FIELDS, part.path)
            file = _copy(part, "file_data", "file_id", "filename")
            return content_part("file", file) | _copy(part, CACHE_BREAKPOINT)
        case "refusal":
            reject_unknown(part.fields, ("type", "refusal"), part.path)
            return content_part("refusal", raw_string_at(part.fields, "refusal", part.path))
        case "input_audio":
            reject_unknown(part.fields, ("type", "input_audio", CACHE_BREAKPOINT), part.path)
            return without_nulls(part.fields)
        case _:
            raise unsupported_field(f"{part.path}.type")


def _copy(part: Part, *keys: str) -> RawObject:
    return without_nulls({key: part.fields.get(key) for key in keys})
