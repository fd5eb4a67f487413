"""Content parts as chat completions has them (API reference, "Create chat completion", message content)."""

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from obscura.dialects.json.fields import refuse_others, required_text, set_fields, string_leaf, unsupported
from obscura.dialects.json.raw import Node, RawJson, RawObject, is_null, is_string, open_object, quoted
from obscura.dialects.responses.content import Item, Part, RequestContent
from obscura.errors import InvalidRequest

_TEXT_KINDS = {"input_text", "output_text"}
_CACHING = "prompt_cache_breakpoint"
_TEXT_FIELDS = ("type", "text", "annotations", "logprobs", _CACHING)
_IMAGE_FIELDS = ("type", "image_url", "file_id", "detail", _CACHING)
_FILE_FIELDS = ("type", "file_data", "file_id", "filename", "detail", _CACHING)


def is_text(part: Part) -> bool:
    """Whether a part is text, the caller's or the model's."""
    return part.kind in _TEXT_KINDS


def chat_content(parts: Sequence[Part]) -> Node:
    """Write content; a single text becomes a plain string, which every server takes in every role.

    Raises UnsupportedField for a part, or a field of one, without counterpart; InvalidRequest for a malformed one.
    """
    if not parts:
        return quoted(b"")
    written = [chat_part(part) for part in parts]
    if len(parts) == 1 and is_text(parts[0]) and _CACHING not in written[0]:
        return written[0]["text"]
    return list(written)


def chat_part(part: Part) -> RawObject:
    """Write one part; raises as ``chat_content`` does."""
    match part.kind:
        case "input_text" | "output_text":
            return _text(part)
        case "input_image":
            return _image(part)
        case "input_file":
            return _file(part)
        case "refusal":
            refuse_others(part.fields, ("type", "refusal"), part.path)
            return set_fields(type=quoted(b"refusal"), refusal=string_leaf(part.fields, "refusal", part.path))
        case "input_audio":
            refuse_others(part.fields, ("type", "input_audio", _CACHING), part.path)
            return set_fields(**part.fields)
        case _:
            raise unsupported(f"{part.path}.type")


def text_part(text: Raw) -> RawObject:
    """Make a text part."""
    return {"type": quoted(b"text"), "text": text}


def _text(part: Part) -> RawObject:
    refuse_others(part.fields, _TEXT_FIELDS, part.path)
    return text_part(string_leaf(part.fields, "text", part.path)) | _kept(part, _CACHING)


def _image(part: Part) -> RawObject:
    refuse_others(part.fields, _IMAGE_FIELDS, part.path)
    image_url = set_fields(url=part.fields.get("image_url")) | _kept(part, "file_id", "detail")
    return _typed(b"image_url", image_url) | _kept(part, _CACHING)


def _file(part: Part) -> RawObject:
    refuse_others(part.fields, _FILE_FIELDS, part.path)
    return _typed(b"file", _kept(part, "file_data", "file_id", "filename")) | _kept(part, _CACHING)


def _typed(kind: bytes, inner: RawObject) -> RawObject:
    return {"type": quoted(kind), kind.decode(): inner}


def _kept(part: Part, *keys: str) -> RawObject:
    return set_fields(**{key: part.fields.get(key) for key in keys})


_ROLES = ("user", "assistant", "system", "developer")
_MESSAGE_FIELDS = ("type", "role", "content", "id", "status", "phase")
_CALL_FIELDS = ("type", "call_id", "name", "arguments", "id", "status", "caller")
_OUTPUT_FIELDS = ("type", "call_id", "output", "id", "status", "name", "caller")
_STATEFUL = "names an item that the API would have stored; this upstream keeps none. Send the item itself"


def chat_messages(content: RequestContent) -> list[Node]:
    """Write ``instructions`` and ``input`` as messages.

    Raises UnsupportedField for an item, a part or a field without counterpart; InvalidRequest for a malformed one.
    """
    root, conversation = content.body.root, _Conversation(content.body)
    instructions, given = root.get("instructions"), root.get("input")
    if is_string(instructions):
        conversation.say(quoted(b"system"), instructions)
    if is_string(given):
        conversation.say(quoted(b"user"), given)
    elif not content.items:
        raise InvalidRequest("'input' is required: a string, or an array of at least one item.", param="input")
    for item in content.items:
        conversation.take(item)
    return conversation.ended()


class _Conversation:
    """Messages under way.

    Calls join the assistant's message before them. Images in the outputs of functions wait until the last output of
    the run, because servers take nothing but tool messages between the calls and the last of their outputs.
    """

    def __init__(self, body: RawJson) -> None:
        self._body = body
        self._messages: list[Node] = []
        self._assistant: RawObject | None = None
        self._calls: list[Node] = []
        self._shown: list[Node] = []

    def take(self, item: Item) -> None:
        match item.kind:
            case "message":
                self._take_message(item)
            case "function_call":
                self._take_call(item)
            case "function_call_output":
                self._take_output(item)
            case "reasoning":
                """Dropped: it is the model's own, and chat completions has no place for it."""
            case "item_reference":
                raise unsupported(f"{item.path}.{'type' if 'type' in item.fields else 'id'}", _STATEFUL)
            case _:
                raise unsupported(f"{item.path}.type")

    def say(self, role: Raw, content: Node) -> RawObject:
        self._show()
        message: RawObject = {"role": role, "content": content}
        self._messages.append(message)
        self._assistant, self._calls = None, []
        return message

    def ended(self) -> list[Node]:
        self._show()
        return self._messages

    def _take_message(self, item: Item) -> None:
        refuse_others(item.fields, _MESSAGE_FIELDS, item.path)
        role = string_leaf(item.fields, "role", item.path)
        if (name := self._body.text(role)) not in _ROLES:
            raise InvalidRequest(f"'{item.path}.role' must be one of {', '.join(_ROLES)}.", param=f"{item.path}.role")
        message = self.say(role, _content(item, "content"))
        self._assistant = message if name == "assistant" else None

    def _take_call(self, item: Item) -> None:
        refuse_others(item.fields, _CALL_FIELDS, item.path)
        _refuse_programs(item, self._body)
        for key in ("call_id", "name"):
            required_text(self._body, item.fields, key, item.path)
        call: RawObject = {
            "id": item.fields["call_id"],
            "type": quoted(b"function"),
            "function": {
                "name": item.fields["name"],
                "arguments": string_leaf(item.fields, "arguments", item.path),
            },
        }
        if self._assistant is None:
            self._assistant = self.say(quoted(b"assistant"), Raw(b"null"))
        self._calls.append(call)
        self._assistant["tool_calls"] = self._calls

    def _take_output(self, item: Item) -> None:
        refuse_others(item.fields, _OUTPUT_FIELDS, item.path)
        _refuse_programs(item, self._body)
        call_id = required_text(self._body, item.fields, "call_id", item.path)
        texts = [part for part in item.parts or [] if is_text(part)]
        others = [part for part in item.parts or [] if not is_text(part)]
        content = _content(item, "output") if item.parts is None else chat_content(texts)
        if others:
            self._shown += [text_part(_encoded(f"From the output of call {call_id}:")), *map(chat_part, others)]
            if not texts:
                content = quoted(b"The output follows in the next user message.")
        self._messages.append({"role": quoted(b"tool"), "tool_call_id": item.fields["call_id"], "content": content})
        self._assistant, self._calls = None, []

    def _show(self) -> None:
        """Say what waits of the outputs' images and files."""
        if self._shown:
            self._messages.append({"role": quoted(b"user"), "content": self._shown})
            self._shown = []


def _content(item: Item, key: str) -> Node:
    return string_leaf(item.fields, key, item.path) if item.parts is None else chat_content(item.parts)


def _refuse_programs(item: Item, body: RawJson) -> None:
    """A call may say who made it: the model itself, or a program of its own, which chat completions does not know."""
    path = f"{item.path}.caller"
    caller = item.fields.get("caller")
    if caller is None or is_null(caller):
        return
    if required_text(body, open_object(caller, path), "type", path) != "direct":
        raise unsupported(path)


def _encoded(text: str) -> Raw:
    return Raw(msgspec.json.encode(text))
