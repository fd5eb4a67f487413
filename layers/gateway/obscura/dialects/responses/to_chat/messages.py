"""Instructions and input as chat messages (API reference, "Create chat completion", messages)."""

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from obscura.dialects.chat.build import chat_message, content_part, tool_call, tool_message
from obscura.dialects.json.fields import (
    optional_object,
    raw_string_at,
    reject_unknown,
    required_string,
    unsupported_field,
    without_nulls,
)
from obscura.dialects.json.raw import NULL, Node, RawJson, RawObject, is_null, is_string, quoted
from obscura.dialects.responses.content import Item, Part, ResponsesContent
from obscura.dialects.responses.media_parts import CACHE_BREAKPOINT
from obscura.errors import InvalidRequest

_TEXT_KINDS = {"input_text", "output_text"}
_TEXT_FIELDS = ("type", "text", "annotations", "logprobs", CACHE_BREAKPOINT)
_IMAGE_FIELDS = ("type", "image_url", "file_id", "detail", CACHE_BREAKPOINT)
_FILE_FIELDS = ("type", "file_data", "file_id", "filename", "detail", CACHE_BREAKPOINT)
_ROLES = ("user", "assistant", "system", "developer")
_MESSAGE_FIELDS = ("type", "role", "content", "id", "status", "phase")
_CALL_FIELDS = ("type", "call_id", "name", "arguments", "id", "status", "caller")
_OUTPUT_FIELDS = ("type", "call_id", "output", "id", "status", "name", "caller")
_SEND_THE_ITEM = "It stores no items: send the item itself, or choose a model whose upstream speaks this API."


def chat_messages(content: ResponsesContent) -> list[Node]:
    """Write ``instructions`` and ``input`` as messages.

    Raises UnsupportedField for an item, a part or a field without counterpart; InvalidRequest for a malformed one.
    """
    root, conversation = content.body.root, _Conversation(content.body)
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

    def __init__(self, body: RawJson) -> None:
        self._body = body
        self._messages: list[Node] = []
        self._assistant: RawObject | None = None
        self._calls: list[Node] = []
        self._pending_media: list[Node] = []

    def add_item(self, item: Item) -> None:
        match item.kind:
            case "message":
                self._add_message(item)
            case "function_call":
                self._add_call(item)
            case "function_call_output":
                self._add_output(item)
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
        reject_unknown(item.fields, _CALL_FIELDS, item.path)
        _require_direct_caller(item, self._body)
        for key in ("call_id", "name"):
            required_string(self._body, item.fields, key, item.path)
        arguments = raw_string_at(item.fields, "arguments", item.path)
        if self._assistant is None:
            assistant = chat_message(b"assistant", NULL)
            self.add(assistant)
            self._assistant = assistant
        self._calls.append(tool_call(item.fields["call_id"], item.fields["name"], arguments))
        self._assistant["tool_calls"] = self._calls

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
